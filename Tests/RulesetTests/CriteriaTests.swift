import ConfigLanguage
import Packet
import Ruleset
import TestSupport
import Testing

/// Tables, states, scripts and what explains a decision.
struct CriteriaTests {
    @Test func tablesAreDeclaredOnesAndInterfaces() throws {
        let ruleset = try compile(
            """
            table <a> type lpm
            table <b> type const file "b.txt"
            group default { pass from { ifaddrs(eth0), <b> } to inet4(eth1); block to ! inet6(eth0) }
            """)
        #expect(ruleset.tables.map(\.name) == ["a", "b", ".ifnet-eth0", ".ifnet-eth1"])
        guard case .declared(let table) = ruleset.tables[1].contents else {
            Issue.record("no table")
            return
        }
        #expect(table.type == .const && table.file == "b.txt")
        #expect(ruleset.tables[3].contents == .interfaceAddresses("eth1"))
        #expect(ruleset.interfaceNames.isEmpty, "addresses are no criterion on the interface")
    }

    /// A rule, a packet's addresses, and whether the rule matches, with 10.0.0.1 and ::1 in the table.
    @Test(arguments: [
        ("pass from <t>", "10.0.0.1", true), ("pass from <t>", "10.0.0.2", false), ("pass from <t>", "::1", true),
        // A negated table is about packets of both families.
        ("pass from ! <t>", "10.0.0.2", true), ("pass from ! <t>", "::2", true), ("pass from ! <t>", "::1", false),
        ("pass from { <t>, 10.0.0.5 }", "10.0.0.1", true), ("pass from { 10.0.0.5, <t> }", "10.0.0.5", true),
        ("pass from { <t>, 10.0.0.5 }", "::1", false), ("pass from ! { <t>, 10.0.0.5 }", "10.0.0.1", false),
        ("pass from ! { <t>, 10.0.0.5 }", "10.0.0.6", true), ("pass from ! { <t>, 10.0.0.5 }", "::2", false),
        ("pass family inet6 from <t>", "10.0.0.1", false), ("pass family inet6 from <t>", "::1", true),
        ("pass from ifaddrs(e)", "10.0.0.7", true), ("pass from ifaddrs(e)", "::7", true),
        ("pass from inet4(e)", "10.0.0.7", true), ("pass from inet4(e)", "::7", false),
        ("pass from inet6(e)", "10.0.0.7", false), ("pass from inet6(e)", "::7", true),
        ("pass from ! inet4(e)", "10.0.0.8", true), ("pass from ! inet4(e)", "::8", false),
        ("pass from ! ifaddrs(e)", "::8", true), ("pass from $e", "::7", true),
        ("pass from { <u>, <t> }", "10.0.0.1", true), ("pass from <u>", "10.0.0.1", false),
    ])
    func tables(_ rule: String, _ source: String, _ matches: Bool) throws {
        let ruleset = try compile("table <t> type lpm; table <u> type lpm; $e = e\ngroup default { \(rule) }")
        let tables = TestTables(of: ruleset, ["t": ["10.0.0.1", "::1"], ".ifnet-e": ["10.0.0.7", "::7"]])
        let headers = packet(.udp, source, source)
        let match = ruleset.evaluate(headers, interface: 0, direction: .in, tables: tables.lookup)
        #expect((match.entry == 2) == matches, "\(rule): \(source)")
        withExtendedLifetime(tables) {}
    }

