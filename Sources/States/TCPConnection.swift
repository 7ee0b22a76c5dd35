import Packet

/// What one end of a TCP connection was seen to send.
struct TCPPeer: BitwiseCopyable {
    /// The sequence number after the last byte it has sent.
    var end: UInt32
    /// The sequence number after the last byte it may send, as the other end's windows say.
    var maximumEnd: UInt32
    /// The largest window it has given the other end, in bytes.
    var maximumWindow: UInt32
    /// The shift of its windows, if it has offered one.
    var windowScale: UInt8?
    /// Whether it has sent anything.
    var isHeard: Bool
}

/// How a segment fares against what its connection has seen.
enum SegmentCheck: Equatable, BitwiseCopyable {
    case valid
    /// It ends beyond the receiver's window: case I.
    case beyondWindow
    /// It begins more than a window before what was sent already: case II.
    case beforeWindow
    /// It acknowledges what cannot have been sent or was acknowledged long ago: case III.
    case acknowledgment
    /// A reset that is not the next segment.
    case reset
}

/// The sequence numbers and windows of both ends of a TCP connection (van Rooij: "Real Stateful TCP Packet Filtering in IP
/// Filter", SANE 2000), and the phases that its segments lead through.
///
/// Part of the packet path.
struct TCPConnection: BitwiseCopyable {
    private var forward: TCPPeer
    private var backward: TCPPeer

    /// The connection as its first segment leaves it.
    init(opening segment: TCPSegment) {
        // The other end has taken this segment if it answers, so it may as well take it again.
        let length = segment.sequenceLength
        // Whoever comes upon a connection in its middle cannot know the scale; any is possible.
        let unknownScale: UInt8? = segment.flags.contains(.syn) ? nil : 14
        forward = TCPPeer(
            end: segment.end, maximumEnd: segment.end, maximumWindow: max(UInt32(segment.window), 1),
            windowScale: segment.windowScale ?? unknownScale, isHeard: true)
        backward = TCPPeer(
            end: 0, maximumEnd: 0, maximumWindow: max(length, 1), windowScale: unknownScale, isHeard: false)
    }

    /// Where the first segment of a connection leads.
    static func firstPhase(_ segment: TCPSegment) -> ConnectionPhase {
        segment.kind == .syn ? .synSent : .closed
    }

    /// Follows a segment, if it fits.
    ///
    /// One that does not fit changes nothing.
    mutating func inspect(
        _ segment: TCPSegment, _ flow: Flow, phase: inout ConnectionPhase, _ parameters: StateParameters
    ) -> SegmentCheck {
        var from = flow == .forward ? forward : backward
        var to = flow == .forward ? backward : forward
        let isRepeated = from.isHeard && Self.distance(from: from.end, to: segment.end) <= 0
        let check = Self.inspect(segment, from: &from, to: &to, parameters)
        guard check == .valid else { return check }

        let next = phase.next(segment.kind, flow, isRepeated: isRepeated)
        if next == .synSent && phase != .synSent {
            self = TCPConnection(opening: segment)
        } else {
            (forward, backward) = flow == .forward ? (from, to) : (to, from)
        }
        phase = next
        return .valid
    }

    private static func inspect(
        _ segment: TCPSegment, from: inout TCPPeer, to: inout TCPPeer, _ parameters: StateParameters
    ) -> SegmentCheck {
        let flags = segment.flags
        let wasHeard = from.isHeard
        if !wasHeard { from.hear(segment, answering: &to) }
        let scale = from.windowScale != nil && to.windowScale != nil ? from.windowScale! : 0
        // The window of a SYN is never scaled (RFC 7323 section 2.2). A window of 0 still takes a probe of one byte.
        let window = max(UInt32(segment.window) &<< UInt32(flags.contains(.syn) ? 0 : scale), 1)

        var acknowledged = flags.contains(.ack) ? segment.acknowledgmentNumber : to.end
        if flags.contains(.rst) {
            if parameters.strictOrderReset {
                if wasHeard {
                    // In order is what begins at the end, or at its FIN.
                    guard from.end &- segment.sequenceNumber <= 1 else { return .reset }
                } else {
                    // What was sent to this end so far is its whole window.
                    guard flags.contains(.ack), to.end &- acknowledged < from.maximumWindow else { return .reset }
                }
            }
            // Some stacks set ACK and leave the number 0.
            if acknowledged == 0 { acknowledged = to.end }
        }

        guard distance(from: from.maximumEnd, to: segment.end) <= 0 else { return .beyondWindow }
        guard distance(from: from.end &- to.maximumWindow, to: segment.sequenceNumber) >= 0 else {
            return .beforeWindow
        }
        let skew = Int64(distance(from: acknowledged, to: to.end))
        let limit = Int64(parameters.maximumAcknowledgmentWindow)
        guard skew >= -limit, skew <= limit &<< Int64(scale) else { return .acknowledgment }

        // What is acknowledged was sent, though it was not seen here.
        if skew < 0 {
            to.end = acknowledged
            to.isHeard = true
        }
        from.maximumWindow = max(from.maximumWindow, window)
        if distance(from: from.end, to: segment.end) > 0 { from.end = segment.end }
        if distance(from: to.maximumEnd, to: acknowledged &+ window) >= 0 { to.maximumEnd = acknowledged &+ window }
        return .valid
    }

