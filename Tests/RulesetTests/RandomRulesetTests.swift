import ConfigLanguage
import Packet
import Ruleset
import TestSupport
import Testing

struct RandomRulesetTests {
    @Test func compiledRulesetsAgreeWithTheReference() throws {
        var generator = RandomConfiguration(random: SplitMix64(state: 1))
        var (passed, blocked, unmatched, disagreements) = (0, 0, 0, 0)
        for _ in 0..<2_000 {
            let text = generator.text()
            let configuration = try parse(text)
            let ruleset = try CompiledRuleset(compiling: configuration)
            let reference = ReferenceEvaluator(configuration: configuration)
            for _ in 0..<100 {
                let (headers, interface, direction) = generator.packet()
                let id = ruleset.interfaceNames.firstIndex(of: interface).map { UInt16($0 + 1) } ?? 0
                let match = ruleset.evaluate(headers, interface: id, direction: direction)
                let expected = reference.evaluate(headers, interface: interface, direction: direction)
                if !agrees(match, expected, in: ruleset) {
                    disagreements += 1
                    if disagreements == 1 {
                        Issue.record(
                            "\(headers) on \(interface) \(direction): \(match), not \(expected.entry)\n\(text)")
                    }
                }
                if match.entry == 0 { unmatched += 1 } else if match.blocks { blocked += 1 } else { passed += 1 }
            }
        }
        #expect(disagreements == 0)
        // The comparison says little if the packets miss the rules.
        #expect(passed > 25_000 && blocked > 50_000 && unmatched > 50_000, "\(passed) \(blocked) \(unmatched)")
    }

    private func agrees(_ match: Match, _ expected: ReferenceEvaluator.Verdict, in ruleset: CompiledRuleset) -> Bool {
        guard Int(match.entry) == expected.entry else { return false }
        guard let rule = expected.rule else {
            return match.blocks && match.procedure == -1 && match.returnPolicy == .none
        }
        let procedure = match.procedure < 0 ? nil : ruleset.procedures[Int(match.procedure)].name
        let action: Configuration.Action = match.blocks ? .block(match.returnPolicy) : .pass
        return action == rule.action && procedure == rule.procedure
            && ruleset.rules[expected.entry].location == rule.location
            && ruleset.rules[expected.entry].text == rule.text
    }

    @Test func printedConfigurationsParseToThemselves() throws {
        var generator = RandomConfiguration(random: SplitMix64(state: 2))
        for _ in 0..<2_000 {
            let text = generator.text()
            let configuration = try parse(text)
            let printed = configuration.text()
            let reparsed = try parse(printed)
            #expect(withoutLocations(reparsed) == withoutLocations(configuration), "\(text)")
            #expect(reparsed.text() == printed, "\(text)")
        }
    }

    private func withoutLocations(_ configuration: Configuration) -> Configuration {
        let nowhere = SourceLocation(file: "", line: 0, column: 0)
        func strip(_ group: Configuration.Group) -> Configuration.Group {
            var group = group
            group.location = nowhere
            group.items = group.items.map { item in
                switch item {
                case .group(let inner):
                    return .group(strip(inner))
                case .rule(var rule):
                    rule.location = nowhere
                    return .rule(rule)
                }
            }
            return group
        }
        var configuration = configuration
        configuration.groups = configuration.groups.map(strip)
        for index in configuration.settings.indices { configuration.settings[index].location = nowhere }
        for index in configuration.procedures.indices {
            configuration.procedures[index].location = nowhere
            configuration.procedures[index].call.location = nowhere
            configuration.procedures[index].call.instructions?.location = nowhere
            configuration.procedures[index].call.memory?.location = nowhere
            configuration.procedures[index].call.milliseconds?.location = nowhere
        }
        return configuration
    }
}

/// The configuration that `text` says.
func parse(_ text: String) throws -> Configuration {
    try Configuration(parsing: Array(text.utf8), file: "npf.conf")
}
