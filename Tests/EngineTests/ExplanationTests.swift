import ConfigLanguage
import ControlProtocol
import Engine
import Packet
import TestSupport
import Testing

/// What `npfctl explain` and `npfctl test` say.
@Suite struct ExplanationTests {
    private func explain(_ rule: String, _ packet: String) throws -> [String] {
        var explainer = try Explainer(
            ScriptFolder(["no.lua": "function match(pkt) return false end"]).load(
                "group \"out\" out { pass all }\ngroup default { \(rule) }"))
        return try explainer.explain(PacketDescription(parsing: packet), at: 1).steps
    }

    /// A criterion of a rule that a packet fails, in the words of the rule.
    @Test(arguments: [
        ("pass out all", "`in` or `out`"), ("pass on eth1 all", "`on`"), ("pass family inet6 all", "`family`"),
        ("pass to 2001:db8::1", "`family`"), ("pass proto udp all", "`proto`"),
        ("pass proto tcp flags A/A all", "`flags`"),
        ("pass from ! 192.0.2.0/24", "`from`"), ("pass from any port 1", "`from … port`"), ("pass to 10.0.0.1", "`to`"),
        ("pass to any port 1", "`to … port`"), ("pass pcap-filter \"udp\"", "`pcap-filter`"),
        ("pass all lua-filter \"no.lua\"", "`lua-filter`"),
    ])
    func criteriaAreNamedAsInRules(rule: String, criterion: String) throws {
        let steps = try explain(rule, "in on eth0 proto tcp from 192.0.2.1 port 40000 to 192.0.2.2 port ssh flags S")
        #expect(steps.first?.hasSuffix(": skipped: `in` or `out`") == true, "\(steps)")
        #expect(steps.last?.hasSuffix(": does not match: \(criterion)") == true, "\(steps)")
    }

    @Test func otherCriteriaAreSentences() throws {
        let late = try explain("pass stateful all", "in proto tcp from 192.0.2.1 port 1 to 192.0.2.2 port 2 flags A")
        #expect(late.last?.hasSuffix(": does not match: `stateful` takes of TCP only what opens a connection") == true)
        let echo = try explain(
            "pass proto icmp icmp-type echo all", "in proto icmp from 192.0.2.1 to 192.0.2.2 icmp-type 3")
        #expect(echo.last?.hasSuffix(": does not match: `icmp-type`") == true)
    }

    /// The names of ICMP types and codes, and of ports, wherever they stand.
    @Test(
        arguments: [
            ("in proto icmp from ::1 to ::1 icmp-type echo", 8, 0),
            ("in icmp-type unreach code port-unr proto icmp from ::1 to ::1", 3, 3),
            ("in icmp-type unreach code port proto ipv6-icmp from ::1 to ::1", 1, 4),
            ("in proto ipv6-icmp from ::1 to ::1 icmp-type echo", 128, 0),
            ("in proto icmp from ::1 to ::1 icmp-type 200 code 9", 200, 9),
        ] as [(String, UInt8, UInt8)])
    func descriptionsTakeNames(text: String, type: UInt8, code: UInt8) throws {
        let description = try PacketDescription(parsing: text)
        #expect((description.type, description.code) == (type, code))
        #expect(try PacketDescription(parsing: description.text) == description)
    }

    /// A shell takes quotes away.
    @Test(arguments: ["SSH-2.0-x", "\"SSH-2.0-x\"", "0x80"])
    func quotesOfContentsMayBeTheShells(text: String) throws {
        let words = ["in", "proto", "tcp", "from", "192.0.2.1", "to", "192.0.2.2", "data"]
        let contents = Array(text.utf8.filter { $0 != UInt8(ascii: "\"") })
        #expect(try PacketDescription(arguments: words + [text]).payload == contents)
        #expect(try PacketDescription(arguments: [(words + ["\"\(text)\""]).joined(separator: " ")]).payload.count > 2)
        #expect(try PacketDescription(arguments: words + ["12"]).payload == [UInt8](repeating: 0, count: 12))
        let named = ["in", "on", "data"] + words[1...] + ["data", "flags", "A"]
        #expect(try PacketDescription(arguments: named).payload == Array("data".utf8))
    }

