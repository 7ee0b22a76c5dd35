/// The Internet checksum (RFC 1071) of IP packets.
///
/// Part of the packet path.
public enum Checksum {
    /// Recomputes the checksums of a packet whose bytes were changed: IPv4 header, TCP, UDP, ICMP, ICMPv6.
    ///
    /// The transport checksum of fragments and truncated packets is left alone, since it covers bytes that are not here,
    /// and so is a UDP checksum of 0 over IPv4: the sender computed none.
    /// - Parameter headers: the headers as the packet has them now, after the change.
    public static func mend(_ packet: inout MutableRawSpan, headers: PacketHeaders) {
        guard headers.lieWithin(packet.byteCount) else { return }
        if headers.family == .ipv4 {
            packet.store(0 as UInt16, at: 10)
            packet.store(checksum(packet.bytes, 0..<headers.transportOffset), at: 10)
        }
        guard let coverage = TransportCoverage(of: packet.bytes, headers: headers) else { return }
        packet.store(0 as UInt16, at: coverage.field)
        let result = checksum(packet.bytes, coverage.bytes, startingWith: coverage.pseudoHeader)
        // On the wire, a UDP checksum of 0 says that there is none (RFC 768).
        packet.store(result == 0 && headers.transportProtocol == .udp ? 0xffff : result, at: coverage.field)
    }

    /// Whether every checksum that `mend` would recompute is right.
    public static func isValid(_ packet: RawSpan, headers: PacketHeaders) -> Bool {
        guard headers.lieWithin(packet.byteCount) else { return false }
        if headers.family == .ipv4, checksum(packet, 0..<headers.transportOffset) != 0 { return false }
        guard let coverage = TransportCoverage(of: packet, headers: headers) else { return true }
        return checksum(packet, coverage.bytes, startingWith: coverage.pseudoHeader) == 0
    }

    /// The complement of the one's complement sum of bytes, taken as 16-bit words in network order.
    ///
    /// Bytes that hold their own checksum give 0. The caller has checked the range.
    package static func checksum(_ packet: RawSpan, _ bytes: Range<Int>, startingWith sum: UInt64 = 0) -> UInt16 {
        // Words twice as wide, in the order of the host, are summed into a register that cannot overflow below 2^32 words.
        var hostOrderSum: UInt64 = 0
        var offset = bytes.lowerBound
        let end = bytes.upperBound
        while offset <= end &- 4 {
            hostOrderSum &+= unsafe UInt64(packet.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
            offset &+= 4
        }
        // The sum's bytes come out swapped if the words' were (RFC 1071 section 2 (B)).
        var total = sum &+ UInt64(UInt16(bigEndian: folded(hostOrderSum)))
        if offset <= end &- 2 {
            total &+= UInt64(packet.uint16(at: offset))
            offset &+= 2
        }
        if offset < end { total &+= UInt64(packet.uint8(at: offset)) &<< 8 }
        return ~folded(total)
    }

    private static func folded(_ sum: UInt64) -> UInt16 {
        var sum = sum
        while sum > 0xffff { sum = (sum & 0xffff) &+ (sum &>> 16) }
        return UInt16(truncatingIfNeeded: sum)
    }
}

/// The bytes that a transport checksum covers.
private struct TransportCoverage {
    /// Where the checksum stands.
    var field: Int
    var bytes: Range<Int>
    /// The sum of the pseudo-header's 16-bit words: 0 for ICMP, which has none.
    var pseudoHeader: UInt64

    /// Nil if the packet has no transport checksum, or none that can be computed from what is here.
    init?(of packet: RawSpan, headers: PacketHeaders) {
        let start = headers.transportOffset
        let available = headers.length &- start
        guard !headers.isFragment, !headers.isTruncated, available >= 8 else { return nil }
        var covered = available
        switch (headers.transportProtocol, headers.family) {
        case (.tcp, _):
            guard available >= 20 else { return nil }
            field = start &+ 16
        case (.udp, let family):
            field = start &+ 6
            if family == .ipv4 && packet.uint16(at: field) == 0 { return nil }
            let udpLength = Int(packet.uint16(at: start &+ 4))
            if udpLength >= 8 { covered = min(udpLength, available) }
        case (.icmp, .ipv4), (.icmpv6, .ipv6): field = start &+ 2
        default: return nil
        }
        bytes = start..<(start &+ covered)
        pseudoHeader = 0
        guard headers.transportProtocol != .icmp else { return }
        pseudoHeader =
            Self.sum(headers.source) &+ Self.sum(headers.finalDestination(packet)) &+ UInt64(covered)
            &+ UInt64(headers.transportProtocol.rawValue)
    }

    private static func sum(_ address: Address) -> UInt64 {
        // 16-bit words in the right place modulo 2^16 - 1, without the carry out of 64 bits.
        (address.high &>> 32) &+ (address.high & 0xffff_ffff) &+ (address.low &>> 32) &+ (address.low & 0xffff_ffff)
    }
}

extension PacketHeaders {
    /// Whether the offsets can be those of a packet of so many bytes.
    package func lieWithin(_ byteCount: Int) -> Bool {
        transportOffset >= (family == .ipv4 ? 20 : 40) && transportOffset <= payloadOffset && payloadOffset <= length
            && length <= byteCount
    }

    /// Where a packet ends its way: what the pseudo-header names (RFC 8200 section 8.1).
    ///
    /// Routing headers of type 2 (RFC 6275) and 4 (RFC 8754) hold that address first as long as segments are left.
    fileprivate func finalDestination(_ packet: RawSpan) -> Address {
        guard family == .ipv6 else { return destination }
        var next = IPProtocol(rawValue: packet.uint8(at: 6))
        var offset = 40
        while offset &+ 8 <= transportOffset {
            let end = next == .fragment ? offset &+ 8 : offset &+ (Int(packet.uint8(at: offset &+ 1)) &+ 1) &* 8
            if next == .routing, offset &+ 24 <= min(end, transportOffset), packet.uint8(at: offset &+ 3) > 0 {
                let type = packet.uint8(at: offset &+ 2)
                if type == 2 || type == 4 { return packet.ipv6Address(at: offset &+ 8) }
            }
            next = IPProtocol(rawValue: packet.uint8(at: offset))
            offset = end
        }
        return destination
    }
}
