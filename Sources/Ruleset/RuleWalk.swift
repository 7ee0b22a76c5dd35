public import Packet

/// A packet on its walk over the rules: where it is, and what matched so far.
///
/// Plain memory, to be made anew for each packet.
public struct RuleWalk: BitwiseCopyable {
    let facts: PacketFacts
    /// The entry to try next.
    var index = 0
    /// The entry that matched last; -1 for none.
    var best = -1
    /// Whether the entry at `index` matches but for its script, which is asked at the moment.
    var isAsking = false
    /// What the script answered.
    var answer: Bool?

    /// A packet at the beginning of the rules.
    ///
    /// - Parameter interface: The packet's interface as an id of the ruleset, 0 for one that no rule names.
    public init(_ headers: PacketHeaders, interface: UInt16, direction: Direction) {
        facts = PacketFacts(headers, interface: interface, direction: direction)
    }

    /// Answers for the script that the walk has stopped for: whether the rule matches.
    public mutating func resume(matching: Bool) {
        answer = matching
    }
}

/// How far a walk came.
public enum WalkResult: BitwiseCopyable, Sendable, Hashable {
    /// To its end.
    case decided(Match)
    /// To the rule at `entry`, which matches if the script of the index `script` says so: it is to be asked, and the walk
    /// resumed with its answer.
    case needsScript(script: Int32, entry: Int32)
}

/// What sees a walk's steps.
protocol WalkObserver {
    /// The entry was found to match, or not to, its script not asked.
    mutating func tried(_ place: WalkPlace, matches: Bool)
    /// The script of the rule that matches otherwise said this.
    mutating func asked(_ place: WalkPlace, matches: Bool)
    /// The group or ruleset at this place ends the walk, as a rule matched before it.
    mutating func ended(at place: WalkPlace)
}

/// The place of an entry: its index in the ruleset, and that of the rule in a dynamic ruleset or -1.
struct WalkPlace: BitwiseCopyable {
    var index: Int
    var dynamicRule = -1
}

/// Sees nothing, at no cost.
struct NoObserver: WalkObserver {
    @inline(always) mutating func tried(_ place: WalkPlace, matches: Bool) {}
    @inline(always) mutating func asked(_ place: WalkPlace, matches: Bool) {}
    @inline(always) mutating func ended(at place: WalkPlace) {}
}