    /// Whether an end may have sent a segment with this sequence number lately, so that an ICMP error can be about it.
    func mayHaveSent(_ sequenceNumber: UInt32, _ flow: Flow) -> Bool {
        let (from, to) = flow == .forward ? (forward, backward) : (backward, forward)
        return from.isHeard && Self.distance(from: from.end &- to.maximumWindow, to: sequenceNumber) >= 0
            && Self.distance(from: from.end, to: sequenceNumber) <= 0
    }

    /// How far it is from one sequence number to another: negative if the other comes first.
    private static func distance(from first: UInt32, to second: UInt32) -> Int32 {
        Int32(bitPattern: second &- first)
    }
}

extension TCPPeer {
    /// Takes note of the first segment of this end, which answers the other.
    fileprivate mutating func hear(_ segment: TCPSegment, answering other: inout TCPPeer) {
        end = segment.end
        maximumEnd = segment.end &+ 1
        isHeard = true
        if segment.flags.contains(.syn) { windowScale = segment.windowScale }
    }
}

extension TCPSegment {
    /// The combinations of flags that lead from one phase to another.
    enum Kind: BitwiseCopyable {
        case syn
        case synAck
        case ack
        case fin
        case rst
        /// No flags that make sense together.
        case none
    }

    var kind: Kind {
        switch (flags.contains(.rst), flags.contains(.fin), flags.contains(.syn), flags.contains(.ack)) {
        case (true, _, _, _): .rst
        case (_, true, false, _): .fin
        case (_, false, true, true): .synAck
        case (_, false, true, false): .syn
        case (_, false, false, true): .ack
        default: .none
        }
    }

    /// The sequence numbers that the segment takes up.
    var sequenceLength: UInt32 {
        payloadLength &+ (flags.contains(.syn) ? 1 : 0) &+ (flags.contains(.fin) ? 1 : 0)
    }

    /// The sequence number after its last.
    var end: UInt32 { sequenceNumber &+ sequenceLength }
}

extension ConnectionPhase {
    /// Where a segment that fits leads from here.
    ///
    /// Flags that make no sense here close the connection: its state then soon expires.
    /// - Parameter isRepeated: the segment takes up no sequence numbers that its sender has not used before.
    func next(_ kind: TCPSegment.Kind, _ flow: Flow, isRepeated: Bool) -> ConnectionPhase {
        switch (self, flow, kind) {
        // A reset must not assassinate TIME-WAIT (RFC 1337).
        case (_, _, .rst): self == .timeWait ? .timeWait : .closed

        // A connection that is over may be opened again (RFC 9293 section 3.6.1).
        case (.closed, .forward, .syn), (.timeWait, .forward, .syn): isRepeated ? self : .synSent
        case (.closed, _, _): .closed
        case (.timeWait, _, .ack), (.timeWait, _, .fin): .timeWait

        // A copy of what has had its effect before.
        case (_, _, .syn) where isRepeated, (_, _, .synAck) where isRepeated && self != .simultaneousSynSent: self

        case (.synSent, .backward, .synAck): .synReceived
        case (.synSent, .backward, .syn): .simultaneousSynSent

        case (.simultaneousSynSent, _, .synAck): .synReceived
        case (.simultaneousSynSent, .backward, .fin): .finReceived

        case (.synReceived, .forward, .ack): .established
        case (.synReceived, .forward, .fin): .finSent
        case (.synReceived, .backward, .ack): .synReceived
        case (.synReceived, .backward, .fin): .finReceived

        case (.established, _, .ack): .established
        case (.established, .forward, .fin): .finSent
        case (.established, .backward, .fin): .finReceived

        case (.finSent, .forward, .ack), (.finSent, .forward, .fin): .finSent
        case (.finSent, .backward, .ack): .finWait
        case (.finSent, .backward, .fin): .closing

        case (.finReceived, .backward, .ack), (.finReceived, .backward, .fin): .finReceived
        case (.finReceived, .forward, .ack): .closeWait
        case (.finReceived, .forward, .fin): .closing

        case (.finWait, .forward, .fin) where isRepeated, (.closeWait, .backward, .fin) where isRepeated: self
        case (.finWait, _, .ack), (.closeWait, _, .ack): self
        case (.finWait, _, .fin), (.closeWait, _, .fin): .lastAck

        case (.closing, _, .ack): .lastAck
        case (.lastAck, _, .ack): .timeWait
        case (.closing, _, .fin), (.lastAck, _, .fin): self

        default: .closed
        }
    }
}
