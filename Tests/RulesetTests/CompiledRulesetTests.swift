import ConfigLanguage
import Packet
import Ruleset
import TestSupport
import Testing

/// The ruleset that `text` compiles to.
func compile(_ text: String) throws -> CompiledRuleset {
    try CompiledRuleset(compiling: parse(text)) { _ in [] }
}

/// The headers of a packet between two addresses in text.
func packet(
    _ proto: IPProtocol, _ source: String, _ destination: String, ports: (UInt16, UInt16) = (0, 0), flags: UInt8 = 0,
    icmp: (UInt8, UInt8) = (0, 0)
) -> PacketHeaders {
    PacketHeaders(
        transportProtocol: proto, source: Address(source)!, destination: Address(destination)!, sourcePort: ports.0,
        destinationPort: ports.1, tcpFlags: TCPFlags(rawValue: flags), icmpType: icmp.0, icmpCode: icmp.1)
}

struct CompiledRulesetTests {
    private let udp = packet(.udp, "10.0.0.1", "10.0.0.2", ports: (1024, 53))

    @Test func emptyRulesetPassesEverything() {
        let match = CompiledRuleset.empty.evaluate(udp, interface: 0, direction: .in)
        #expect(match == Match(entry: 0, blocks: false, returnPolicy: .none, procedure: -1))
        #expect(CompiledRuleset.empty.rules.count == 1)
        #expect(CompiledRuleset.empty.canonicalText() == "")
    }

    @Test func packetsThatNoRuleMatchesAreBlocked() throws {
        let match = try compile("group default { pass out all }").evaluate(udp, interface: 0, direction: .in)
        #expect(match == Match(entry: 0, blocks: true, returnPolicy: .none, procedure: -1))
    }

