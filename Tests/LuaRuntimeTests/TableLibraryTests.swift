import LuaRuntime
import Testing

/// The table library is our own; what it says is what Lua 5.4's says.
@Suite struct TableLibraryTests {
    @Test func elementsMoveAsInLua() throws {
        let show = "local function s(t) return table.concat(t, ',') end local t = {10, 20, 30} "
        for (body, value) in [
            ("table.insert(t, 40) return s(t)", "10,20,30,40"),
            ("table.insert(t, 1, 5) return s(t)", "5,10,20,30"),
            ("table.insert(t, 4, 5) return s(t)", "10,20,30,5"),
            ("return table.remove(t), s(t)", "30\t10,20"),
            ("return table.remove(t, 1), s(t)", "10\t20,30"),
            ("return table.remove(t, 4), s(t)", "nil\t10,20,30"),
            ("return table.remove({}), table.remove({}, 0), #t", "nil\tnil\t3"),
            ("return s(table.move(t, 1, 3, 2))", "10,10,20,30"),
            ("return s(table.move(t, 2, 3, 1))", "20,30,30"),
            ("return s(table.move(t, 1, 3, 1, {}))", "10,20,30"),
            ("return s(table.move(t, 2, 1, 5))", "10,20,30"),
            ("return table.unpack(t)", "10\t20\t30"),
            ("return table.unpack(t, 2)", "20\t30"),
            ("return table.unpack(t, 3, 5)", "30\tnil\tnil"),
            ("return select('#', table.unpack(t, 2, 1))", "0"),
            ("local p = table.pack(1, nil, 3, nil) return p.n, p[1], p[2], p[3]", "4\t1\tnil\t3"),
            ("return table.concat(t, '-', 2), table.concat(t, '-', 3, 2), table.concat({})", "20-30\t\t"),
            ("return table.concat({1, 2.5, 'x'}, ', ')", "1, 2.5, x"),
            ("return table.concat({[math.maxinteger] = 'x'}, '', math.maxinteger, math.maxinteger)", "x"),
            ("return #setmetatable({}, {__len = function() return 7 end})", "7"),
            (
                "return s(setmetatable({}, {__len = function() return 2 end, __index = function(_, i) return i end}))",
                "1,2"
            ),
        ] {
            #expect(try evaluate("(function() \(show)\(body) end)()") == value, "\(body)")
        }
    }

    @Test func mistakesAreToldAsInLua() throws {
        for (call, message) in [
            ("table.insert({1})", "wrong number of arguments to 'insert'"),
            ("table.insert({1}, 3, 0)", "bad argument #2 to 'insert' (position out of bounds)"),
            ("table.insert({1}, 0, 0)", "bad argument #2 to 'insert' (position out of bounds)"),
            ("table.insert(5, 1)", "bad argument #1 to 'insert' (table expected, got number)"),
            ("table.remove({1}, 3)", "bad argument #2 to 'remove' (position out of bounds)"),
            ("table.remove({1}, -1)", "bad argument #2 to 'remove' (position out of bounds)"),
            ("table.concat({1, {}})", "invalid value (at index 2) in table for 'concat'"),
            ("table.unpack({}, 1, 1e8)", "too many results to unpack"),
            ("table.unpack({}, math.mininteger, math.maxinteger)", "too many results to unpack"),
            ("table.move({}, 1, math.maxinteger, 2)", "bad argument #4 to 'move' (destination wrap around)"),
            ("table.move({}, -1, math.maxinteger, 2)", "bad argument #3 to 'move' (too many elements to move)"),
            ("table.sort({1, 2}, 5)", "bad argument #2 to 'sort' (function expected, got number)"),
        ] {
            #expect(try evaluate("select(2, pcall(function() \(call) end))") == "test.lua:1: \(message)", "\(call)")
        }
    }

    @Test func whatHasNoOrderIsNotSorted() throws {
        #expect(try evaluate("select(2, pcall(table.sort, {1, 'x'}))") == "attempt to compare number with string")
    }

    @Test func sortOrdersWhateverItIsGiven() throws {
        let source = """
            local seed = 1
            local function random() seed = (seed * 1103515245 + 12345) % 2147483648 return seed // 65536 end
            local function descending(a, b) return a > b end
            for size = 0, 65 do
              for _, order in ipairs{false, descending} do
                local t, sum = {}, 0
                for i = 1, size do t[i] = random() % 40 sum = sum + t[i] end
                table.sort(t, order or nil)
                for i = 1, size do
                  sum = sum - t[i]
                  if i > 1 then assert(not (order or function(a, b) return a < b end)(t[i], t[i - 1]), size) end
                end
                assert(sum == 0 and #t == size)
              end
            end
            local words = {'pear', 'apple', 'fig'} table.sort(words)
            assert(table.concat(words, ' ') == 'apple fig pear')
            table.sort({3, 1, 2, 5, 4}, function() return true end)
            """
        var state = try LuaState(limits: .unhurried())
        #expect(try run(source, in: &state) == nil)
    }
}
