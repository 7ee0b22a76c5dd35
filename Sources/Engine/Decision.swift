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
    /// The connection or the flow that the packet belongs to had been decided.
    case state
    /// The packet cannot be parsed.
    case malformed
    /// A rule's procedure: a script, or another of its calls.
    case procedure
    /// The error policy of a rule whose script failed.
    case error
    /// The packet has IP options, which `set ip4.drop_options` or `set ip6.drop_options` forbids.
    case options
}

/// What the states had to do with a packet.
public enum StateOutcome: UInt8, BitwiseCopyable, Sendable {
    /// Nothing: it belongs to no connection that has a state.
    case none
    /// It fits its connection.
    case known
    /// It belongs to a connection and does not fit, so the rules decided.
    case invalid
    /// It made a state.
    case created
    /// It should have made a state, and could not.
    case refused
}

/// The engine's answer for one packet.
public struct Decision: BitwiseCopyable, Sendable {
    /// What becomes of the packet.
    public var verdict: Verdict
    /// What decided it.
    public var cause: Cause
    /// The deciding rule's place in the flattened ruleset, counted from 1; 0 where none did.
    public var entry: Int32
    /// Whether a procedure changed the packet; its checksums are right again.
    public var isChanged: Bool
    /// Whether the sender of a blocked packet is told so, by a TCP reset or an ICMP error.
    public var isAnswered: Bool
    /// What the states had to do with it.
    public var state: StateOutcome
    /// The bits of the connection's mark by which the kernel is to be told, with this packet, what was decided about its
    /// flow; 0 for nothing.
    public var connectionMark: UInt32
    /// Whether nothing was decided: it is an ICMP error about a connection that another worker may have a state for.
    package var isForNextWorker: Bool

    init(_ verdict: Verdict, _ cause: Cause, entry: Int32 = 0) {
        self.verdict = verdict
        self.cause = cause
        self.entry = entry
        isChanged = false
        isAnswered = false
        state = .none
        connectionMark = 0
        isForNextWorker = false
    }
}
