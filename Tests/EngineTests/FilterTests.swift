import ConfigLanguage
import Engine
import Packet
import TestSupport
import Testing

@Suite struct FilterTests {
    struct Answer: CustomTestStringConvertible {
        var script: String
        var options = ""
        var rule = "pass"
        var verdict: Verdict
        var cause: Cause
        var isAnswered = false
        var testDescription: String { "\(rule): \(script) \(options)" }
    }

    static let answers = [
        Answer(script: "return true", verdict: .pass, cause: .rule),
        Answer(script: "return", verdict: .pass, cause: .rule),
        Answer(script: "return nil", verdict: .pass, cause: .rule),
        Answer(script: "return false", verdict: .block, cause: .procedure),
        Answer(script: "return 'return'", verdict: .block, cause: .procedure, isAnswered: true),
        Answer(script: "return 'pass-flow'", verdict: .pass, cause: .rule),
        Answer(script: "return 'block-flow'", verdict: .block, cause: .procedure),
        Answer(script: "return 'nonsense'", verdict: .block, cause: .error),
        Answer(script: "return 1", verdict: .block, cause: .error),
        Answer(script: "error 'oh'", verdict: .block, cause: .error),
        Answer(script: "error 'oh'", options: ", error pass", verdict: .pass, cause: .error),
        Answer(script: "while true do end", options: ", instructions 1000", verdict: .block, cause: .error),
        Answer(script: "while true do end", options: ", time 1, error pass", verdict: .pass, cause: .error),
        Answer(
            script: "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", options: ", memory 200k",
            verdict: .block, cause: .error),
        // Never the reverse: what the rule blocks stays blocked, and is the rule's.
        Answer(script: "return true", rule: "block", verdict: .block, cause: .rule),
        Answer(script: "return 'pass-flow'", rule: "block", verdict: .block, cause: .rule),
        Answer(script: "return false", rule: "block", verdict: .block, cause: .rule),
        Answer(script: "return true", rule: "block return", verdict: .block, cause: .rule, isAnswered: true),
        Answer(
            script: "error 'oh'", options: ", error pass", rule: "block return", verdict: .block, cause: .error,
            isAnswered: true),
    ]

    @Test(arguments: answers)
    func answerOfAScriptBecomesADecision(_ answer: Answer) throws {
        var filter = try ScriptedFilter(
            "function filter(hdr, pld) \(answer.script) end", options: answer.options, rule: answer.rule)
        // Twice: what a script has come to must not change how it serves the next packet.
        for _ in 1...2 {
            let decision = filter.decide(segment(.ack, "x"), time: 1_000)
            if decision.cause == .state { continue }
            #expect(decision.verdict == answer.verdict)
            #expect(decision.cause == answer.cause)
            #expect(decision.isAnswered == answer.isAnswered)
            #expect(decision.entry == 3)
            #expect(!decision.isChanged)
        }
    }

    @Test(arguments: [("closed", Verdict.block), ("open", .pass)])
    func setFailDecidesWhereTheProcedureDoesNotSay(_ fail: String, _ verdict: Verdict) throws {
        var filter = try ScriptedFilter("function filter(pkt) error 'oh' end", settings: "set fail \(fail)")
        #expect(filter.decide(datagram("x")).verdict == verdict)
    }

    @Test func functionGetsWhatItsParametersSay() throws {
        for (script, isIPv6) in [
            ("function filter(pkt) return #pkt == 20 + 8 + 3 and tostring(pkt):sub(-3) == 'abc' end", false),
            ("function filter(hdr, pld) return #hdr == 28 and tostring(pld) == 'abc' end", false),
            ("function filter(hdr, pld) return #hdr == 48 and tostring(pld) == 'abc' end", true),
            (
                """
                function filter(hdr, pld, ctx)
                  return #hdr == 28 and tostring(pld) == 'abc' and ctx.interface == 'eth0' and ctx.direction == 'in'
                    and ctx.rule == 'pass proto { tcp, udp } all apply "p"' and ctx.mark == 7 and ctx.time == 1.5
                end
                """, false
            ),
        ] {
            var filter = try ScriptedFilter(script)
            let decision = filter.decide(datagram("abc", ipv6: isIPv6), time: 1_500_000_000)
            #expect(decision.verdict == .pass, "\(script)")
            #expect(decision.cause == .rule, "\(script)")
        }
    }

