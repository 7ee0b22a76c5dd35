import LuaRuntime
import Luadata
import Testing

@Suite struct LayoutTests {
    @Test func entriesAreReadAsInTheOriginal() throws {
        let setup = """
            local d = data.new{0xab, 0xcd, 0xef, 0x12}
            local function get(entry) return d:layout{f = entry}.f end

            """
        for (script, value) in [
            ("get{0, 8, offset = 8}", "205"),
            ("get{offset = 4, length = 8}", "188"),
            ("get{0, 16, 'number', 'little'}", "52651"),
            ("get{0, 16, nil, 'little'}", "52651"),
            ("get{0, 16, endian = 'l'}", "52651"),
            ("get{0, 16, 'n', 'le'}", "52651"),
            ("get{0, 16, 'num', 'lit'}", "52651"),
            ("get{0, 16, 'n', 'net'}", "43981"),
            ("get{0, 16, 'n', 'n'}", "43981"),
            ("get{0, 16, 'n', 'b'}", "43981"),
            ("get{0, 16, 'n', 'be'}", "43981"),
            ("get{0, 16, 'net'}", "43981"),
            ("get{0, 16, 'big'}", "43981"),
            ("get{0, 16, 'be'}", "43981"),
            ("get{length = 8}", "171"),
            ("get{0, 65}", "nil"),
            ("get{0, 0}", "nil"),
            ("get{0, 16, 'n', 'big'}", "43981"),
            ("get{0, 16, 'n', 'host'} == get{0, 16, 'n', 'little'}", "true"),
            ("get{0, 8, 'n', 'little'}", "171"),
            ("get{0, 12, 'n', 'l'}", "3243"),
            ("get{4, 9, 'n', 'l'}", "444"),
            ("get{4, 16, 'n', 'l'}", "57020"),
            ("get{'8', '8'}", "205"),
            ("get{8.0, 8}", "205"),
            ("get{0, 0, 's'}", "nil"),
            ("get{1, 2, 'string'} == '\\xcd\\xef'", "true"),
            ("get{1, 2, 'str'} == '\\xcd\\xef'", "true"),
            ("get{1, 4, 's'}", "nil"),
            ("get{math.maxinteger, 64}", "nil"),
            ("get{math.maxinteger, math.maxinteger, 's'}", "nil"),
            ("d:layout{[1] = {0, 8}, [true] = {8, 8}}[1]", "171"),
            ("d:layout{[1] = {0, 8}, [true] = {8, 8}}[true]", "205"),
            ("d:layout{[1] = {0, 8}}[2]", "nil"),
            ("d:layout{a = {0, 8}}.b", "nil"),
            ("d:layout{a = {0, 8}}[nil]", "nil"),
            ("d:layout{a = {0, 8}} == d", "true"),
            ("d:layout{}.a", "nil"),
            ("#tostring(d:layout{__len = {0, 8}}) + d.__len", "175"),
        ] {
            #expect(try run(setup + "print(\(script))") == [value], "\(script)")
        }
    }

