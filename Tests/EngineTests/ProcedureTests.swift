import ConfigLanguage
import ControlProtocol
import Engine
import Foundation
import LuaRuntime
import Packet
import Procedures
import SystemSupport
import TestSupport
import Testing

/// Procedures of several calls, and rules that ask a script.
@Suite struct ProcedureTests {
    private func filter(_ rules: String, _ scripts: [String: String]) throws -> OfflineFilter {
        try OfflineFilter(ScriptFolder(scripts).load(rules))
    }

    private func decide(_ filter: inout OfflineFilter, _ packet: inout [UInt8]) -> Decision {
        filter.decide(&packet, on: "eth0", .in, time: 1, clock: 1)
    }

    @Test func callsRunInTheirOrder() throws {
        let scripts = [
            "sees.lua": "function sees(pkt) local ttl = pkt:segment(8, 1) return tostring(ttl):byte() == 99 end"
        ]
        for (calls, verdict) in [
            ("normalize: \"min-ttl\" 99\nlua: call sees", Verdict.pass),
            ("lua: call sees\nnormalize: \"min-ttl\" 99", .block),
        ] {
            var filter = try filter("procedure \"p\" {\n\(calls)\n}\ngroup default { pass all apply \"p\" }", scripts)
            var packet = datagram("x")
            let decision = decide(&filter, &packet)
            #expect(decision.verdict == verdict, "\(calls)")
            guard verdict == .pass else { continue }
            #expect(decision.isChanged)
            #expect(packet[8] == 99)
            #expect(try hasValidChecksums(packet))
        }
    }

