/// What a TCP header says of the connection that its segment belongs to (RFC 9293 section 3.1).
///
/// Part of the packet path.
public struct TCPSegment: BitwiseCopyable, Sendable {
    /// The sequence number of the first byte, the SYN if there is one.
    public var sequenceNumber: UInt32
    /// The acknowledgment number; without ACK it says nothing.
    public var acknowledgmentNumber: UInt32
    /// The window as the header has it, not scaled.
    public var window: UInt16
    /// The control bits.
    public var flags: TCPFlags
    /// Bytes of data, those that were cut off among them.
    public var payloadLength: UInt32
    /// The shift of the window scale option (RFC 7323 section 2.2), at most 14; nil if a SYN does not offer one, and
    /// in every other segment, where the option says nothing.
    public var windowScale: UInt8?

    /// A segment from its fields.
    public init(
        flags: TCPFlags, sequenceNumber: UInt32, acknowledgmentNumber: UInt32 = 0, window: UInt16 = 0,
        payloadLength: UInt32 = 0, windowScale: UInt8? = nil
    ) {
        self.flags = flags
        self.sequenceNumber = sequenceNumber
        self.acknowledgmentNumber = acknowledgmentNumber
        self.window = window
        self.payloadLength = payloadLength
        self.windowScale = windowScale
    }

    /// The segment of a TCP packet that is no fragment.
    ///
    /// The numbers of a packet that is described, not captured, are all 0.
    public init(of packet: RawSpan, headers: PacketHeaders) {
        self.init(flags: headers.tcpFlags, sequenceNumber: 0)
        let header = headers.transportOffset
        guard headers.lieWithin(packet.byteCount), headers.payloadOffset &- header >= 20 else { return }
        sequenceNumber = packet.uint32(at: header &+ 4)
        acknowledgmentNumber = packet.uint32(at: header &+ 8)
        window = packet.uint16(at: header &+ 14)
        payloadLength = UInt32(truncatingIfNeeded: headers.originalLength &- headers.payloadOffset)
        if flags.contains(.syn) {
            windowScale = Self.windowScale(packet, (header &+ 20)..<headers.payloadOffset)
        }
    }

    /// The window scale among a header's options; nil as well if what stands before it cannot be read.
    private static func windowScale(_ packet: RawSpan, _ options: Range<Int>) -> UInt8? {
        var offset = options.lowerBound
        while offset < options.upperBound {
            switch packet.uint8(at: offset) {
            case 0: return nil  // End of the list.
            case 1: offset &+= 1  // No operation.
            case let kind:
                guard offset &+ 2 <= options.upperBound else { return nil }
                let length = Int(packet.uint8(at: offset &+ 1))
                guard length >= 2, offset &+ length <= options.upperBound else { return nil }
                // A larger shift counts as 14 (RFC 7323 section 2.3).
                if kind == 3 && length == 3 { return min(packet.uint8(at: offset &+ 2), 14) }
                offset &+= length
            }
        }
        return nil
    }
}
