import AddressTables
import ConfigLanguage
import Engine
import LuaRuntime
import Packet
import Ruleset
import TestSupport
import Testing

/// Connections, tables and dynamic rules, and what of them outlives a reload.
@Suite struct ConnectionTests {
    /// What a filter says of described packets, a second between them.
    private struct Box: ~Copyable {
        var filter: Filter
        var configuration: LoadedConfiguration
        private let folder: ScriptFolder
        private var clock: Int64 = 0

        init(_ rules: String, files: [String: String] = [:]) throws {
            let folder = try ScriptFolder(files)
            let configuration = try folder.load(rules.replacing("@", with: folder.path))
            let filter = try Filter(configuration, seed: 1)
            self.folder = folder
            self.configuration = configuration
            self.filter = filter
        }

        mutating func reload(_ rules: String) throws {
            try use(folder.load(rules.replacing("@", with: folder.path), after: configuration))
        }

        mutating func use(_ next: LoadedConfiguration) throws {
            var new = try Filter(next, seed: 2, after: configuration)
            new.takeOver(&filter)
            filter = new
            configuration = next
        }

        mutating func decide(_ text: String, after seconds: Int64 = 1) throws -> Decision {
            clock += seconds * 1_000_000_000
            var packet = try PacketDescription(parsing: text).packet
            let isIn = text.hasPrefix("in")
            return unsafe packet.withUnsafeMutableBytes {
                unsafe filter.decide(
                    $0,
                    from: PacketOrigin(
                        interface: 0, interfaceIndex: text.contains(" on eth1 ") ? 2 : 1, interfaceName: "eth0",
                        direction: isIn ? .in : .out, time: clock, clock: clock))
            }
        }
    }

    private static let request = "out proto udp from 10.0.0.1 port 5000 to 10.0.0.2 port 53"
    private static let reply = "in proto udp from 10.0.0.2 port 53 to 10.0.0.1 port 5000"
    private static let stateful = "group default {\n\tblock all\n\tpass stateful out all\n}\n"

    @Test func connectionPassesBothWaysUntilItExpires() throws {
        var box = try Box(Self.stateful)
        #expect(try box.decide(Self.reply).verdict == .block)
        let first = try box.decide(Self.request)
        #expect((first.cause, first.state, first.entry) == (.rule, .created, 3))
        let second = try box.decide(Self.reply)
        #expect((second.verdict, second.cause, second.state, second.entry) == (.pass, .state, .known, 3))
        #expect(try box.decide(Self.reply.replacing("in ", with: "in on eth1 ")).verdict == .block)
        #expect(try box.decide(Self.reply, after: 59).verdict == .pass)
        #expect(try box.decide(Self.reply, after: 61).verdict == .block)
    }

    @Test func parametersOfStatesHold() throws {
        var box = try Box(
            "set state.generic.timeout.established 5\nset state.key.interface off\n"
                + Self.stateful.replacing("stateful", with: "stateful-all"))
        _ = try box.decide(Self.request)
        #expect(try box.decide(Self.reply.replacing("in ", with: "in on eth1 ")).verdict == .pass)
        #expect(try box.decide(Self.reply, after: 6).verdict == .block)
    }

    @Test func connectionsOutliveAReload() throws {
        var box = try Box(Self.stateful)
        _ = try box.decide(Self.request)
        try box.reload("group \"new\" on eth9 {\n\tpass all\n}\n" + Self.stateful)
        #expect(try box.decide(Self.reply).entry == 5)
        try box.reload("group default {\n\tblock all\n}\n")
        let decision = try box.decide(Self.reply)
        #expect((decision.verdict, decision.entry) == (.pass, 0))
        try box.use(.empty(keeping: box.configuration))
        #expect(try box.decide(Self.reply).cause == .nomatch)
        try box.reload("group default {\n\tblock all\n}\n")
        #expect(try box.decide(Self.reply).verdict == .block)
    }

