import LuaRuntime
import Testing

@Suite struct ScriptErrorTests {
    @Test func messagesHavePositionAndTraceback() throws {
        var state = try LuaState(limits: .unhurried())
        let source = """
            local function inner(x)
              return x.y
            end
            function outer() local value = inner(nil) return value end
            local value = outer()
            """
        let error = try #require(failure(of: source, in: &state))
        #expect(error.kind == .runtime)
        #expect(
            error.message == """
                test.lua:2: attempt to index a nil value (local 'x')
                \ttest.lua:2: in upvalue 'inner'
                \ttest.lua:4: in global 'outer'
                \ttest.lua:5: in main chunk
                """)
        #expect(state.lastMessage == error.message)
    }

    @Test func syntaxErrorsHavePosition() throws {
        var state = try LuaState(limits: .unhurried())
        let error = try #require(failure(of: "local a\nlocal b = = 2", in: &state))
        #expect(error == ScriptError(.syntax, "test.lua:2: unexpected symbol near '='"))
    }

    /// Nothing of the script runs to word its error.
    @Test func errorObjectsAreNamedByType() throws {
        for (raised, message) in [
            ("{}", "(error object is a table value)"),
            ("nil", "(error object is a nil value)"),
            ("42", "42"),
            ("setmetatable({}, {__tostring = function() while true do end end})", "(error object is a table value)"),
            ("setmetatable({}, {__tostring = print, __name = 'x'})", "(error object is a table value)"),
            ("print", "(error object is a function value)"),
        ] {
            var state = try LuaState(limits: .unhurried())
            let error = try #require(failure(of: "error(\(raised))", in: &state))
            #expect(error.kind == .runtime)
            #expect(error.message.hasPrefix("test.lua:1: \(message)\n\t[C]: in global 'error'\n"), "\(error.message)")
        }
    }

    @Test func longMessagesAndTracebacksAreCut() throws {
        var state = try LuaState(limits: .unhurried())
        let long = try #require(failure(of: "error(('x'):rep(100000))", in: &state))
        #expect(long.message.utf8.count < 4097)
        #expect(long.message.hasSuffix("\n\ttest.lua:1: in main chunk"))
        let deep = try #require(
            failure(of: "local function f(n) if n == 0 then error('deep') end f(n - 1) return 1 end f(100)", in: &state)
        )
        #expect(deep.message.hasSuffix("\n\t..."))
        #expect(deep.message.split(separator: "\n").count == 18)
    }

    @Test func messagesNeedNotBeText() throws {
        var state = try LuaState(limits: .unhurried())
        let error = try #require(failure(of: "error('a\\0b\\xff', 0)", in: &state))
        #expect(error.message.hasPrefix("a\0b\u{fffd}\n"))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4, alignment: 1)
        defer { unsafe buffer.deallocate() }
        let count = unsafe state.copyLastMessage(into: buffer)
        #expect(count == 4)
        #expect(unsafe Array(buffer) == [0x61, 0, 0x62, 0xff])
    }

    @Test func functionsAreFoundByName() throws {
        var state = try LuaState(limits: .unhurried())
        #expect(
            try run("function two(a, b) end function any(a, ...) end number = 5", in: &state) == nil)
        let two = state.function(named: "two")
        let any = state.function(named: "any")
        let (number, absent) = (state.function(named: "number"), state.function(named: "absent"))
        #expect(two?.parameterCount == 2 && two?.isVariadic == false)
        #expect(any?.parameterCount == 1 && any?.isVariadic == true)
        #expect(number == nil && absent == nil)
        state.collectGarbage()
        let before = state.memoryInUse
        for _ in 1...1000 {
            if let function = state.function(named: "two") { state.release(function) }
        }
        state.collectGarbage()
        #expect(state.memoryInUse <= before + 100)
    }
}