    @Test func paddingBehindThePacketIsNotShown() throws {
        var filter = try ScriptedFilter("function filter(hdr, pld) return #pld == 3 end")
        #expect(filter.decide(datagram("abc") + [0, 0, 0, 0]).verdict == .pass)
    }

    @Test func segmentOfThePacketEndsWhereThePacketEnds() throws {
        var filter = try ScriptedFilter(
            """
            function filter(hdr, pld)
              local start = pld:segment(0, 255)
              return tostring(start) == 'abc' and #pld:segment(1, 255) == 2 and pld:segment(3, 1) == nil
                and start:segment(0, 4) == nil and start:segment(1, 3) == nil and #start:segment(1, 2) == 2
            end
            """)
        #expect(filter.decide(datagram("abc")).verdict == .pass)
    }

    @Test(arguments: [false, true])
    func changedPacketHasValidChecksums(_ isIPv6: Bool) throws {
        var filter = try ScriptedFilter(
            """
            function filter(hdr, pld)
              pld:layout{ word = {0, 6, 'string'} }
              if pld.word == 'secret' then pld.word = 'hidden' end
            end
            """)
        var packet = datagram("secret plan", ipv6: isIPv6)
        var decision = filter.decide(&packet)
        #expect(decision.isChanged)
        #expect(decision.verdict == .pass)
        #expect(try hasValidChecksums(packet))
        #expect(String(decoding: packet.suffix(11), as: UTF8.self) == "hidden plan")

        var other = datagram("public plan", ipv6: isIPv6)
        decision = filter.decide(&other)
        #expect(!decision.isChanged)
        #expect(other == datagram("public plan", ipv6: isIPv6))
    }

    @Test func ruleThatForbidsEditsShowsThePacketReadOnly() throws {
        var filter = try ScriptedFilter(
            "function filter(hdr, pld) hdr.ttl = 5 end", options: ", error pass, edit off")
        var packet = datagram("abc")
        let decision = filter.decide(&packet)
        #expect(decision.cause == .error)
        #expect(!decision.isChanged)
        #expect(packet == datagram("abc"))
    }

    @Test func whatAFailedCallHasChangedIsNotSent() throws {
        var filter = try ScriptedFilter(
            "function filter(hdr, pld) pld:layout{ b = {0, 8} } pld.b = 0 error 'oh' end", options: ", error pass")
        let decision = filter.decide(datagram("abc"))
        #expect(decision.verdict == .pass)
        #expect(!decision.isChanged)
    }

    @Test func packetThatAScriptMakesUnreadableIsBlocked() throws {
        var filter = try ScriptedFilter("function filter(hdr) hdr:layout{ version = {0, 4} } hdr.version = 9 end")
        let decision = filter.decide(datagram("abc"))
        #expect(decision.verdict == .block)
        #expect(decision.cause == .procedure)
    }

    @Test func malformedPacketsAreBlocked() throws {
        var filter = try ScriptedFilter("function filter(pkt) end")
        let broken: [[UInt8]] = [[], [0x45], Array(datagram("abc").prefix(24)), [0x95] + datagram("abc").dropFirst()]
        for packet in broken {
            let decision = filter.decide(packet)
            #expect(decision.verdict == .block)
            #expect(decision.cause == .malformed)
            #expect(decision.entry == 0)
        }
    }

