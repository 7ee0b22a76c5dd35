import ConfigLanguage
import Packet
import Ruleset
import TestSupport
import Testing

struct RandomRulesetTests {
    /// The compiled walk against the reference on 1,000,000 packets.
    @Test func decisionsAreTheReferences() throws {
        var generator = RandomConfiguration(random: SplitMix64(state: 1))
        var (passed, blocked, unmatched, dynamic, scripts, disagreements) = (0, 0, 0, 0, 0, 0)
        for _ in 0..<4_000 {
            generator.startConfiguration()
            let text = generator.text()
            let configuration = try parse(text)
            var reference = ReferenceEvaluator(configuration: configuration)
            reference.tables = RandomConfiguration.tables.mapValues { $0.map { Prefix($0)! } }
            var ruleset = try CompiledRuleset(compiling: configuration, packetFilter: compileByteFilter)
            for name in ruleset.dynamicRulesets.map(\.name) {
                for _ in 0..<Int.random(in: 0...3, using: &generator.random) {
                    ruleset = try ruleset.adding(rule: generator.rule(isDynamic: true), to: name).ruleset
                }
                reference.dynamicRules[name] = try ruleset.dynamicRules(of: name).map(\.rule)
            }
            let tables = TestTables(of: ruleset, RandomConfiguration.tables)
            for round in 0..<250 {
                let (headers, interface, direction) = generator.packet()
                let packet = ReferenceEvaluator.Packet(
                    headers: headers, bytes: generator.bytes(), interface: interface, direction: direction)
                let (match, asked) = evaluate(ruleset, packet, tables.lookup)
                let expected = reference.evaluate(packet)
                if !agrees(match, expected, in: ruleset) {
                    disagreements += 1
                    if disagreements == 1 { Issue.record("\(packet): \(match), not \(expected.entry)\n\(text)") }
                }
                if round % 10 == 0 {
                    try expectExplanation(of: match, ruleset, packet, tables.lookup)
                }
                scripts += asked
                if match.dynamicRule >= 0 { dynamic += 1 }
                if match.entry == 0 { unmatched += 1 } else if match.blocks { blocked += 1 } else { passed += 1 }
            }
            withExtendedLifetime(tables) {}
        }
        #expect(disagreements == 0)
        // The comparison says little if the packets miss the rules.
        #expect(passed > 100_000 && blocked > 100_000 && unmatched > 100_000, "\(passed) \(blocked) \(unmatched)")
        #expect(dynamic > 20_000 && scripts > 5_000, "\(dynamic) \(scripts)")
    }

    /// The match, with the scripts that were asked.
    private func evaluate(
        _ ruleset: CompiledRuleset, _ packet: ReferenceEvaluator.Packet, _ tables: TableLookup
    ) -> (Match, asked: Int) {
        var walk = RuleWalk(packet.headers, interface: id(of: packet, in: ruleset), direction: packet.direction)
        var asked = 0
        while true {
            switch unsafe ruleset.evaluate(&walk, bytes: packet.bytes.span.bytes, tables: tables) {
            case .decided(let match): return (match, asked)
            case .needsScript(let script, _):
                asked += 1
                walk.resume(matching: ruleset.scriptFilters[Int(script)].file == "yes.lua")
            }
        }
    }

    private func id(of packet: ReferenceEvaluator.Packet, in ruleset: CompiledRuleset) -> UInt16 {
        ruleset.interfaceNames.firstIndex(of: packet.interface).map { UInt16($0 + 1) } ?? 0
    }

    private func expectExplanation(
        of match: Match, _ ruleset: CompiledRuleset, _ packet: ReferenceEvaluator.Packet, _ tables: TableLookup
    ) throws {
        let explained = unsafe ruleset.explain(
            packet.headers, bytes: packet.bytes.span.bytes, interface: id(of: packet, in: ruleset),
            direction: packet.direction, tables: tables
        ) { ruleset.scriptFilters[$0].file == "yes.lua" }
        #expect(explained.match == match)
        try expectStepsLead(to: match, explained.steps)
    }

    private func agrees(_ match: Match, _ expected: ReferenceEvaluator.Verdict, in ruleset: CompiledRuleset) -> Bool {
        guard Int(match.entry) == expected.entry, Int(match.dynamicRule) == expected.dynamicRule else { return false }
        guard let rule = expected.rule else {
            return match.blocks && match.procedure == -1 && match.returnPolicy == .none && match.state == .none
        }
        let procedure = match.procedure < 0 ? nil : ruleset.procedures[Int(match.procedure)].name
        let action: Configuration.Action = match.blocks ? .block(match.returnPolicy) : .pass
        guard action == rule.action && procedure == rule.procedure && match.state == rule.state else { return false }
        if match.dynamicRule >= 0 { return ruleset.rules[expected.entry].kind == .ruleset }
        return ruleset.rules[expected.entry].location == rule.location
            && ruleset.rules[expected.entry].text == rule.text
    }

    @Test func printedConfigurationsParseToThemselves() throws {
        var generator = RandomConfiguration(random: SplitMix64(state: 2))
        for _ in 0..<2_000 {
            generator.startConfiguration()
            let text = generator.text()
            let configuration = try parse(text)
            let printed = configuration.text()
            let reparsed = try parse(printed)
            #expect(withoutLocations(reparsed) == withoutLocations(configuration), "\(text)")
            #expect(reparsed.text() == printed, "\(text)")
        }
    }

    /// All that a tree says, but its places.
    private func withoutLocations(_ configuration: Configuration) -> String {
        "\(configuration)".split(separator: "npf.conf:", omittingEmptySubsequences: false)
            .map { $0.drop { $0.isNumber || $0 == ":" } }
            .joined(separator: "@")
    }
}

/// The configuration that `text` says.
func parse(_ text: String) throws -> Configuration {
    try Configuration(parsing: Array(text.utf8), file: "npf.conf")
}
