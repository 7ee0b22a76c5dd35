public import ConfigLanguage

/// A rule that was added to a dynamic ruleset.
public struct DynamicRule: Sendable, Hashable {
    /// Names the rule within its ruleset; `npfctl` shows it in hexadecimal.
    public let id: UInt64
    /// The rule.
    public let rule: Configuration.Rule

    /// The rule in canonical form.
    public var text: String { rule.text }
}

/// A dynamic ruleset with its rules.
@safe
public struct DynamicRuleset: Sendable {
    /// The name that the configuration gives it.
    public let name: String
    /// The rules in the order in which they were added, which is that of the walk.
    public let rules: [DynamicRule]
    /// The rules as the packet path reads them.
    let memory: RuleMemory

    init(name: String, rules: [DynamicRule] = [], memory: RuleMemory) {
        self.name = name
        self.rules = rules
        self.memory = memory
    }

    /// The id for another rule of the text `text`: the same for the same text, but where there is one already.
    func newID(for text: String) -> UInt64 {
        // FNV-1a over the text and the number of the attempt.
        var copy: UInt8 = 0
        while true {
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
            if copy > 0 { hash = (hash ^ UInt64(copy)) &* 0x100_0000_01b3 }
            if !rules.contains(where: { $0.id == hash }) { return hash }
            copy &+= 1
        }
    }
}

/// Why a dynamic ruleset stays as it is.
public enum DynamicRulesetError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The configuration has no dynamic ruleset of this name.
    case rulesetNotFound(String)
    /// The ruleset has no such rule.
    case ruleNotFound
    /// The ruleset has as many rules as it may have.
    case full(Int)
    /// The rule's text has mistakes.
    case refused(ConfigurationErrors)

    /// In NPF's words, which programs look for, where it has some.
    public var description: String {
        switch self {
        case .rulesetNotFound(let name): "ruleset \"\(name)\" not found"
        case .ruleNotFound: "rule was not found"
        case .full(let limit): "the ruleset has \(limit) rules, and no room for another"
        case .refused(let errors): errors.description
        }
    }
}