    @Test func entriesCountGroupHeadersAndEndWithTheDefaultGroup() throws {
        let ruleset = try compile(
            """
            procedure "p" { lua: call f }
            procedure "q" { lua: call g }
            group default {
              block return-rst all apply "q"
            }
            group "a" out on eth0 {
              group "b" { pass in to any port 22 }
              block on eth1 all
            }
            """)
        let shown = ruleset.rules.map {
            "\($0.kind) \($0.depth) \($0.text) \($0.location.map { $0.description } ?? "-")"
        }
        #expect(
            shown == [
                "noMatch 0 no rule matched -",
                "group 0 group \"a\" out on eth0 npf.conf:6:1",
                "group 1 group \"b\" npf.conf:7:3",
                "rule 2 pass in to any port 22 npf.conf:7:15",
                "rule 1 block on eth1 all npf.conf:8:3",
                "group 0 group default npf.conf:3:1",
                "rule 1 block return-rst all apply \"q\" npf.conf:4:3",
            ])
        #expect(ruleset.interfaceNames == ["eth0", "eth1"])
        let match = ruleset.evaluate(udp, interface: 2, direction: .in)
        #expect(match == Match(entry: 6, blocks: true, returnPolicy: .rst, procedure: 1))
    }

    @Test func interfacesThatNoRuleNamesMatchOnlyRulesWithoutOne() throws {
        let ruleset = try compile("group default { pass all; block on eth0 all; block on eth1 all }")
        let entries = (0...3).map { ruleset.evaluate(udp, interface: $0, direction: .in).entry }
        #expect(entries == [2, 3, 4, 2])
    }

    /// The walk's consequences as NPF has them: the rule that decides, by its number.
    @Test(arguments: [
        ("group default { pass all; block all }", 3),
        ("group default { pass final all; block all }", 2),
        // A group in which nothing matches is not the end.
        ("group \"a\" { block from 10.9.9.9 }\ngroup \"b\" { pass all }\ngroup default { block all }", 4),
        ("group \"a\" { block from 10.9.9.9 }\ngroup default { pass all }", 4),
        // The first group with a match decides.
        ("group \"a\" { pass all }\ngroup \"b\" { block all }\ngroup default { block all }", 2),
        // A group behind a match ends the walk, and rules behind it are not reached.
        ("group \"a\" { pass all; group \"b\" { block all }; block all }\ngroup default { }", 2),
        // Rules behind a group that matched override it.
        ("group \"a\" { group \"b\" { pass all }; block all }\ngroup default { }", 4),
        // But for another group between them.
        ("group \"a\" { group \"b\" { pass all }; group \"c\" out { }; block all }\ngroup default { }", 3),
        // A group of another direction is skipped with all its members.
        ("group \"a\" out { group \"b\" { pass all }; pass all }\ngroup default { block all }", 6),
    ])
    func walk(_ text: String, _ entry: Int32) throws {
        let match = try compile(text).evaluate(udp, interface: 0, direction: .in)
        #expect(match.entry == entry, "\(text)")
    }

    @Test func returnPoliciesAreTheActions() throws {
        let cases: [(String, Bool, ReturnPolicy)] = [
            ("pass", false, .none), ("block", true, .none), ("block return", true, .both),
            ("block return-rst", true, .rst), ("block return-icmp", true, .icmp),
        ]
        for (action, blocks, policy) in cases {
            let match = try compile("group default { \(action) all }").evaluate(udp, interface: 0, direction: .out)
            #expect(match == Match(entry: 2, blocks: blocks, returnPolicy: policy, procedure: -1), "\(action)")
        }
    }

    @Test func laterFragmentsMatchNoCriterionOfLayer4() throws {
        var fragment = packet(.udp, "10.0.0.1", "10.0.0.2")
        fragment.isFragment = true
        fragment.isLaterFragment = true
        for (rule, matches) in [
            ("pass all", true), ("pass proto udp all", true), ("pass from 10.0.0.1", true),
            ("pass to any port 0-65535", false), ("pass from any port 0", false),
        ] {
            let match = try compile("group default { \(rule) }").evaluate(fragment, interface: 0, direction: .in)
            #expect((match.entry != 0) == matches, "\(rule)")
        }
        for (proto, rule) in [
            (IPProtocol.tcp, "pass proto tcp flags S/SA all"), (.icmp, "pass proto icmp icmp-type 0 all"),
        ] {
            fragment.transportProtocol = proto
            fragment.tcpFlags = TCPFlags(rawValue: 2)
            let ruleset = try compile("group default { \(rule) }")
            #expect(ruleset.evaluate(fragment, interface: 0, direction: .in).entry == 0, "\(rule)")
            fragment.isLaterFragment = false
            #expect(ruleset.evaluate(fragment, interface: 0, direction: .in).entry == 2, "\(rule)")
            fragment.isLaterFragment = true
        }
    }

    @Test func longListsAreSearchedCorrectly() throws {
        let ports = (0..<200).map { "\($0 * 7 + 100)-\($0 * 7 + 102)" }.shuffledBy(3).joined(separator: ", ")
        let addresses = (0..<200).map { "10.0.\($0).\($0)" }.shuffledBy(4).joined(separator: ", ")
        let ruleset = try compile("group default { pass from { \(addresses) } to any port { \(ports) } }")
        for port in UInt16(90)...1_600 {
            let expected = port >= 100 && port < 1_500 && (port - 100) % 7 < 3
            let match = ruleset.evaluate(
                packet(.tcp, "10.0.77.77", "::1", ports: (0, port)), interface: 0, direction: .in)
            #expect((match.entry == 2) == expected, "\(port)")
        }
        for octet in 0..<256 {
            let headers = packet(.tcp, "10.0.\(octet).\(min(octet, 199))", "10.0.0.1", ports: (0, 100))
            #expect((ruleset.evaluate(headers, interface: 0, direction: .in).entry == 2) == (octet < 200), "\(octet)")
        }
    }
}

extension Array {
    fileprivate func shuffledBy(_ seed: UInt64) -> [Element] {
        var random = SplitMix64(state: seed)
        return shuffled(using: &random)
    }
}