    @Test func packetWithoutARuleIsBlockedAndPassesWithoutRules() throws {
        let folder = try ScriptFolder([:])
        let configuration = try folder.load("group default {\n\tpass proto tcp all\n}\n")
        for (loaded, verdict) in [(configuration, Verdict.block), (.empty(keeping: configuration), .pass)] {
            var filter = try Filter(loaded, seed: 1)
            var packet = datagram("x")
            let decision = unsafe packet.withUnsafeMutableBytes { packet in
                unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1) { name in
                    unsafe name[0] = 0
                    return unsafe filter.decide(
                        packet,
                        from: PacketOrigin(
                            interface: 0, interfaceName: name.baseAddress!, direction: .in, time: 0, clock: 0))
                }
            }
            #expect(decision.verdict == verdict)
            #expect(decision.cause == .nomatch)
        }
    }

    @Test func viewKeptByAScriptIsEmptyForGood() throws {
        var filter = try ScriptedFilter(
            """
            local kept, count = nil, 0
            function filter(hdr, pld)
              count = count + 1
              if count == 1 then
                kept = { hdr, pld, pld:segment(0, 2), hdr:segment(4) }
                for _, view in ipairs(kept) do view:layout{ byte = {0, 8}, text = {0, 1, 'string'} } end
                return true
              end
              for _, view in ipairs(kept) do
                view.byte = 1
                if #view ~= 0 or view.byte or view.text or tostring(view) ~= '' or view:segment() then return false end
              end
              return tostring(pld) == 'abc'
            end
            """)
        for _ in 1...3 { #expect(filter.decide(datagram("abc")).verdict == .pass) }
    }

    /// A passed flow is spared the script that passed it, and nothing else.
    @Test func passedFlowStillMeetsTheRulesAndABlockedOneMeetsNone() throws {
        let folder = try ScriptFolder([
            "pass.lua": "calls = 0\nfunction pass(pkt) calls = calls + 1 return calls == 1 and 'pass-flow' end",
            "block.lua": "function block(hdr, pld) return tostring(pld) == 'shut' and 'block-flow' or true end",
        ])
        var filter = try Filter(
            folder.load(
                """
                procedure "pass" { lua: call pass }
                procedure "block" { lua: call block }
                group default {
                \tpass in all apply "pass"
                \tpass out all apply "block"
                \tblock out proto tcp all
                }

                """), seed: 1)
        for (packet, direction, verdict, cause) in [
            (segment(.ack, "x"), Direction.in, Verdict.pass, Cause.rule), (segment(.ack, "x"), .in, .pass, .state),
            // Never a block into a pass.
            (segment(.ack, "x"), .out, .block, .rule), (datagram("open"), .out, .pass, .rule),
            (datagram("shut"), .out, .block, .procedure), (datagram("open"), .out, .block, .state),
            (datagram("open"), .in, .block, .state),
        ] {
            var packet = packet
            let decision = unsafe packet.withUnsafeMutableBytes { packet in
                unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1) { name in
                    unsafe name[0] = 0
                    return unsafe filter.decide(
                        packet,
                        from: PacketOrigin(
                            interface: 0, interfaceName: name.baseAddress!, direction: direction, time: 0, clock: 0))
                }
            }
            #expect(decision.verdict == verdict)
            #expect(decision.cause == cause)
        }
    }

    @Test func everyRuleHasAStateOfItsOwn() throws {
        let folder = try ScriptFolder([
            "filter.lua": "count = 0\nfunction filter(pkt) count = count + 1 return count <= 1 end"
        ])
        var filter = try Filter(
            folder.load(
                """
                procedure "p" { lua: call filter }
                group default {
                \tpass in all apply "p"
                \tpass out all apply "p"
                }

                """), seed: 1)
        func decide(_ filter: inout Filter, _ direction: Direction) -> Verdict {
            var packet = datagram("x")
            return unsafe packet.withUnsafeMutableBytes { packet in
                unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1) { name in
                    unsafe name[0] = 0
                    return unsafe filter.decide(
                        packet,
                        from: PacketOrigin(
                            interface: 0, interfaceName: name.baseAddress!, direction: direction, time: 0, clock: 0)
                    ).verdict
                }
            }
        }
        #expect(decide(&filter, .in) == .pass)
        #expect(decide(&filter, .out) == .pass)
        #expect(decide(&filter, .in) == .block)
        #expect(decide(&filter, .out) == .block)
    }

    /// Where the name of the file was guessed from the function's, what is missing may be the file's name.
    @Test(arguments: [
        (
            "procedure \"p\" { lua: call f }", "1:17", "f.lua",
            "; `file \"NAME.lua\"` behind `call f` names another script"
        ),
        ("procedure \"p\" { lua: call f, file \"g.lua\" }", "1:17", "g.lua", ""),
        ("group \"a\" { pass all lua-filter \"match.lua\" }", "1:33", "match.lua", ""),
    ])
    func missingScriptIsNamed(rules: String, place: String, file: String, advice: String) throws {
        let folder = try ScriptFolder([:])
        let errors = #expect(throws: ConfigurationErrors.self) {
            try folder.load("\(rules)\ngroup default { pass all }")
        }
        #expect(
            errors?.diagnostics.map(\.description) == [
                "npf.conf:\(place): \(folder.path)/\(file): No such file or directory\(advice)"
            ])
    }
}