    /// What `stateful` implies of flags: a rule, the flags of a packet of TCP, whether it matches.
    @Test(arguments: [
        ("pass stateful all", 0x02, true), ("pass stateful all", 0x12, false), ("pass stateful all", 0x42, true),
        ("pass stateful all", 0x0a, true), ("pass stateful-all all", 0x10, false),
        ("pass stateful proto tcp all", 0x10, false), ("pass stateful proto { tcp, udp } all", 0x10, false),
        ("pass stateful to any port 22", 0x04, false), ("block stateful all", 0x10, false),
        ("pass stateful proto tcp flags A/A all", 0x10, true), ("pass stateful proto tcp flags A/A all", 0x02, false),
        ("pass stateful pcap-filter \"byte 0 = 1\"", 0x10, true), ("pass all", 0x10, true),
    ])
    func openings(_ rule: String, _ flags: UInt8, _ matches: Bool) throws {
        let ruleset = try CompiledRuleset(
            compiling: parse("group default { \(rule) }"), packetFilter: compileByteFilter)
        let bytes: [UInt8] = [1]
        func entry(_ headers: PacketHeaders) -> Int32 {
            unsafe ruleset.evaluate(headers, bytes: bytes.span.bytes, interface: 0, direction: .in).entry
        }
        var tcp = packet(.tcp, "10.0.0.1", "10.0.0.2", ports: (9, 22), flags: flags)
        #expect((entry(tcp) == 2) == matches, "\(rule)")
        // Of UDP no byte is taken for flags.
        if !rule.contains("proto tcp") {
            #expect(entry(packet(.udp, "10.0.0.1", "10.0.0.2", ports: (9, 22), flags: flags)) == 2, "\(rule)")
        }
        tcp.isLaterFragment = true
        #expect((entry(tcp) == 2) == (rule == "pass all" || rule.contains("pcap")), "\(rule)")
    }

    @Test func aMatchSaysWhatToRemember() throws {
        for (rule, kind) in [
            ("pass all", StateKind.none), ("pass stateful all", .stateful), ("pass stateful-all all", .statefulAll),
        ] {
            let ruleset = try compile("group default { \(rule) }")
            let headers = packet(.udp, "10.0.0.1", "10.0.0.2")
            #expect(ruleset.evaluate(headers, interface: 0, direction: .in).state == kind)
        }
    }

    @Test func aWalkStopsForAScriptAndGoesOnWithItsAnswer() throws {
        let ruleset = try compile(
            """
            set fail open; set lua.time 7
            group default {
              pass all
              block to 10.0.0.2 lua-filter "x.lua"
              block from 10.9.9.9 lua-filter "y.lua" call f
              pass final proto udp all lua-filter "z/z.lua" call g
              block all
            }
            """)
        #expect(ruleset.scriptFilters.map { "\($0.file) \($0.function)" } == ["x.lua match", "y.lua f", "z/z.lua g"])
        #expect(ruleset.scriptFilters.allSatisfy { $0.milliseconds == 7 && $0.errorPolicy == .pass && !$0.mayEdit })
        #expect(ruleset.rules.map(\.scriptFilter) == [nil, nil, nil, 0, 1, 2, nil])
        let headers = packet(.udp, "10.0.0.1", "10.0.0.2")
        for (answers, entry) in [([true, true], 5), ([false, true], 5), ([true, false], 6), ([false, false], 6)] {
            var walk = RuleWalk(headers, interface: 0, direction: .in)
            var asked: [Int32] = []
            var match: Match?
            while match == nil {
                switch ruleset.evaluate(&walk, bytes: RawSpan(), tables: .empty) {
                case .decided(let decision): match = decision
                case .needsScript(let script, let place):
                    #expect(ruleset.rules[Int(place)].scriptFilter == Int(script))
                    walk.resume(matching: answers[asked.count])
                    asked.append(script)
                }
            }
            #expect(asked == [0, 2])
            #expect(match?.entry == Int32(entry))
        }
    }

