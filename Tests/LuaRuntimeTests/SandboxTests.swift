import LuaRuntime
import Testing

@Suite struct SandboxTests {
    @Test func globalsAreTheAllowList() throws {
        let names = try evaluate(
            """
            (function()
              local names = {}
              for name in pairs(_G) do names[#names + 1] = name end
              table.sort(names)
              return table.concat(names, ' ')
            end)()
            """)
        #expect(
            names
                == "_G _VERSION assert error getmetatable ipairs math next pairs pcall print rawequal rawget rawlen "
                + "rawset require select setmetatable string table tonumber tostring type utf8 xpcall")
    }

    @Test func nothingLeadsBackToWhatIsLeftOut() throws {
        for expression in [
            "string.dump", "coroutine", "debug", "io", "os", "package", "collectgarbage", "dofile", "loadfile", "load",
            "getmetatable('')", "('').dump",
        ] {
            let value = try evaluate("tostring(\(expression))")
            #expect(value == "nil" || value == "false", "\(expression)")
        }
    }

    @Test func metatablesRefuseWhatEscapesTheLimits() throws {
        for name in ["__gc", "__close", "__mode"] {
            #expect(
                try evaluate("select(2, pcall(setmetatable, {}, {\(name) = print}))")
                    == "metatables have no '\(name)' here")
        }
    }

    /// Lua reads these metamethods when it needs them, so refusing them when the metatable is set is not enough.
    @Test func metamethodsAddedLaterDoNothing() throws {
        let console = Console()
        var state = try LuaState(print: console.print)
        let message = try run(
            """
            kept = setmetatable({}, {})
            getmetatable(kept).__mode = 'kv'
            kept[1] = {}
            local mt = {}
            do local collected = setmetatable({}, mt) end
            mt.__gc = function() print('finalizer') end
            do local collected = setmetatable({}, getmetatable(setmetatable({}, mt))) end
            """, in: &state)
        #expect(message == "test.lua:7: metatables have no '__gc' here")
        state.collectGarbage()
        #expect(try run("print(type(kept[1]))", in: &state) == nil)
        #expect(console.lines == ["table"])
        #expect(
            try run(
                "local mt = {} local t = setmetatable({}, mt) mt.__close = print do local x <close> = t end",
                in: &state)
                == "test.lua:1: variable 'x' got a non-closable value")
    }

    @Test func setmetatableIsOtherwiseLuas() throws {
        for (expression, value) in [
            ("setmetatable({}, {__index = {a = 5}}).a", "5"),
            ("getmetatable(setmetatable({}, {__metatable = 'mine'}))", "mine"),
            (
                "select(2, pcall(setmetatable, setmetatable({}, {__metatable = 1}), {}))",
                "cannot change a protected metatable"
            ),
            ("getmetatable(setmetatable(setmetatable({}, {}), nil))", "nil"),
            (
                "select(2, pcall(function() setmetatable(5, {}) end))",
                "test.lua:1: bad argument #1 to 'setmetatable' (table expected, got number)"
            ),
            (
                "select(2, pcall(function() setmetatable({}, 5) end))",
                "test.lua:1: bad argument #2 to 'setmetatable' (nil or table expected, got number)"
            ),
        ] {
            #expect(try evaluate(expression) == value, "\(expression)")
        }
    }

    @Test func randomNumbersAreLuas() throws {
        var state = try LuaState(limits: .unhurried())
        let message = try run(
            """
            math.randomseed(42)
            local first = {math.random(), math.random(10), math.random(-5, 5), math.random(0)}
            math.randomseed(42)
            for i, value in ipairs{math.random(), math.random(10), math.random(-5, 5), math.random(0)} do
              assert(value == first[i])
            end
            assert(first[1] >= 0 and first[1] < 1 and first[2] >= 1 and first[2] <= 10)
            """, in: &state)
        #expect(message == nil)
    }

    @Test func bytecodeIsRefused() throws {
        var state = try LuaState(limits: .unhurried())
        let message = try run("\u{1b}Lua", in: &state)
        #expect(message?.contains("attempt to load a binary chunk") == true)
    }

    /// Long buffers of Lua's library close themselves by metamethods that scripts do not have.
    @Test func longBuffersStillWork() throws {
        #expect(try evaluate("#table.concat({('x'):rep(5000), ('y'):rep(5000)}, ('z'):rep(5000))") == "15000")
        #expect(try evaluate("#('x'):rep(20000):upper():reverse()") == "20000")
        var state = try LuaState(limits: .unhurried())
        state.collectGarbage()
        let before = state.memoryInUse
        for _ in 1...20 {
            #expect(
                try run("pcall(table.concat, {('x'):rep(100000), {}})", in: &state) == nil)
        }
        state.collectGarbage()
        #expect(state.memoryInUse < before + 10_000)
    }
}