    @Test(arguments: [256, 257]) func logFilesAreFew(count: Int) throws {
        let procedures = (0..<count).map { "procedure \"p\($0)\" { log: f\($0) }\n" }.joined()
        let rules = procedures + "group default { pass all apply \"p0\" }"
        guard count > 256 else {
            _ = try filter(rules, [:])
            return
        }
        #expect {
            _ = try filter(rules, [:])
        } throws: {
            "\($0)".hasPrefix("npf.conf:257:") && "\($0)".contains("at most 256 files")
        }
    }

    @Test func addressesOfAnInterfaceMayBeMoreThanATableHolds() throws {
        let rules = "set table.limit 1\ngroup default { pass from ifaddrs(lo) }"
        let count = Set(Interfaces.addresses(of: "lo")).count
        do {
            _ = try filter(rules, [:])
            #expect(count <= 1)
        } catch {
            #expect(count > 1)
            #expect("\(error)".hasPrefix("npf.conf:1:1: addresses of lo: "), "\(error)")
        }
    }

    @Test func whatAFailedScriptHasChangedIsUndoneBeforeTheNextCall() throws {
        let scripts = [
            "spoil.lua":
                "function spoil(hdr, pld) pld:layout(require 'data'.layout{ first = {0, 8} }) pld.first = 0 error 'oh' end"
        ]
        var filter = try filter(
            """
            procedure "p" {
              normalize: "min-ttl" 99
              lua: call spoil, error pass
              normalize: "no-df"
            }
            group default { pass all apply "p" }
            """, scripts)
        var packet = datagram("payload")
        packet[6] |= 0x40
        mend(&packet)
        let decision = decide(&filter, &packet)
        #expect((decision.verdict, decision.cause, decision.isChanged) == (.pass, .error, true))
        #expect(packet[8] == 99 && packet[6] & 0x40 == 0)
        #expect(packet.suffix(7).elementsEqual("payload".utf8))
        #expect(try hasValidChecksums(packet))
    }

    /// What a script does to a packet that is blocked goes nowhere but to the log, and there it is whole.
    @Test func blockedPacketThatAScriptChangesHasRightChecksums() throws {
        var filter = try filter(
            """
            procedure "p" {
              lua: call change
              log: x
            }
            group default { block all apply "p" }
            """, ["change.lua": Self.change])
        var packet = datagram("payload")
        #expect(decide(&filter, &packet).verdict == .block)
        var logged: [[UInt8]] = []
        unsafe filter.filter.log.drain { _, bytes in logged.append(unsafe Array(bytes)) }
        #expect(logged.count == 1 && logged[0].last == UInt8(ascii: "!"))
        #expect(try hasValidChecksums(logged[0]))
    }

    private static let change = """
        local last, host = require 'data'.layout{ c = {48, 8} }, require 'data'.layout{ a = {96, 8}, p = {160, 8} }
        function change(hdr, pld)
          pld:layout(last) pld.c = 33
          hdr:layout(host) hdr.a = 99 hdr.p = 99
          return ANSWER
        end
        """

    /// Whoever is told that its packet was blocked is told about the packet that it sent.
    @Test(arguments: [
        ("block return", "nil", "lua: call change"), ("pass", "'return'", "lua: call change"),
        ("pass", "'return'", "normalize: \"min-ttl\" 99\nlua: call change, edit off, error pass"),
    ])
    func answersAreAboutThePacketAsItCame(rule: String, answer: String, calls: String) throws {
        let script = calls.contains("edit off") ? "function change(pkt) return ANSWER end" : Self.change
        let rules = "procedure \"p\" {\n\(calls)\n}\ngroup default { \(rule) all apply \"p\" }"
        for original in [datagram("payload"), segment(.syn, "payload")] {
            var filter = try filter(rules, ["change.lua": script.replacingOccurrences(of: "ANSWER", with: answer)])
            var packet = original
            let decision = decide(&filter, &packet)
            #expect((decision.verdict, decision.isAnswered) == (.block, true))
            let headers = try parse(packet)
            #expect(headers.source == (try parse(original)).source)
            // Of TCP the answer has nothing but the headers.
            let count = headers.transportProtocol == .tcp ? headers.payloadOffset : packet.count
            #expect(packet.prefix(count) == original.prefix(count))
        }
    }

    @Test func randomBlockBlocksWithoutAnAnswer() throws {
        var filter = try filter("procedure \"p\" { rndblock: mod 1 }\ngroup default { pass all apply \"p\" }", [:])
        var packet = datagram("x")
        let decision = decide(&filter, &packet)
        #expect((decision.verdict, decision.cause, decision.isAnswered) == (.block, .procedure, false))
    }

    @Test func passedFlowSkipsTheScriptAlone() throws {
        var filter = try filter(
            """
            procedure "p" {
              lua: call filter
              normalize: "min-ttl" 99
            }
            group default { pass all apply "p" }
            """,
            [
                "filter.lua":
                    "local n = 0 function filter(hdr, pld) n = n + 1 if n > 1 then return false end return 'pass-flow' end"
            ])
        for _ in 1...3 {
            var packet = datagram("x")
            #expect(decide(&filter, &packet).verdict == .pass)
            #expect(packet[8] == 99)
        }
    }

    @Test func ruleMatchesWhereItsScriptReturnsTrue() throws {
        // The rule that asks, what its script does, and what becomes of a packet that the rule before blocks or passes.
        let cases: [(rule: String, body: String, settings: String, verdict: Verdict)] = [
            ("pass", "return true", "", .pass), ("pass", "return false", "", .block),
            ("pass", "return nil", "", .block),
            ("pass", "", "", .block), ("pass", "return 'return'", "", .block), ("pass", "error 'oh'", "", .block),
            ("pass", "while true do end", "", .block), ("block", "return true", "", .block),
            ("block", "return false", "", .pass), ("block", "error 'oh'", "", .block),
            ("block", "return 1", "", .block), ("block", "error 'oh'", "set fail open", .pass),
            ("pass", "error 'oh'", "set fail open", .pass),
        ]
        for (rule, body, settings, verdict) in cases {
            let other = rule == "pass" ? "block" : "pass"
            var filter = try filter(
                "\(settings)\ngroup default {\n\(other) all\n\(rule) final proto udp all lua-filter \"x.lua\"\n}\n",
                ["x.lua": "function match(hdr, pld) \(body) end"])
            var packet = datagram("x")
            #expect(decide(&filter, &packet).verdict == verdict, "\(rule): \(body) \(settings)")
        }
    }

    @Test func ruleAsksItsScriptOnlyWhereAllElseMatches() throws {
        var filter = try filter(
            "group default {\nblock all\npass proto udp to any port 53 lua-filter \"x.lua\" call odd\n}\n",
            ["x.lua": "local n = 0 function odd(pkt) n = n + 1 return n % 2 == 1 end"])
        var (query, segment) = (datagram("x"), segment(.syn))
        for verdict in [Verdict.pass, .block, .pass] {
            #expect(decide(&filter, &segment).verdict == .block)
            #expect(decide(&filter, &query).verdict == verdict)
        }
    }

    @Test func explanationAsksAScriptOnce() throws {
        let folder = try ScriptFolder(["x.lua": "local n = 0 function match(pkt) n = n + 1 return n % 2 == 1 end"])
        var explainer = try Explainer(
            folder.load("group default {\nblock all\npass proto udp all lua-filter \"x.lua\"\n}\n"))
        let packet = try PacketDescription(parsing: "in proto udp from 192.0.2.1 port 1 to 192.0.2.2 port 2")
        for decision in ["pass", "block", "pass"] {
            let report = explainer.explain(packet, at: 1)
            #expect(report.decision == decision && report.ruleset == decision)
        }
    }

    @Test func policyTestTellsWhatIsOtherwise() throws {
        let folder = try ScriptFolder([:])
        let rules = try folder.load("group default {\n\tblock all\n\tpass stateful out all\n}\n")
        let test = try PolicyTest(
            parsing: """
                # A connection, and what comes too late.
                pass out proto udp from 10.0.0.1 port 5000 to 10.0.0.2 port 53  # the question
                pass in proto udp from 10.0.0.2 port 53 to 10.0.0.1 port 5000
                wait 61
                pass in proto udp from 10.0.0.2 port 53 to 10.0.0.1 port 5000
                """, file: "npf.test")
        #expect(test.packetCount == 3)
        #expect(try test.run(rules) == ["npf.test:5: expected pass, got block by “block all” (npf.conf:2:2)"])
        let errors = #expect(throws: ConfigurationErrors.self) {
            try PolicyTest(parsing: "\n  drop in proto udp", file: "npf.test")
        }
        #expect(errors?.description.hasPrefix("npf.test:2:3: expected `pass`, `block` or `wait`, not `drop`") == true)
    }

    @Test func shippedPolicyTestHoldsForTheShippedRules() throws {
        let folder = "\(#filePath.dropLast("Tests/EngineTests/ProcedureTests.swift".count))etc"
        let rules = try String(contentsOfFile: "\(folder)/npf.conf", encoding: .utf8)
        let text = try String(contentsOfFile: "\(folder)/npf.test", encoding: .utf8)
        let configuration = try LoadedConfiguration(
            text: Array(rules.utf8), file: "npf.conf", scripts: ScriptDirectory(path: "\(folder)/npf"))
        #expect(try PolicyTest(parsing: text, file: "npf.test").run(configuration) == [])
    }
}
