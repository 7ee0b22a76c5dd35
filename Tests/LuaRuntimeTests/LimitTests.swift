import LuaRuntime
import Testing

/// Each case would run for ever, or fill the machine, without the limit that stops it.
@Suite(.timeLimit(.minutes(2))) struct LimitTests {
    static let endless: [(name: String, source: String)] = [
        ("loop", "while true do end"),
        ("goto", "::again:: goto again"),
        (
            "numerals for string.char",
            "local t = {} for i = 1, 100 do t[i] = ('0'):rep(10000) end while true do string.char(table.unpack(t)) end"
        ),
        (
            "numerals for string.pack",
            "local t = {} for i = 1, 90 do t[i] = ('0'):rep(10000) end local f = ('b'):rep(90) "
                + "while true do string.pack(f, table.unpack(t)) end"
        ),
        (
            "strings for math.max",
            "local t = {} for i = 1, 100 do t[i] = ('0'):rep(10000) end while true do math.max(table.unpack(t)) end"
        ),
        ("loop behind pcall", "while true do pcall(function() while true do end end) end"),
        ("pcall of itself", "local function f() pcall(f) end while true do f() end"),
        ("xpcall handler", "xpcall(error, function() while true do end end)"),
        (
            "xpcall handler after the limit",
            "while true do xpcall(function() while true do end end, function() while true do end end) end"
        ),
        ("comparator", "table.sort({1, 2, 3}, function() while true do end end)"),
        ("comparator behind pcall", "while true do pcall(table.sort, {1, 2, 3}, function() while true do end end) end"),
        ("__index", "local t = setmetatable({}, {__index = function() while true do end end}) local x = t.x"),
        ("__tostring", "tostring(setmetatable({}, {__tostring = function() while true do end end}))"),
        (
            "__eq",
            "local m = {__eq = function() while true do end end} local b = setmetatable({}, m) == setmetatable({}, m)"
        ),
        (
            "__lt in sort",
            "local m = {__lt = function() while true do end end} table.sort{setmetatable({}, m), setmetatable({}, m)}"
        ),
        ("__concat", "local x = setmetatable({}, {__concat = function() while true do end end}) .. ''"),
        ("__pairs", "for _ in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end"),
        ("iterator", "for _ in function() return 1 end do end"),
        ("string.gsub callback", "string.gsub('x', 'x', function() while true do end end)"),
        ("insert with a lying __len", "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 0)"),
        ("remove with a lying __len", "table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)"),
        (
            "concat with a lying __len",
            "table.concat(setmetatable({}, {__len = function() return 1 << 60 end, __index = function() return '' end}))"
        ),
        (
            "sort with a lying __len",
            "table.sort(setmetatable({}, {__len = function() return 1 << 30 end, __index = function() return 0 end}))"
        ),
        ("move", "table.move({}, 1, 1 << 60, 2)"),
        (
            "sort of long equal strings",
            "local s, t = ('x'):rep(1 << 20), {} for i = 1, 10000 do t[i] = s end table.sort(t)"
        ),
        ("copies of a long string", "local s = ('x'):rep(1 << 20) while true do local t = s .. 'y' end"),
        (
            "garbage at the edge of the memory",
            "local t = {} while true do pcall(function() while true do t = {t} end end) end"
        ),
        ("utf8", "local s = ('x'):rep(1 << 20) while true do utf8.len(s) end"),
        ("tonumber", "local s = ('1'):rep(1 << 20) while true do tonumber(s) end"),
    ]

    @Test(arguments: endless.map(\.name)) func instructionsEnd(name: String) throws {
        let source = try #require(Self.endless.first { $0.name == name }).source
        var state = try LuaState(limits: .unhurried(instructions: 100_000))
        let error = failure(of: source, in: &state)
        #expect(error?.kind == .instructions || name.hasPrefix("garbage") && error?.kind == .memory)
        #expect(try run("assert(1 + 1 == 2)", in: &state) == nil)
    }

    @Test(arguments: endless.map(\.name)) func timeEnds(name: String) throws {
        let source = try #require(Self.endless.first { $0.name == name }).source
        var state = try LuaState(limits: Limits(instructions: .max / 2, nanoseconds: 5_000_000))
        let error = failure(of: source, in: &state)
        #expect(error?.kind == .time || error?.kind == .memory)
        #expect(try run("assert(1 + 1 == 2)", in: &state) == nil)
    }

    /// Counts the instructions of a loop by what they do: two for each round.
    @Test func instructionsStayWithinTheBudget() throws {
        for budget in [1, 2, 3, 10, 999, 1000, 1001, 1999, 12_345] {
            let console = Console()
            var state = try LuaState(limits: .unhurried(instructions: budget), print: console.print)
            #expect(failure(of: "count = 0 while true do count = count + 1 end", in: &state)?.kind == .instructions)
            state.limits.instructions = 1000
            #expect(try run("print(count or 0)", in: &state) == nil, "\(state.lastMessage)")
            let rounds = try #require(console.lines.first.flatMap { Int($0) })
            // A round is GETTABUP, ADDI, SETTABUP and JMP: ADDI skips the instruction that would call a metamethod.
            #expect(rounds * 4 <= budget && rounds * 4 + 8 >= budget, "\(budget)")
        }
    }

    /// What a single call does in C with a long string costs as much as thousands of instructions.
    @Test func longWorkIsPaidFor() throws {
        for work in [
            "local t = s .. 'y'", "pcall(select, s, 1)", "pcall(error, 'x', s)", "pcall(table.insert, {}, s, 1)",
            "tonumber(s)", "math.floor(s)", "math.random(s)", "math.max(s, 1)", "pcall(iterate, continued, 1)",
            "utf8.len(s)", "s:rep(2)", "s:upper()", "s:find('x', 1, true)", "table.concat{s, s}",
        ] {
            let console = Console()
            var state = try LuaState(limits: .unhurried(), print: console.print)
            let source = """
                rounds = 0
                local s, continued, iterate = ('0'):rep(1 << 19), 'a' .. ('\\x80'):rep(1 << 19), utf8.codes('')
                while true do rounds = rounds + 1 \(work) end
                """
            #expect(failure(of: source, in: &state)?.kind == .instructions, "\(work)")
            #expect(try run("print(rounds)", in: &state) == nil)
            let rounds = try #require(console.lines.first.flatMap { Int($0) })
            #expect(rounds < 200, "\(work): \(rounds)")
        }
    }

    @Test func eachCallHasAllOfTheBudget() throws {
        var state = try LuaState(limits: .unhurried(instructions: 100_000))
        for _ in 1...20 { #expect(try run("for i = 1, 80000 do end", in: &state) == nil) }
        #expect(failure(of: "for i = 1, 110000 do end", in: &state)?.kind == .instructions)
        #expect(try run("for i = 1, 80000 do end", in: &state) == nil)
    }

    static let hungry: [(name: String, source: String)] = [
        ("table", "local t = {} for i = 1, math.huge do t[i] = {} end"),
        ("long string", "local s = ('x'):rep(1000) while true do s = s .. s end"),
        ("many strings", "local t = {} for i = 1, math.huge do t[i] = 'string ' .. i end"),
        ("string.rep", "local s = ('x'):rep(1 << 24)"),
        ("recursion", "local function f(...) return f(1, ...) end f()"),
        ("closures", "local f for i = 1, math.huge do local g = f f = function() return g end end"),
        ("table.concat", "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(10000) end table.concat(t)"),
        ("table.pack", "local t = {} for i = 1, 30000 do t[i] = table.pack(i, i, i) end"),
    ]

    @Test(arguments: hungry.map(\.name)) func memoryEndsAndComesBack(name: String) throws {
        let source = try #require(Self.hungry.first { $0.name == name }).source
        var state = try LuaState(limits: .unhurried(instructions: 100_000_000, memory: 1 << 20))
        state.collectGarbage()
        let before = state.memoryInUse
        for _ in 1...3 {
            let error = failure(of: source, in: &state)
            #expect(error?.kind == .memory)
            #expect(error?.message.hasPrefix("test.lua:1: not enough memory\n") == true, "\(error?.message ?? "")")
            state.collectGarbage()
            #expect(state.memoryInUse < before + 100_000)
        }
        #expect(try run("local t = {} for i = 1, 1000 do t[i] = {} end", in: &state) == nil)
    }

    @Test func pcallDoesNotGoOnFromTheMemoryLimit() throws {
        var state = try LuaState(limits: .unhurried(memory: 1 << 20))
        for source in [
            "pcall(function() local s = ('x'):rep(1000) while true do s = s .. s end end)",
            "while true do pcall(function() local t = {} for i = 1, 1e9 do t[i] = i end end) end",
        ] {
            #expect(failure(of: source, in: &state)?.kind == .memory, "\(source)")
        }
        #expect(try run("local s = ('x'):rep(1000)", in: &state) == nil)
    }

    /// A single instruction that asks for more and more memory, and takes longer each time.
    @Test func timeEndsAnInstructionThatGrows() throws {
        var state = try LuaState(limits: Limits(instructions: 1_000_000, memory: 64 << 20, nanoseconds: 20_000_000))
        let source = "local co = {} co.__call = co setmetatable(co, co) while true do pcall(co) end"
        #expect(failure(of: source, in: &state)?.kind == .time)
    }

    @Test func aLimitBelowTheLibrariesIsAnError() {
        #expect(throws: ScriptError(.memory, "a limit of 1000 bytes is too small for Lua's own libraries")) {
            _ = try LuaState(limits: Limits(memory: 1000)).memoryInUse
        }
    }

    @Test func depthIsAnOrdinaryError() throws {
        for (source, message) in [
            ("local function f() return 1 + f() end f()", "test.lua:1: stack overflow"),
            ("local function f() pcall(f) error('deep') end f()", "test.lua:1: deep"),
            (
                "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k + 1] end return t[1]",
                "C stack overflow"
            ),
            ("local function f(s) return s:gsub('.', f) end f('x')", "C stack overflow"),
            ("return " + String(repeating: "(", count: 300) + "1" + String(repeating: ")", count: 300), "overflow"),
        ] {
            var state = try LuaState(limits: .unhurried(instructions: 100_000_000, memory: 256 << 20))
            let error = try #require(failure(of: source, in: &state), "\(source)")
            #expect(error.kind == .runtime || error.kind == .syntax)
            #expect(error.message.contains(message), "\(source): \(error.message)")
            #expect(try run("assert(1 + 1 == 2)", in: &state) == nil)
        }
    }

    /// Each is quadratic in its length, and would compile for a minute.
    @Test func timeEndsCompiling() throws {
        for source in [
            "local a local b = a" + String(repeating: " or a", count: 200_000),
            "local a if a then" + String(repeating: " elseif a then", count: 70_000) + " end",
        ] {
            var state = try LuaState(limits: Limits(instructions: .max / 2, nanoseconds: 2_000_000))
            let time = try ContinuousClock().measure {
                let error = try #require(failure(of: source, in: &state))
                #expect(error == ScriptError(.time, "test.lua: while compiling: time limit reached (set lua.time)"))
            }
            #expect(time < .seconds(2))
            #expect(try run("assert(1 + 1 == 2)", in: &state) == nil)
        }
    }

    @Test func compilingTakesNoInstructions() throws {
        var state = try LuaState(limits: .unhurried(instructions: 100))
        #expect(try run("if false then " + String(repeating: "print{} ", count: 50_000) + "end", in: &state) == nil)
    }

    /// Lua moves a table's keys in one instruction: a second of it, if somebody has chosen them.
    @Test func keysThatCollideEndTheCall() throws {
        for (key, collides) in [
            ("i * 65535", true), ("2.0 ^ -30 * (2 ^ 52 + i)", true), ("i * 65537 + 12345", false), ("i << 16", false),
            ("i * 0.1", false), ("-i", false), ("i", false), ("tostring(i * 65535)", false),
        ] {
            var state = try LuaState(limits: .unhurried(instructions: 10_000_000, memory: 32 << 20))
            let error = failure(of: "local t = {} for i = 1, 100000 do t[\(key)] = true end", in: &state)
            #expect(error?.kind == (collides ? .instructions : nil), "\(key): \(error?.message ?? "")")
            #expect(error?.message.contains("keys of a table collide") != false, "\(key)")
            #expect(try run("assert(1 + 1 == 2)", in: &state) == nil)
        }
    }

    /// An array of values can have the size of one of keys, and what stands in it can look like keys.
    @Test func arraysOfValuesAreNotTakenForKeys() throws {
        let array = "local t = {} for i = 1, n do t[i] = 0x0300 end t = table.pack(table.unpack(t, 1, n)) "
        for (size, change) in [
            (3 << 12, ""), (3 << 13, ""),
            // As the new key moves the others the array becomes smaller.
            (3 << 13, "for i = 3001, n do t[i] = nil end t.x = true "),
            (3 << 15, "for i = 3001, n do t[i] = nil end t.x = true "),
        ] {
            var state = try LuaState(limits: .unhurried(instructions: 10_000_000, memory: 32 << 20))
            let script = "local n = \(size) \(array)\(change)local keys = {} for i = 1, 6000 do keys['k' .. i] = t end"
            #expect(failure(of: script, in: &state) == nil, "\(size) \(change)")
        }
    }

    @Test func limitsHoldWhileCompiling() throws {
        var state = try LuaState(limits: .unhurried(memory: 1 << 20))
        let long = "return {" + String(repeating: "'\u{7f}',{},", count: 100_000) + "}"
        #expect(failure(of: long, in: &state)?.kind == .memory)
        #expect(try run("assert(1 + 1 == 2)", in: &state) == nil)
    }
}
