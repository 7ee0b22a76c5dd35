import Glibc
import LuaRuntime
import Luadata
import ScriptModules
import Testing

@Suite struct NpfTests {
    @Test func everyLevelIsHeardByItsName() throws {
        for level in LogLevel.allCases {
            var script = try Script()
            #expect(script.run("npf.log('\(level)', 1, 2.5, nil, true, 'x')") == nil)
            #expect(script.messages == ["\(level): 1\t2.5\tnil\ttrue\tx"])
        }
    }

    @Test(arguments: [
        ("npf.log('info')", "info: "), ("npf.log('info', '')", "info: "), ("npf.log('info', '', '')", "info: \t"),
        ("npf.log('info', setmetatable({}, {__tostring = function() return 'mine' end}))", "info: mine"),
        ("npf.log('info', ('x'):rep(1001))", "info: " + String(repeating: "x", count: 1000)),
        ("npf.log('info', ('x'):rep(999), 'y')", "info: " + String(repeating: "x", count: 999) + "\t"),
        ("npf.log('info', ('x'):rep(1000), 'y')", "info: " + String(repeating: "x", count: 1000)),
        ("npf.log('info', 'a\\0b\\n')", "info: a\0b\n"),
    ])
    func textIsThatOfPrintAndCut(source: String, message: String) throws {
        var script = try Script()
        #expect(script.run(source) == nil)
        #expect(script.messages == [message])
    }

    @Test(arguments: ["'warn'", "'Info'", "'info\\0x'", "''", "1", "nil", "{}", "('info'):rep(100000)"])
    func otherLevelsAreRefused(level: String) throws {
        var script = try Script()
        let message = script.run("npf.log(\(level), 'x')")?.message
        #expect(
            message?.hasPrefix(
                "test.lua:1: bad argument #1 to 'log' (a level is 'debug', 'info', 'notice', 'warning' or 'error')")
                == true, "\(message ?? "")")
        #expect(script.messages == [])
    }

    @Test func whatRaisesWhileItIsJoinedIsNotLogged() throws {
        var script = try Script()
        #expect(
            script.run("npf.log('info', 'x', setmetatable({}, {__tostring = function() error('oh') end}))")?.message
                .hasPrefix("test.lua:1: oh") == true)
        #expect(
            script.run("npf.log('info', setmetatable({}, {__tostring = function() return {} end}))")?.message
                .contains("'__tostring' must return a string") == true)
        #expect(script.messages == [])
    }

    @Test func loggingIsPaidFor() throws {
        var script = try Script(limits: .unhurried(instructions: 20_000))
        #expect(script.run("while true do pcall(npf.log, 'info', 'x') end")?.kind == .instructions)
        #expect((100..<1200).contains(script.messages.count))
    }

    @Test func withoutAReceiverNothingIsSaid() throws {
        var script = try Script()
        unsafe script.state.setLog(nil, context: nil)
        #expect(script.run("npf.log('info', 'x') print('on')") == nil)
        #expect(script.lines == ["on"])
    }

    @Test func timeIsThePacketsOrTheClocks() throws {
        var script = try Script()
        let before = Double(time(nil))
        #expect(script.run("print(npf.time()) function filter() print(npf.time()) end") == nil)
        let loaded = try #require(Double(script.lines[0]))
        #expect(loaded >= before && loaded <= Double(time(nil)) + 1)

        guard let function = script.state.function(named: "filter") else { throw ScriptError(.runtime, "no filter") }
        for (nanoseconds, printed) in [
            (1_250_000_000 as Int64, "1.25"), (0, "0.0"), (-1_500_000_000, "-1.5"),
            (1_700_000_000_123_456_789, "1700000000.1235"),
        ] {
            script.state.setTime(nanoseconds: nanoseconds)
            let empty = unsafe Region(UnsafeMutableRawBufferPointer(start: nil, count: 0), isWritable: false)
            #expect(unsafe script.state.filter(function, empty).answer == .keep)
            #expect(script.lines.last == printed)
        }
        // After the packet it is the clock's again.
        #expect(script.run("print(npf.time() > 1.7e9)") == nil)
        #expect(script.lines.last == "true")
    }

    @Test func modulesAreEachStatesOwn() throws {
        var script = try Script()
        #expect(script.run("npf.time = nil net.parse = nil assert(require 'npf' == npf and not npf.time)") == nil)
        var other = try Script()
        #expect(other.run("assert(npf.time and net.parse)") == nil)
    }

    /// A state that leaves a set or a module behind would show in the memory of the process.
    @Test func closedStatesLeaveNothing() async {
        await #expect(processExitsWith: .success) {
            func use() throws {
                var script = try Script()
                guard
                    script.run(
                        """
                        kept = {}
                        for i = 1, 500 do kept[i] = ('10.%d.%d.0/24'):format(i >> 8, i & 255) end
                        kept = net.set(kept)
                        npf.log('info', net.format(net.parse('::1')), kept:match(1))
                        """) == nil
                else { exit(2) }
            }
            func peak() -> Int {
                var usage = rusage()
                unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
                return usage.ru_maxrss
            }
            for _ in 0..<50 { try use() }
            let before = peak()
            for _ in 0..<1000 { try use() }
            // In KiB; a state with its set has some 100.
            guard peak() - before < 10_000 else { exit(3) }
        }
    }
}