    @Test func procedureOfAStatefulRuleSeesTheWholeConnection() throws {
        let script = "local n = 0 function filter(hdr, pld) n = n + 1 return n < 3 end"
        let rules = """
            procedure "p" { lua: call filter }
            group default {
            \tblock all
            \tpass stateful out all apply "p"
            }

            """
        var box = try Box(rules, files: ["filter.lua": script])
        #expect(try box.decide(Self.request).verdict == .pass)
        #expect(try box.decide(Self.reply).verdict == .pass)
        let third = try box.decide(Self.reply)
        #expect((third.verdict, third.cause, third.state) == (.block, .procedure, .known))
        // A rule that has gone leaves its connections to the first one that applies the procedure.
        try box.reload(rules.replacing("pass stateful out all", with: "pass stateful out proto udp all"))
        for expected in [Verdict.pass, .pass, .block] { #expect(try box.decide(Self.reply).verdict == expected) }
        // None applies it any more.
        try box.reload(rules.replacing(" apply \"p\"", with: ""))
        #expect(try box.decide(Self.reply).verdict == .pass)
    }

    @Test func tablesDecideAndOutliveAReload() throws {
        let rules = """
            table <kept> type lpm
            table <fixed> type ipset file "@/fixed"
            group default {
            \tpass all
            \tblock from <kept>
            \tblock from <fixed>
            }

            """
        func packet(_ source: String) -> String { "in proto udp from \(source) port 1 to 10.0.0.9 port 2" }
        var box = try Box(rules, files: ["fixed": "192.0.2.1\n"])
        #expect(try box.decide(packet("192.0.2.1")).verdict == .block)
        #expect(try box.decide(packet("192.0.2.2")).verdict == .pass)
        let table = try #require(box.configuration.tables["kept"])
        try table.insert(try #require(Prefix("192.0.2.0/30")), expires: 5_500_000_000, now: 0)
        #expect(try box.decide(packet("192.0.2.2")).entry == 3)
        try box.reload("table <new> type ipset\n" + rules)
        #expect(try box.decide(packet("192.0.2.2")).verdict == .block)
        #expect(try box.decide(packet("192.0.2.2")).verdict == .block)
        #expect(try box.decide(packet("192.0.2.2")).verdict == .pass)
        // Of another type it is another table.
        try table.insert(try #require(Prefix("192.0.2.2")), now: 0)
        try box.reload(rules.replacing("type lpm", with: "type ipset"))
        #expect(try box.decide(packet("192.0.2.2")).verdict == .pass)
    }

    @Test func mistakesInTablesAreToldAtTheirPlaces() throws {
        let rules = "table <t> type ipset file \"t\"\ngroup default { pass from <t> }\n"
        let folder = try ScriptFolder(["t": "192.0.2.1\n192.0.2.0/24\n"])
        func message(_ text: String) -> String {
            let errors = #expect(throws: ConfigurationErrors.self) {
                try LoadedConfiguration(
                    text: Array(text.utf8), file: "\(folder.path)/npf.conf", scripts: .init(path: folder.path))
            }
            return errors.map { $0.diagnostics[0].description.replacing("\(folder.path)/", with: "") } ?? ""
        }
        #expect(message(rules) == "t:2:1: `192.0.2.0/24` is a network, which only a table of type lpm holds")
        #expect(message(rules.replacing("\"t\"", with: "\"u\"")).hasPrefix("npf.conf:1:7: table `t`: cannot read u: "))
        #expect(
            message("set table.limit 1\n" + rules.replacing("ipset", with: "lpm"))
                == "npf.conf:2:7: table 't': the table is full; `set table.limit` says how many entries it may have")
    }

    @Test func dynamicRulesDecideAndOutliveAReload() throws {
        let rules = "group default {\n\tpass all\n\truleset \"ban\"\n}\n"
        let first = "group \"first\" {\n\truleset \"ban\"\n}\n"
        let packet = "in proto udp from 192.0.2.1 port 1 to 10.0.0.9 port 2"
        var box = try Box(first + rules.replacing("\truleset \"ban\"\n", with: ""))
        #expect(try box.decide(packet).verdict == .pass)
        let (changed, id) = try box.configuration.ruleset.adding(rule: "block from 192.0.2.1", to: "ban")
        _ = box.filter.exchangeRules(for: changed)
        box.configuration = box.configuration.replacingRules(by: changed)
        #expect(try box.decide(packet).entry == 2)
        try box.reload(
            "group \"other\" on eth9 {\n\tpass all\n}\n" + first + rules.replacing("\truleset \"ban\"\n", with: ""))
        #expect(try box.decide(packet).entry == 4)
        #expect(try box.configuration.ruleset.dynamicRules(of: "ban").map(\.id) == [id])
    }
}