    /// The criterion that each rule fails, for a segment from 10.0.0.1 port 1000 to 192.0.2.1 port 22 with SYN and ACK.
    @Test(arguments: [
        ("pass out all", Criterion.direction), ("pass on eth1 all", .interface), ("pass family inet6 all", .family),
        ("pass from ::1", .family), ("pass proto udp all", .transportProtocol),
        ("pass proto { icmp, udp } all", .transportProtocol), ("pass proto tcp flags S/SA all", .flags),
        ("pass stateful all", .opening), ("pass from 10.0.0.2", .source),
        ("pass from { 10.0.0.2, 10.0.0.9 }", .source), ("pass from ! 10.0.0.0/8", .source), ("pass from <t>", .source),
        ("pass from any port 999", .sourcePort), ("pass from any port { 22, 999 }", .sourcePort),
        ("pass to 192.0.2.2", .destination), ("pass to ! 192.0.2.1", .destination),
        ("pass from 10.0.0.1 to <t>", .destination),
        ("pass to any port 23", .destinationPort), ("pass to any port { 1, 3, 5-9 }", .destinationPort),
        ("pass pcap-filter \"byte 0 = 2\"", .packetFilter), ("pass all lua-filter \"no.lua\"", .scriptFilter),
    ])
    func explanations(_ rule: String, _ criterion: Criterion) throws {
        let ruleset = try CompiledRuleset(
            compiling: parse("table <t> type lpm\ngroup default { block on eth0 all; \(rule) }"),
            packetFilter: compileByteFilter)
        let headers = packet(.tcp, "10.0.0.1", "192.0.2.1", ports: (1000, 22), flags: 0x12)
        let bytes: [UInt8] = [1]
        let (match, steps) = unsafe ruleset.explain(
            headers, bytes: bytes.span.bytes, interface: 1, direction: .in, tables: .empty
        ) { _ in false }
        #expect(match.entry == 2)
        #expect(
            steps == [
                WalkStep(entry: 1, dynamicRule: nil, outcome: .entered),
                WalkStep(entry: 2, dynamicRule: nil, outcome: .matched(isFinal: false)),
                WalkStep(entry: 3, dynamicRule: nil, outcome: .failed(criterion)),
            ], "\(rule)")
    }

    @Test func explanationsFollowTheWalk() throws {
        var ruleset = try compile(
            """
            group "a" out { pass all }
            group "b" { ruleset "r"; pass proto udp all lua-filter "x.lua"; group "c" { pass all }; block all }
            group default { }
            """)
        ruleset = try ruleset.adding(rule: "pass to any port 99", to: "r").ruleset
        let headers = packet(.udp, "10.0.0.1", "192.0.2.1", ports: (1, 53))
        let (match, steps) = ruleset.explain(
            headers, bytes: RawSpan(), interface: 0, direction: .in, tables: .empty
        ) { $0 == 0 }
        #expect(match.entry == 5)
        let expected: [(Int, Int?, WalkStep.Outcome)] = [
            (1, nil, .skipped(.direction)), (3, nil, .entered), (4, nil, .entered), (4, 0, .failed(.destinationPort)),
            (5, nil, .matched(isFinal: false)), (6, nil, .barrier),
        ]
        #expect(steps == expected.map { WalkStep(entry: $0.0, dynamicRule: $0.1, outcome: $0.2) })
    }

    @Test func longListsOfAddressesAreSearchedCorrectly() throws {
        var random = SplitMix64(state: 11)
        for (family, count) in [("inet4", 300), ("inet6", 300), ("inet4", 63), ("inet6", 64), ("inet4", 5_000)] {
            // Every third number, so that none touches another, and some networks among them.
            let base: [UInt64] = (0..<count).map { UInt64($0) * 3 }.shuffled(using: &random)
            func text(_ number: UInt64) -> String {
                family == "inet4"
                    ? "10.0.\(number >> 8 & 255).\(number & 255)" : "2001:db8::\(String(number, radix: 16))"
            }
            let extra = family == "inet4" ? "172.16.0.0/12" : "fe80::/10"
            let list = (base.map(text) + [extra]).joined(separator: ", ")
            for negation in ["", "! "] {
                let ruleset = try compile("group default { pass from \(negation){ \(list) } }")
                var wrong: [UInt64] = []
                for number in 0..<UInt64(count * 3 + 3) {
                    let headers = packet(.udp, text(number), text(number))
                    let isMember = number % 3 == 0 && number < count * 3
                    let match = ruleset.evaluate(headers, interface: 0, direction: .in)
                    if (match.entry == 2) != (isMember == negation.isEmpty) { wrong.append(number) }
                }
                #expect(wrong == [], "\(family) \(count)")
                // A hash has a number for its free slots, which is no member.
                for number in ["0", "1"] {
                    let outside = packet(.udp, family == "inet4" ? "0.0.0.\(number)" : "::\(number)", "::1")
                    let match = ruleset.evaluate(outside, interface: 0, direction: .in)
                    #expect((match.entry == 2) != negation.isEmpty, "\(outside)")
                }
                let inside = packet(.udp, family == "inet4" ? "172.31.1.1" : "febf::1", "::1")
                let match = ruleset.evaluate(inside, interface: 0, direction: .in)
                #expect((match.entry == 2) == negation.isEmpty)
            }
        }
    }
}