    @Test func aNewLayoutReplacesTheOld() throws {
        #expect(
            try run(
                """
                local d = data.new{1, 2}:layout{a = {0, 8}}
                local s = d:segment()
                print(d.a, s.a, d:layout{b = {8, 8}}.a, d.b, d:layout(5), d.b)
                """) == ["1\tnil\tnil\t2\tnil\t2"])
    }

    @Test func layoutsAreSharedAndCompiledOnce() throws {
        #expect(
            try run(
                """
                local l = {a = {0, 8}}
                assert(data.layout(l) == l and data.layout(l) == l)
                l.a, l.b = nil, {8, 8}
                local d, e = data.new{1, 2}:layout(l), data.new{3, 4}:layout(l)
                print(d.a, e.a, d.b, data.layout(5), data.layout())
                """) == ["1\t3\tnil\tnil"])
    }

    @Test func copyOfALayoutHasItsOwnFields() throws {
        #expect(
            try run(
                """
                local l = data.layout{a = {0, 8}, b = {0, 8}}
                local copy = {}
                for k, v in pairs(l) do copy[k] = v end
                copy.b, copy.c = {8, 8}, {16, 8}
                local d = data.new{1, 2, 3}:layout(copy)
                print(d.a, d.b, d.c, d:layout(l).b, d.c, d:layout(copy).c)
                """) == ["1\t2\t3\t1\tnil\t3"])
    }

    /// What a layout's table holds beside its fields can be copied and overwritten, but is no way to other memory.
    @Test func compiledLayoutsCannotBeForged() throws {
        #expect(
            try run(
                """
                local l = data.layout{a = {0, 8}}
                local place, compiled
                for k, v in next, l do if type(k) == 'userdata' then place, compiled = k, v end end
                local d = data.new{5, 6}
                print(d:layout{[place] = compiled}.a)
                for _, value in ipairs{d, 7, 'x', {}, place, print} do
                  print(d:layout{[place] = value, b = {8, 8}}.b)
                end
                print(getmetatable(compiled), getmetatable(place), pcall(d.segment, compiled))
                """)
                == [
                    "nil", "6", "6", "6", "6", "6", "6",
                    "nil\tnil\tfalse\tbad argument #1 to '?' (data expected, got userdata)",
                ])
    }

    @Test func wrongEntriesAreNamed() throws {
        let entry = "{offset, length, type, endian}"
        let endians = "'big', 'little', 'net' or 'host'"
        for (fields, message) in [
            ("f = 5", "field 'f': its entry must be a table {offset, length, type, endian}, not a number"),
            ("f = true", "field 'f': its entry must be a table {offset, length, type, endian}, not a boolean"),
            ("f = '8'", "field 'f': its entry must be a table {offset, length, type, endian}, not a string"),
            ("f = {0, 8, true}", "field 'f': its type must be 'number' or 'string', not a boolean"),
            ("f = {0, 8, type = {}}", "field 'f': its type must be 'number' or 'string', not a table"),
            ("f = {0, 8, 'n', 5}", "field 'f': its endian must be \(endians), not a number"),
            ("f = {'x', 8}", "field 'f': its offset must be an integer from 0 on, not x"),
            ("f = {0.5, 8}", "field 'f': its offset must be an integer from 0 on, not 0.5"),
            ("f = {-1, 8}", "field 'f': its offset must be an integer from 0 on, not -1"),
            ("f = {0, -8}", "field 'f': its length must be an integer from 0 on, not -8"),
            ("f = {0, {}}", "field 'f': its length must be an integer from 0 on, not table: 0x"),
            ("f = {0, 8, ofset = 8}", "field 'f': unknown key 'ofset': expected \(entry), or these names as keys"),
            ("f = {0, 8, 'n', 'b', 5}", "field 'f': unknown key '5': expected \(entry), or these names as keys"),
            ("f = {[0] = 1, 0, 8}", "field 'f': unknown key '0': expected \(entry), or these names as keys"),
            ("f = {[1.5] = 1, 0, 8}", "field 'f': unknown key '1.5': expected \(entry), or these names as keys"),
            ("f = {[true] = 1, 0, 8}", "field 'f': unknown key 'true': expected \(entry), or these names as keys"),
            ("f = {9}", "field 'f': it has no length: expected \(entry)"),
            ("f = {}", "field 'f': it has no length: expected \(entry)"),
            ("f = {0, 8, 'integer'}", "field 'f': its type must be 'number' or 'string', not 'integer'"),
            ("f = {0, 8, 'strings'}", "field 'f': its type must be 'number' or 'string', not 'strings'"),
            ("f = {0, 8, ''}", "field 'f': its type must be 'number' or 'string', not ''"),
            ("f = {0, 8, 'n\\0'}", "field 'f': its type must be 'number' or 'string', not 'n"),
            (
                "f = {0, 64, 'little'}",
                "field 'f': 'little' is not a type but an endian: expected {offset, length, 'number', 'little'}"
            ),
            (
                "f = {0, 64, type = 'host'}",
                "field 'f': 'host' is not a type but an endian: expected {offset, length, 'number', 'host'}"
            ),
            ("f = {0, 16, 'n', 'litle'}", "field 'f': its endian must be \(endians), not 'litle'"),
            ("f = {0, 16, 'n', ''}", "field 'f': its endian must be \(endians), not ''"),
            ("f = {0, 16, endian = 'string'}", "field 'f': its endian must be \(endians), not 'string'"),
            ("f = {0, 8, 'n', {}}", "field 'f': its endian must be \(endians), not a table"),
            ("[7] = 5", "field '7': its entry must be a table {offset, length, type, endian}, not a number"),
            ("layout = {0, 8}", "field 'layout': that is the name of a method"),
            ("segment = {0, 8}", "field 'segment': that is the name of a method"),
            (
                "['\(String(repeating: "x", count: 41))'] = {0, 8}",
                "field '\(String(repeating: "x", count: 41))': a name may have 40 bytes at most"
            ),
        ] {
            for call in ["data.new(1):layout{\(fields)}", "data.layout{\(fields)}"] {
                let lines = try run(call)
                #expect(lines.count == 1 && lines[0].contains(": layout \(message)"), "\(call): \(lines)")
            }
        }
        #expect(
            try run(
                "print(data.new{9}:layout{\(String(repeating: "x", count: 40)) = {0, 8}}.\(String(repeating: "x", count: 40)))"
            ) == ["9"])
    }

    @Test func manyFieldsAreFound() throws {
        #expect(
            try run(
                """
                local l = {}
                for i = 0, 999 do l['field' .. i] = {i * 8, 8} end
                local d = data.new(1000):layout(l)
                for i = 0, 999 do d['field' .. i] = i end
                for i = 0, 999 do assert(d['field' .. i] == i % 256, i) end
                """) == [])
    }
}
