/// What becomes of a packet.
public enum Verdict: UInt8, BitwiseCopyable, Sendable {
    /// The packet goes on its way.
    case pass
    /// The packet is dropped.
    case block
}

/// What decided a packet; the words of `npfctl replay --json`.
public enum Cause: UInt8, BitwiseCopyable, Sendable {
    /// A rule.
    case rule
    /// No rule matched.
    case nomatch
    /// The flow that the packet belongs to had been decided.
    case state
    /// The packet cannot be parsed.
    case malformed
    /// A rule's script.
    case procedure
    /// The error policy of a rule whose script failed.
    case error
}

/// The engine's answer for one packet.
public struct Decision: BitwiseCopyable, Sendable {
    /// What becomes of the packet.
    public var verdict: Verdict
    /// What decided it.
    public var cause: Cause
    /// The deciding rule's place in the flattened ruleset, counted from 1; 0 where none did.
    public var entry: Int32
    /// Whether a script changed the packet; its checksums are right again.
    public var isChanged: Bool
    /// Whether the sender of a blocked packet is told so, by a TCP reset or an ICMP error.
    public var isAnswered: Bool

    init(_ verdict: Verdict, _ cause: Cause, entry: Int32 = 0) {
        self.verdict = verdict
        self.cause = cause
        self.entry = entry
        isChanged = false
        isAnswered = false
    }
}
