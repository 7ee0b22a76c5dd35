import AddressTables
import ConfigLanguage
import Engine
import Packet
import Ruleset
import TestSupport
import Testing

@Suite struct ScriptTablesTests {
    private static let rules = """
        set table.limit 1000
        table <blocked> type ipset
        table <networks> type lpm
        table <fixed> type const file "@/fixed"
        procedure "p" { lua: call filter }
        group default {
        \tpass all apply "p"
        \tblock final from <blocked>
        }

        """

    private func folder(_ body: String, atLoad: String = "") throws -> ScriptFolder {
        try ScriptFolder([
            "fixed": "192.0.2.77\n",
            "filter.lua": """
            local npf, net = require 'npf', require 'net'
            local blocked, networks, fixed = npf.table('blocked'), npf.table('networks'), npf.table('fixed')
            \(atLoad)
            function filter(hdr, pld) \(body) end
            """,
        ])
    }

    private func load(
        _ folder: ScriptFolder, _ rules: String, after former: LoadedConfiguration? = nil
    ) throws -> LoadedConfiguration {
        try folder.load(rules.replacing("@", with: folder.path), after: former)
    }

    private func decide(_ filter: inout Filter, at seconds: Int64, ipv6: Bool = false) -> Decision {
        var packet = datagram("x", ipv6: ipv6)
        return filter.decide(&packet, time: seconds * 1_000_000_000)
    }

    @Test(arguments: [false, true])
    func ruleBlocksWhatAScriptHasAddedForItsTime(ipv6: Bool) throws {
        let configuration = try load(folder("assert(blocked:add(hdr.source_address, 60) == true)"), Self.rules)
        var filter = try Filter(configuration, seed: 1)
        let verdicts = [100, 101, 159, 161, 162].map { decide(&filter, at: $0, ipv6: ipv6).verdict }
        #expect(verdicts == [.pass, .block, .block, .pass, .block])
        #expect(decide(&filter, at: 163, ipv6: !ipv6).verdict == .pass, "the other family")
    }

    @Test func methodsSayWhatTheTableHas() throws {
        let body = """
            local six = net.parse('2001:db8::1')
            assert(not blocked:test(7) and blocked:remove(7) == false)
            assert(blocked:add(7) and blocked:test(7) and not networks:test(7))
            assert(blocked:add(7, 0.5) and blocked:remove(7) == true and not blocked:test(7))
            assert(networks:add(six, 1e300) and networks:test(six) and not networks:test(1))
            assert(networks:test(0x0a000001) and networks:remove(0x0a000001) == false)
            for _, refused in ipairs{ { fixed:add(7) }, { fixed:remove(7) } } do
              assert(refused[1] == nil and refused[2] == 'immutable')
            end
            assert(fixed:test(7) == false)
            for i = 1, 1000 do assert(blocked:add(i)) end
            local added, why = blocked:add(1001)
            assert(added == nil and why == 'full')
            """
        let configuration = try load(folder(body), Self.rules)
        try #require(configuration.tables["networks"]).insert(try #require(Prefix("10.0.0.0/8")), now: 0)
        var filter = try Filter(configuration, seed: 1)
        #expect(decide(&filter, at: 1).verdict == .pass)
        #expect(try #require(configuration.tables["blocked"]).count == 1000)
    }