    @Test(arguments: [
        ("icmp-type ecko", "`ecko` is neither the name nor the number of a type of `proto icmp`"),
        ("icmp-type 256", "`256` is neither the name nor the number of a type of `proto icmp`"),
        ("icmp-type echo code port-unr", "`port-unr` is neither the name nor the number of a code of `icmp-type echo`"),
        ("code", "expected an ICMP code after `code`, not the end"),
    ])
    func namesThatAreNone(words: String, message: String) {
        let error = #expect(throws: PacketDescriptionError.self) {
            try PacketDescription(parsing: "in proto icmp from 192.0.2.1 to 192.0.2.2 \(words)")
        }
        #expect(error?.description == message)
    }

    /// Why a script failed, and what it logged, stands behind what the rules did; the test's line has the reason alone.
    @Test func whatScriptsSayIsShown() throws {
        let rules = try ScriptFolder([
            "f.lua": """
            local npf = require 'npf'
            npf.log('info', 'loaded')
            function filter(hdr, pld)
              npf.log('warning', #pld .. ' bytes')
              return pld.x.y
            end
            """
        ]).load(
            """
            procedure "p" { lua: file "f.lua", call filter, error pass }
            group default { pass in all apply "p"
            pass out all }
            """)
        let packet = "proto udp from 192.0.2.1 port 1 to 192.0.2.2 port 2 data 7"
        let message = "f.lua:5: attempt to index a nil value (field 'x')"
        var explainer = try Explainer(rules)
        let failed = try explainer.explain(PacketDescription(parsing: "in \(packet)"), at: 1).steps
        #expect(failed.contains("script, warning: 7 bytes") && failed.contains("script: \(message)"), "\(failed)")
        #expect(failed.last?.hasPrefix("  ") == true && !failed.contains { $0.contains("loaded") }, "\(failed)")
        #expect(failed.contains("procedure: the script of “p” failed, and its `error pass` decides"), "\(failed)")
        let passed = try explainer.explain(PacketDescription(parsing: "out \(packet)"), at: 1).steps
        #expect(!passed.contains { $0.contains("script") }, "\(passed)")

        // However much it logs before.
        let chatty = try ScriptFolder([
            "f.lua": "function filter(pkt) for i = 1, 70 do require('npf').log('info', '') end error('a\\r\\nb') end"
        ]).load("procedure \"p\" { lua: call filter, file \"f.lua\" }\ngroup default { pass all apply \"p\" }")
        var other = try Explainer(chatty)
        let said = try other.explain(PacketDescription(parsing: "in \(packet)"), at: 1).steps
        #expect(said.count { $0 == "script, info: " } == 63 && said.last == "script: 7 more messages", "\(said)")
        #expect(said.contains("procedure: the script of “p” failed, and its `error block` decides"), "\(said)")
        #expect(said.contains("script: f.lua:1: a") && said.contains("  b"), "\(said)")

        let test = try PolicyTest(parsing: "block in \(packet)\npass in \(packet)\nblock out \(packet)", file: "t")
        var notes: [String] = []
        #expect(
            try test.run(rules, note: { notes.append($0) }) == [
                "t:1: expected block, got pass by “pass in all apply \"p\"” (npf.conf:2:17); a script failed: \(message)",
                "t:3: expected block, got pass by “pass out all” (npf.conf:3:1)",
            ])
        #expect(notes == ["t:2: decided as expected, but a script failed: \(message)"])
    }

    /// What passes by its state meets the procedure of the rule that made that, not of the one that matches.
    @Test func procedureOfTheStateIsNamed() throws {
        var explainer = try Explainer(
            ScriptFolder(["filter.lua": "function filter(hdr, pld) return #pld < 2 end"]).load(
                """
                procedure "p" { lua: call filter }
                group default { pass stateful out proto udp all apply "p"
                block in all }
                """))
        let packets = [
            "out proto udp from 192.0.2.1 port 1 to 192.0.2.2 port 2 data 1",
            "in proto udp from 192.0.2.2 port 2 to 192.0.2.1 port 1 data 2",
        ]
        let steps = try packets.map { try explainer.explain(PacketDescription(parsing: $0), at: 1).steps }
        #expect(!steps[0].contains { $0.hasPrefix("procedure") }, "\(steps[0])")
        #expect(steps[1].contains("procedure: “p” blocks the packet"), "\(steps[1])")
    }

    @Test func everyLineOfATestThatCannotBeReadIsNamed() {
        let text = "drop all\n# comment\npass in proto tcp from 10.0.0.1 port x to 10.0.0.2\n  wait -1\n"
        let error = #expect(throws: ConfigurationErrors.self) { try PolicyTest(parsing: text, file: "t") }
        #expect(
            error?.diagnostics.map(\.description) == [
                "t:1:1: expected `pass`, `block` or `wait`, not `drop`",
                "t:3:1: expected a port's name, or its number from 0 to 65535, after `port`, not `x`",
                "t:4:3: expected a number of seconds after `wait`",
            ])
    }
}
