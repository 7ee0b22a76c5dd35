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

    @Test func withoutAConfigurationThereAreNoTables() throws {
        let printed = try Script.evaluate("pcall(npf.table, 'x')")
        #expect(printed == "false\tnpf.table: there are no tables here, as there is no configuration")
    }

    /// Tables whose `add` tells its arguments' sum by its answer, and whose other functions tell something else.
    private static func evaluate(_ expression: String) throws -> String {
        let names = UnsafeMutableBufferPointer<UnsafePointer<CChar>?>.allocate(capacity: 2)
        defer { unsafe names.deallocate() }
        for (place, name) in (["one", "two"] as [StaticString]).enumerated() {
            let start = unsafe UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
            unsafe names.initializeElement(at: place, to: start)
        }
        var script = try Script()
        unsafe script.state.setTables(
            UnsafeBufferPointer(names),
            TableFunctions(
                add: { _, table, high, low, isIPv6, time in
                    let sum = UInt64(table) + high + low + (isIPv6 ? 1 : 0)
                    return time == 1_500_000_000 || time == .max ? UInt8(sum) : 1
                },
                remove: { _, _, _, low, _ in UInt8(low) },
                test: { _, table, high, low, isIPv6 in isIPv6 && high == 1 && low == 2 && table == 1 }),
            context: nil)
        let error = script.run("local one, two = npf.table('one'), npf.table('two') print(\(expression))")
        if let error { throw error }
        return script.lines.joined()
    }

    @Test(
        arguments: [
            ("one:add(0, 1.5)", "true"), ("one:add(0)", "true"), ("one:add(0, nil)", "true"),
            ("one:add(0, 2)", "false"), ("one:add(0, math.huge)", "true"), ("one:add(0, 1e10)", "true"),
            ("two:add(0)", "false"), ("two:add(1)", "nil\tfull"), ("one:add(3)", "nil\tbusy"),
            ("one:add(4)", "nil\timmutable"), ("one:add(('\\0'):rep(15) .. '\\1')", "nil\tfull"),
            ("one:remove(0)", "true"), ("one:remove(1)", "false"), ("one:remove(4)", "nil\timmutable"),
            ("two:test(string.pack('>I8I8', 1, 2))", "true"), ("one:test(string.pack('>I8I8', 1, 2))", "false"),
            ("two:test(2)", "false"), ("getmetatable(one)", "false"),
            ("tostring(one):match('^npf.table: ') ~= nil", "true"),
        ] as [(String, String)])
    func tablesGetAddressesAndTimes(expression: String, printed: String) throws {
        #expect(try Self.evaluate(expression) == printed)
    }

    @Test(
        arguments: [
            ("npf.table('three')", "the configuration has no table <three>: it has <one>, <two>"),
            ("npf.table('one\\0')", "the configuration has no table <one>: it has <one>, <two>"),
            ("npf.table(1)", "bad argument #1 to 'table' (string expected, got number)"),
            ("one:add(1, 0)", "bad argument #2 to 'add' (seconds are above zero)"),
            ("one:add(1, 0/0)", "bad argument #2 to 'add' (seconds are above zero)"),
            ("one:add(1, '5')", "bad argument #2 to 'add' (number expected, got string)"),
            (
                "one:add('10.0.0.0/8')",
                "bad argument #1 to 'add' (an IPv6 address is a string of 16 bytes; net.parse reads text)"
            ),
            ("one:remove()", "bad argument #1 to 'remove' (address expected, got no value)"),
            ("one:test(-1)", "bad argument #1 to 'test' (an IPv4 address is an integer from 0 to 4294967295)"),
            ("one.test({}, 1)", "bad argument #1 to 'test' (npf.table expected, got table)"),
            ("one.test(net.set{}, 1)", "bad argument #1 to 'test' (npf.table expected, got net.set)"),
        ] as [(String, String)])
    func wrongUseOfTablesIsTold(expression: String, message: String) throws {
        let printed = try Self.evaluate("select(2, pcall(function() \(expression) end))")
        #expect(printed.hasSuffix(message), "\(expression): \(printed)")
    }

    @Test func tablesArePaidFor() throws {
        for call in ["add", "remove", "test"] {
            #expect(throws: ScriptError.self) {
                try Self.evaluate("pcall(function() for i = 1, 200000 do one:\(call)(0) end end)")
            }
        }
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
