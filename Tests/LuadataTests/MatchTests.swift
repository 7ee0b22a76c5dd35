import LuaRuntime
import Luadata
import Testing

@Suite struct MatchTests {
    @Test func theMethodsGiveWhatStringsGive() throws {
        let lines = try run(
            #"""
            local function show(f, ...)
              local r = table.pack(pcall(f, ...))
              for i = 1, r.n do r[i] = math.type(r[i]) or type(r[i]) .. ' ' .. tostring(r[i]) .. ' ' .. tostring(r[i]) end
              return table.concat(r, '|', 1, r.n)
            end
            local function collect(S, ...)
              local t = {}
              for a, b in S:gmatch(...) do t[#t + 1] = tostring(a) .. ',' .. tostring(b) end
              return table.concat(t, ';')
            end
            local subjects = { 'SSH-2.0-OpenSSH_6.4 x', 'a=1,b=2, c = 3', '\0\0a\0', '(x(y))z', 'aaa', '\xff\x00\xff' }
            local patterns = {
              'SSH%-[^-%G]+%-([^-%G]+)', '(%w)%s*=%s*(%w)', '%z+', '%b()', '()a()', 'a*', '', '^a', 'a$', '.', '%f[%w]%w+', '[',
              '%', '(a', 'a)', '(.)%1', '%1', 'a-', 'x', '2.0', '.0', '[^%g]', 12,
            }
            local count = 0
            for _, s in ipairs(subjects) do
              local d = data.new('<' .. s .. '>'):segment(1, #s)
              for _, p in ipairs(patterns) do
                for _, init in ipairs{ 1, 2, 3, -1, -2, -100, 0, #s, #s + 1, #s + 2, '2', math.mininteger, math.maxinteger } do
                  for name, args in pairs{ match = { p, init }, find = { p, init, false } } do
                    local ours, theirs = show(d[name], d, table.unpack(args)), show(s[name], s, table.unpack(args))
                    assert(ours == theirs, name .. ' ' .. p .. ' in ' .. s .. '\n' .. ours .. '\n' .. theirs)
                    count = count + 1
                  end
                  assert(show(d.find, d, p, init, true) == show(s.find, s, p, init, true))
                  assert(show(collect, d, p, init) == show(collect, s, p, init), p)
                end
                assert(show(d.match, d, p) == show(s.match, s, p) and show(d.find, d, p) == show(s.find, s, p))
              end
            end
            print(count > 3000, data.new('abc'):match('b()'), (data.new('abc'):find('b', 1, true)))
            """#)
        #expect(lines == ["true\t3\t2"])
    }

    @Test func wrongArgumentsAreRefused() throws {
        for (call, message) in [
            ("d:match()", "bad argument #1 to 'match' (string expected, got no value)"),
            ("d:find({})", "bad argument #1 to 'find' (string expected, got table)"),
            ("d:gmatch()", "bad argument #1 to 'gmatch' (string expected, got no value)"),
            ("d:match('a', {})", "bad argument #2 to 'match' (number expected, got table)"),
            ("d.match('abc', 'a')", "bad argument #1 to 'match' (data expected, got string)"),
            ("d.gmatch({}, 'a')", "bad argument #1 to 'gmatch' (data expected, got table)"),
            ("d:match('[')", "malformed pattern (missing ']')"),
        ] {
            let lines = try run("local d = data.new('abc')\n\(call)")
            #expect(lines.last?.hasSuffix(message) == true, "\(call): \(lines)")
        }
    }

    @Test func theMethodsAreNoFieldNames() throws {
        for name in ["match", "find", "gmatch"] {
            let lines = try run("data.layout{ \(name) = {0, 8} }")
            #expect(lines.last?.hasSuffix("layout field '\(name)': that is the name of a method") == true, "\(lines)")
        }
    }

    @Test func anIterationSeesWhatIsWrittenMeanwhile() throws {
        let lines = try run(
            """
            local d = data.new('aaaa'):layout{last = {24, 8}}
            local found = {}
            for letter in d:gmatch('%a') do
              found[#found + 1] = letter
              d.last = 0x62
            end
            print(table.concat(found))
            """)
        #expect(lines == ["aaab"])
    }

    @Test func nothingIsFoundAfterTheVerdict() throws {
        var filter = try Filter(
            """
            local kept, iterators = nil, {}
            function filter(d)
              if not kept then
                kept = d
                for _, pattern in ipairs{ '.', '', 'a*', '()' } do
                  iterators[#iterators + 1] = d:gmatch(pattern)                -- not yet begun
                  iterators[#iterators + 1] = d:segment(0, 2):gmatch(pattern)
                  iterators[#iterators + 1] = d:gmatch(pattern)
                  assert(iterators[#iterators]() ~= nil)
                end
                assert(d:match('b+') == 'bb' and d:find('b', 1, true) == 3)
              else
                for _, iterator in ipairs(iterators) do assert(iterator() == nil) end
                for _, start in ipairs{ 1, 2, -1 } do
                  assert(kept:match('.', start) == nil and kept:find('.', start) == nil)
                  assert(kept:match('', start) == (''):match('', start) and kept:find('a*', start) == (''):find('a*', start))
                end
                for _ in kept:gmatch('.') do error('found') end
                local empty = 0
                for match in kept:gmatch('') do empty = empty + 1 assert(match == '') end
                assert(empty == 1)                                            -- as in the string ''
                assert(d:match('x') == 'x')
              end
            end
            """)
        #expect(filter(Array("aabb".utf8)).answer == .keep, "\(filter.state.lastMessage)")
        for _ in 1...2 {
            #expect(filter(Array("x".utf8)).answer == .keep, "\(filter.state.lastMessage)")
        }
    }

    @Test func anIterationOnAnEmptyPayloadEndsToo() throws {
        var filter = try Filter(
            """
            local iterator
            function filter(d)
              if iterator then assert(iterator() == nil) else iterator = d:gmatch('') end
            end
            """)
        #expect(filter([]).answer == .keep)
        #expect(filter([]).answer == .keep, "\(filter.state.lastMessage)")
    }

    @Test func matchesAreMetered() throws {
        var filter = try Filter(
            "function filter(d) d:match('.-.-.-.-[bc]') end", limits: .unhurried(instructions: 100_000))
        #expect(filter([UInt8](repeating: 0x61, count: 1000)).answer == .failedInstructions)
    }

    @Test func nothingIsAllocatedBeforeCapturesArePushed() throws {
        var filter = try Filter(
            "function filter(d) for i = 1, 1000 do assert(not d:match('SSH%-(.+)') and d:find('%d+') == 5) end end")
        _ = filter(Array("abcd12".utf8))
        let before = filter.state.allocations
        #expect(filter(Array("abcd12".utf8)).answer == .keep, "\(filter.state.lastMessage)")
        // The view, and what a call itself takes.
        #expect(filter.state.allocations - before < 10)
    }
}
