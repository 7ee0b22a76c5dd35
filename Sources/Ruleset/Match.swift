public import ConfigLanguage

/// What the rules say about a packet.
public struct Match: BitwiseCopyable, Sendable, Hashable {
    /// The deciding rule's place in the flattened ruleset, counted from 1 with group headers; 0 where no rule matched.
    ///
    /// For a rule of a dynamic ruleset the place of the ruleset.
    public let entry: Int32
    /// The index of the rule in its dynamic ruleset; -1 for a rule of the configuration itself.
    public let dynamicRule: Int32
    /// The index of the procedure that the rule applies; -1 for none.
    public let procedure: Int32
    /// Whether the packet is blocked.
    public let blocks: Bool
    /// How the sender of a blocked packet is answered.
    public let returnPolicy: ReturnPolicy
    /// What to remember of a packet that passes.
    public let state: StateKind

    /// The decision of entry `entry`.
    public init(
        entry: Int32, blocks: Bool, returnPolicy: ReturnPolicy, procedure: Int32, state: StateKind = .none,
        dynamicRule: Int32 = -1
    ) {
        self.entry = entry
        self.blocks = blocks
        self.returnPolicy = returnPolicy
        self.procedure = procedure
        self.state = state
        self.dynamicRule = dynamicRule
    }
}

/// An entry of the flattened ruleset, for people.
public struct RuleDescription: Sendable, Hashable {
    /// What an entry is.
    public enum Kind: Sendable, Hashable {
        /// The decision about packets that no rule matches: entry 0.
        case noMatch
        /// The header of a group.
        case group
        /// A dynamic ruleset.
        case ruleset
        /// A rule.
        case rule
    }

    /// What the entry is.
    public let kind: Kind
    /// The entry in canonical form on one line; a group's without its brace.
    public let text: String
    /// The place in the configuration; nil for entry 0.
    public let location: SourceLocation?
    /// The index of the procedure that a rule applies; nil for none.
    public internal(set) var procedure: Int?
    /// The index of the script that a rule asks; nil for none.
    public internal(set) var scriptFilter: Int?
    /// The groups around the entry.
    public let depth: Int
}
