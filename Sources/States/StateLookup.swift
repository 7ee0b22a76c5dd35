/// What `stateful` and `stateful-all` ask for.
public enum StateKind: UInt8, Sendable, BitwiseCopyable {
    /// `stateful`: the packets of the connection cross the first one's interface, the answers in the other direction.
    case stateful
    /// `stateful-all`: they may cross any interface in any direction, as far as the key lets them.
    case statefulAll
}

/// What the table says of a packet.
public enum StateLookup: Sendable, BitwiseCopyable {
    /// It belongs to no connection.
    case none
    /// It fits its connection.
    case pass(StateMatch)
    /// It belongs to a connection, and does not fit: the rules decide, and it counts as an invalid state case.
    case invalid
}

/// The connection that a packet passes by.
public struct StateMatch: Sendable, BitwiseCopyable {
    /// The rule that passed the connection's first packet; -1 if the configuration has it no more.
    public let entry: Int32
    /// That rule's procedure, which treats every packet of the connection; -1 for none.
    public let procedure: Int32
    /// The state's place, until the table is next changed.
    public let place: Int32
    /// Which way the packet runs; for an ICMP error, the packet that it quotes.
    public let flow: Flow
    /// The state's byte for decisions about its flow.
    public let decision: UInt8

    init(_ state: State, place: Int, flow: Flow) {
        entry = state.entry
        procedure = state.procedure
        self.place = Int32(truncatingIfNeeded: place)
        self.flow = flow
        decision = state.decision
    }
}

/// What has happened to the states of a table.
public struct StateStatistics: Equatable, Sendable, BitwiseCopyable {
    /// States that were made.
    public var created: UInt64 = 0
    /// States that were idle for too long.
    public var expired: UInt64 = 0
    /// States that a new connection between the same ports took over from.
    public var replaced: UInt64 = 0
    /// States that had to make room.
    public var evicted: UInt64 = 0
    /// States that `expireAll` ended.
    public var flushed: UInt64 = 0
    /// States that could not be made, for want of room.
    public var refused: UInt64 = 0
    /// Packets that did not fit their connection, those below among them.
    public var invalid: UInt64 = 0
    /// TCP case I: beyond the receiver's window.
    public var beyondWindow: UInt64 = 0
    /// TCP case II: more than a window back.
    public var beforeWindow: UInt64 = 0
    /// TCP case III: an acknowledgment of something else.
    public var acknowledgment: UInt64 = 0

    /// Nothing yet.
    public init() {}

    mutating func note(_ check: SegmentCheck) {
        invalid &+= 1
        switch check {
        case .beyondWindow: beyondWindow &+= 1
        case .beforeWindow: beforeWindow &+= 1
        case .acknowledgment: acknowledgment &+= 1
        case .valid, .reset: break
        }
    }
}