    @Test func unknownTablesAreMistakesOfTheConfiguration() throws {
        let folder = try folder("", atLoad: "npf.table('nobody')")
        let error = #expect(throws: ConfigurationErrors.self) { try load(folder, Self.rules) }
        #expect(
            "\(try #require(error))".contains(
                "the configuration has no table <nobody>: it has <blocked>, <networks>, <fixed>"))
    }

    /// The configuration has a table of an interface's addresses, and no script finds it.
    @Test func addressesOfInterfacesAreNotTheScripts() throws {
        let rules = Self.rules.replacing("final from <blocked>", with: "final from ifaddrs(lo)")
        #expect(try load(folder(""), rules).tables[".ifnet-lo"] != nil)
        let error = #expect(throws: ConfigurationErrors.self) {
            try load(folder("", atLoad: "npf.table('.ifnet-lo')"), rules)
        }
        #expect(
            "\(try #require(error))".contains(
                "the configuration has no table <.ifnet-lo>: it has <blocked>, <networks>, <fixed>"))
    }

    /// A script's additions while another configuration is loaded are there once that one runs, be its tables larger.
    @Test func additionsOutliveAReloadWithAnotherLimit() throws {
        let folder = try folder("assert(blocked:add(hdr.source_address)) assert(networks:add(hdr.source_address))")
        let running = try load(folder, Self.rules)
        var filter = try Filter(running, seed: 1)
        let larger = Self.rules.replacing("table.limit 1000", with: "table.limit 2000")
        let next = try load(folder, larger, after: running)
        #expect(decide(&filter, at: 1).verdict == .pass)
        #expect(next.useTableLimit(now: 1) == [])
        let tables = try ["blocked", "networks"].map { try #require(next.tables[$0]) }
        #expect(tables.map(\.capacity) == [2000, 2000])
        #expect(tables.map { $0.list(now: 1).count } == [1, 1])
        let smaller = Self.rules.replacing("table.limit 1000", with: "table.limit 1")
        let last = try load(folder, smaller, after: next)
        try tables[0].insert(Prefix(Address(ipv4: 8), length: 32)!, now: 1)
        #expect(last.useTableLimit(now: 1) == ["table 'blocked': the table is full: it keeps its former limit"])
    }

    @Test func replacedTableIsAskedByItsRules() throws {
        let folder = try folder("")
        let configuration = try load(
            folder, Self.rules.replacing("\tpass all apply", with: "\truleset \"r\"\n\tpass all apply"))
        let dynamic = try configuration.ruleset.adding(rule: "block to <networks>", to: "r").ruleset
        let renamed = try configuration.replacingRules(by: dynamic).replacingTable("networks", with: "nets", .ipset)
        #expect(renamed.tables.names == ["blocked", "nets", "fixed"])
        #expect(renamed.tables["nets"] === configuration.tables["networks"])
        let text = renamed.ruleset.canonicalText()
        #expect(text.contains("table <nets> type ipset\n") && !text.contains("networks"))
        #expect(try renamed.ruleset.dynamicRules(of: "r").map(\.text) == ["block to <nets>"])
        let ids = try [dynamic, renamed.ruleset].map { try $0.dynamicRules(of: "r").map(\.id) }
        #expect(ids[0] == ids[1])
    }

    /// The tables of a configuration that is tried may be those that run.
    @Test func configurationThatIsTriedChangesNoTable() throws {
        let folder = try folder("", atLoad: "assert(blocked:add(7) and blocked:remove(8) and not fixed:add(7))")
        let running = try load(folder, Self.rules)
        let table = try #require(running.tables["blocked"])
        try table.insert(Prefix(Address(ipv4: 8), length: 32)!, now: 0)
        let next = try load(folder, Self.rules, after: running)
        #expect(table.list(now: 1).map(\.description) == ["0.0.0.8"])
        let filter = try Filter(next, seed: 1)
        #expect(table.list(now: 1).map(\.description) == ["0.0.0.7"])
        _ = consume filter
    }

    @Test func aMillionAdditionsAreBoundedAndCounted() throws {
        let body = "n = n or 0 for i = 1, 1000 do n = n + 1 networks:add(n) end"
        let configuration = try load(folder(body), "set lua.time 10000\n" + Self.rules)
        var filter = try Filter(configuration, seed: 1)
        for _ in 0..<1000 { #expect(decide(&filter, at: 1).verdict == .pass) }
        let table = try #require(configuration.tables["networks"])
        #expect(table.count == 1000)
        #expect(table.refused == 999_000)
    }
}
