import ConfigLanguage
import Ruleset
import Testing

struct ProcedureTests {
    @Test func parametersHaveDefaultsAndTheLastSettingHolds() throws {
        let defaults = try compile("group default { }").parameters
        #expect(!defaults.failOpen)
        #expect(defaults.queueNumber == 2014 && defaults.queueLength == 1024)
        #expect(
            defaults.luaInstructions == 1_000_000 && defaults.luaMemory == 8 << 20 && defaults.luaMilliseconds == 20)
        let set = try compile(
            """
            set fail closed; set fail open
            set queue.number 65535; set queue.length 1048576
            set lua.instructions 5k; set lua.memory 64k; set lua.time 7
            group default { }
            """
        ).parameters
        #expect(set.failOpen)
        #expect(set.queueNumber == 65_535 && set.queueLength == 1_048_576)
        #expect(set.luaInstructions == 5_000 && set.luaMemory == 65_536 && set.luaMilliseconds == 7)
    }

    @Test func callsTakeWhatTheyLeaveOpenFromTheParameters() throws {
        let ruleset = try compile(
            """
            procedure "a" { lua: }
            procedure "b" { lua: call banner, error block }
            procedure "c" { lua: call f, file "dir/x.lua", instructions 10, memory 1m, time 3 }
            set fail open
            group default { }
            """)
        let calls = ruleset.procedures.flatMap(\.scripts)
        #expect(ruleset.procedures.map(\.name) == ["a", "b", "c"])
        #expect(calls.map(\.function) == ["filter", "banner", "f"])
        #expect(calls.map(\.file) == ["filter.lua", "banner.lua", "dir/x.lua"])
        #expect(calls.map(\.errorPolicy) == [.pass, .block, .pass])
        #expect(calls.map(\.instructions) == [1_000_000, 1_000_000, 10])
        #expect(calls.map(\.memory) == [8 << 20, 8 << 20, 1 << 20])
        #expect(calls.map(\.milliseconds) == [20, 20, 3])
        #expect(calls.map(\.location.description) == ["npf.conf:1:17", "npf.conf:2:17", "npf.conf:3:17"])
        let closed = try compile("procedure \"a\" { lua: }\ngroup default { }")
        #expect(closed.procedures[0].scripts[0].errorPolicy == .block)
    }

    @Test(arguments: [
        (
            "instructions 1000001",
            "1000001 is more than `set lua.instructions` allows, which is 1000000; raise that first"
        ),
        ("memory 9m", "9437184 is more than `set lua.memory` allows, which is 8388608; raise that first"),
        ("time 21", "21 is more than `set lua.time` allows, which is 20; raise that first"),
    ])
    func limitsCanOnlyBeNarrowed(_ limit: String, _ message: String) throws {
        let configuration = try parse("procedure \"a\" { lua: \(limit) }\ngroup default { }")
        let error = #expect(throws: ConfigurationErrors.self) {
            try CompiledRuleset(compiling: configuration) { _ in [] }
        }
        let column = 22 + limit.split(separator: " ")[0].utf8.count + 1
        #expect(error?.diagnostics.first?.description == "npf.conf:1:\(column): \(message)")
        // The parameters hold wherever they are set.
        let name = message.split(separator: "`")[1]
        #expect(throws: Never.self) {
            try compile(
                "procedure \"a\" { lua: \(limit) }\n\(name) \(limit.split(separator: " ")[1])\ngroup default { }")
        }
    }
}
