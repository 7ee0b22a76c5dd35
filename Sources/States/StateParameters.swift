/// What a configuration sets of the connection tracking: npf-params(7), `state.*`.
public struct StateParameters: Equatable, Sendable {
    /// How long a state may be idle in each stage of its connection, in seconds.
    public struct Timeouts: Equatable, Sendable {
        /// `state.tcp.timeout.new`: the handshake is not complete.
        public var tcpNew: UInt32 = 30
        /// `state.tcp.timeout.established`: data flows both ways.
        public var tcpEstablished: UInt32 = 86_400
        /// `state.tcp.timeout.half_close`: one end has said that it sends no more.
        public var tcpHalfClose: UInt32 = 21_600
        /// `state.tcp.timeout.close`: both ends have said so, or the connection was reset.
        public var tcpClose: UInt32 = 10
        /// `state.tcp.timeout.time_wait`: closed in order.
        public var tcpTimeWait: UInt32 = 240
        /// `state.generic.timeout.new`: UDP or ICMP that was not answered.
        public var genericNew: UInt32 = 30
        /// `state.generic.timeout.established`: UDP or ICMP that was answered.
        public var genericEstablished: UInt32 = 60

        /// The defaults of npf-params(7).
        public init() {}
    }

    /// `state.key.interface`: the packets of a connection all cross one interface.
    public var keyInterface = true
    /// `state.key.direction`: the packets of one end of a connection all cross the interface in one direction.
    public var keyDirection = true
    /// `alg "icmp"`: echo requests and their replies are connections.
    public var tracksEcho = false
    /// `state.tcp.max_ack_win`: how far an acknowledgment may be from what was sent, in bytes before scaling.
    public var maximumAcknowledgmentWindow: UInt32 = 66_000
    /// `state.tcp.strict_order_rst`: a reset has to be the next segment in order (RFC 5961 section 3.2), and one that
    /// answers a SYN has to acknowledge it (RFC 9293 section 3.10.7.3).
    public var strictOrderReset = true
    /// The timeouts.
    public var timeouts = Timeouts()

    /// The defaults of npf-params(7).
    public init() {}

    /// What of the interface and the direction is part of new keys.
    var keyForm: KeyForm {
        KeyForm(
            rawValue: (keyInterface ? KeyForm.interface.rawValue : 0) | (keyDirection ? KeyForm.direction.rawValue : 0))
    }
}

/// Which stage of its life a connection is in: for TCP as the filter sees it from between the two ends.
///
/// "Forward" is the direction of the packet that made the state.
public enum ConnectionPhase: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// UDP or ICMP: packets forward alone.
    case new
    /// UDP or ICMP: packets both ways.
    case answered
    /// TCP: over, or never properly begun; what is still on its way passes.
    case closed
    /// TCP: a SYN forward.
    case synSent
    /// TCP: a SYN in both directions, none acknowledged.
    case simultaneousSynSent
    /// TCP: a SYN was answered with SYN and ACK.
    case synReceived
    /// TCP: the handshake is complete.
    case established
    /// TCP: a FIN forward.
    case finSent
    /// TCP: a FIN backward.
    case finReceived
    /// TCP: a FIN backward that was acknowledged.
    case closeWait
    /// TCP: a FIN forward that was acknowledged.
    case finWait
    /// TCP: a FIN in both directions, none acknowledged.
    case closing
    /// TCP: a FIN in both directions, the last one not acknowledged.
    case lastAck
    /// TCP: closed in order.
    case timeWait

    /// Whether the state may go when there is no room for a new one: its connection was never answered, or is over.
    var isExpendable: Bool {
        switch self {
        case .answered, .established, .finSent, .finReceived, .closeWait, .finWait: false
        default: true
        }
    }

    /// Whether a new connection may take this one's place: nothing that either end still relies on would be lost.
    var isReplaceable: Bool {
        switch self {
        case .closed, .synSent, .timeWait, .lastAck, .closing: true
        default: false
        }
    }
}

/// The timeout of every phase, in nanoseconds.
struct PhaseTimeouts {
    private let limits: [14 of Int64]

    init(_ timeouts: StateParameters.Timeouts) {
        limits = [14 of Int64] { index in
            let seconds =
                switch ConnectionPhase(rawValue: UInt8(index))! {
                case .new: timeouts.genericNew
                case .answered: timeouts.genericEstablished
                case .synSent, .simultaneousSynSent, .synReceived: timeouts.tcpNew
                case .established: timeouts.tcpEstablished
                case .finSent, .finReceived, .closeWait, .finWait: timeouts.tcpHalfClose
                case .closed, .closing, .lastAck: timeouts.tcpClose
                case .timeWait: timeouts.tcpTimeWait
                }
            return Int64(seconds) * 1_000_000_000
        }
    }

    subscript(phase: ConnectionPhase) -> Int64 { limits[Int(phase.rawValue)] }
}
