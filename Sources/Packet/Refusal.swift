/// The answer that `block return` sends to whoever sent a packet.
///
/// Part of the packet path.
public enum Refusal {
    /// Bytes that no answer exceeds: the smallest MTU of IPv6, which its ICMP errors may fill.
    public static let maximumLength = 1280

    /// Writes the answer to a blocked packet into a buffer: a complete IP packet, with valid checksums, from the packet's
    /// destination to its source.
    ///
    /// TCP is answered with a reset (RFC 9293 section 3.5.2), UDP with an ICMP "administratively prohibited" error
    /// (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1).
    /// - Returns: the length of the answer in bytes; 0 if none is due (another protocol, a reset, a later fragment, an
    ///   address that is not one host's) or if the buffer has no room for it.
    public static func write(
        answering packet: RawSpan, headers: PacketHeaders, into buffer: inout MutableRawSpan
    ) -> Int {
        guard !headers.isLaterFragment, headers.lieWithin(packet.byteCount),
            headers.source.isOneHost, headers.destination.isOneHost
        else { return 0 }
        let length =
            switch headers.transportProtocol {
            case .tcp: writeReset(answering: packet, headers: headers, into: &buffer)
            case .udp: writeUnreachable(answering: packet, headers: headers, into: &buffer)
            default: 0
            }
        guard length > 0, let answerHeaders = try? PacketHeaders(parsing: buffer.bytes.extracting(first: length)) else {
            return 0
        }
        Checksum.mend(&buffer, headers: answerHeaders)
        return length
    }

    private static func writeReset(
        answering packet: RawSpan, headers: PacketHeaders, into buffer: inout MutableRawSpan
    ) -> Int {
        let segment = headers.transportOffset
        guard headers.length &- segment >= 20, !headers.tcpFlags.contains(.rst) else { return 0 }
        let header = networkHeaderLength(headers.family)
        let length = header &+ 20
        guard buffer.byteCount >= length else { return 0 }
        writeNetworkHeader(answering: headers, transportProtocol: .tcp, length: length, into: &buffer)

        buffer.store(headers.destinationPort, at: header)
        buffer.store(headers.sourcePort, at: header &+ 2)
        if headers.tcpFlags.contains(.ack) {
            buffer.store(packet.uint32(at: segment &+ 8), at: header &+ 4)
            buffer.store(0 as UInt32, at: header &+ 8)
            buffer.store(TCPFlags.rst.rawValue, at: header &+ 13)
        } else {
            var segmentLength = headers.originalLength &- headers.payloadOffset
            if headers.tcpFlags.contains(.syn) { segmentLength &+= 1 }
            if headers.tcpFlags.contains(.fin) { segmentLength &+= 1 }
            let acknowledged = packet.uint32(at: segment &+ 4) &+ UInt32(truncatingIfNeeded: segmentLength)
            buffer.store(0 as UInt32, at: header &+ 4)
            buffer.store(acknowledged, at: header &+ 8)
            buffer.store(TCPFlags([.rst, .ack]).rawValue, at: header &+ 13)
        }
        buffer.store(5 &<< 4 as UInt8, at: header &+ 12)
        // Window, checksum, urgent pointer.
        buffer.store(0 as UInt16, at: header &+ 14)
        buffer.store(0 as UInt32, at: header &+ 16)
        return length
    }

    private static func writeUnreachable(
        answering packet: RawSpan, headers: PacketHeaders, into buffer: inout MutableRawSpan
    ) -> Int {
        let header = networkHeaderLength(headers.family)
        // As much of the packet as fits in what every host can take (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c)).
        let longest = headers.family == .ipv4 ? 576 : 1280
        let quote = header &+ 8
        let length = min(quote &+ headers.length, longest)
        guard buffer.byteCount >= length else { return 0 }
        let isIPv4 = headers.family == .ipv4
        writeNetworkHeader(
            answering: headers, transportProtocol: isIPv4 ? .icmp : .icmpv6, length: length, into: &buffer)

        // Destination unreachable, communication administratively prohibited.
        buffer.store(isIPv4 ? 3 : 1 as UInt8, at: header)
        buffer.store(isIPv4 ? 13 : 1 as UInt8, at: header &+ 1)
        buffer.store(0 as UInt16, at: header &+ 2)
        buffer.store(0 as UInt32, at: header &+ 4)
        for offset in quote..<length { buffer.store(packet.uint8(at: offset &- quote), at: offset) }
        return length
    }

    private static func networkHeaderLength(_ family: AddressFamily) -> Int { family == .ipv4 ? 20 : 40 }

    private static func writeNetworkHeader(
        answering headers: PacketHeaders, transportProtocol: IPProtocol, length: Int, into buffer: inout MutableRawSpan
    ) {
        switch headers.family {
        case .ipv4:
            buffer.store(0x45 as UInt8, at: 0)
            buffer.store(0 as UInt8, at: 1)
            buffer.store(UInt16(truncatingIfNeeded: length), at: 2)
            // Never fragmented, so that it needs no identification (RFC 6864 section 4.1).
            buffer.store(0x4000 as UInt32, at: 4)
            buffer.store(hopLimit, at: 8)
            buffer.store(transportProtocol.rawValue, at: 9)
            buffer.store(0 as UInt16, at: 10)
            buffer.store(headers.destination, at: 12)
            buffer.store(headers.source, at: 16)
        case .ipv6:
            buffer.store(0x6000_0000 as UInt32, at: 0)
            buffer.store(UInt16(truncatingIfNeeded: length &- 40), at: 4)
            buffer.store(transportProtocol.rawValue, at: 6)
            buffer.store(hopLimit, at: 7)
            buffer.store(headers.destination, at: 8)
            buffer.store(headers.source, at: 24)
        }
    }

    /// The default of RFC 1700 that hosts have used ever since.
    private static let hopLimit: UInt8 = 64
}

extension Address {
    /// Whether an error may be sent to this address, and from it (RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e)): it is
    /// no multicast, broadcast, reserved or unspecified address.
    fileprivate var isOneHost: Bool {
        switch family {
        case .ipv4: low != 0 && low < 0xe000_0000
        case .ipv6: (high | low) != 0 && high &>> 56 != 0xff
        }
    }
}
