extension PacketHeaders {
    /// Whether this is an ICMP or ICMPv6 error that quotes the packet it is about: destination unreachable, packet too
    /// big, time exceeded, parameter problem (RFC 792, RFC 4443 section 3).
    public var isICMPError: Bool {
        switch (transportProtocol, family) {
        case (.icmp, .ipv4): !isFragment && (icmpType == 3 || icmpType == 11 || icmpType == 12)
        case (.icmpv6, .ipv6): !isFragment && (1...4).contains(icmpType)
        default: false
        }
    }

    /// Whether this is an echo request, or a reply to one; nil if it is neither.
    public var isEchoRequest: Bool? {
        switch (transportProtocol, family, icmpType) {
        case (.icmp, .ipv4, 8), (.icmpv6, .ipv6, 128): true
        case (.icmp, .ipv4, 0), (.icmpv6, .ipv6, 129): false
        default: nil
        }
    }

    /// The identifier of an echo request or reply, which tells one program's from another's; 0 for a packet that is
    /// described, not captured.
    ///
    /// Part of the packet path.
    public func echoIdentifier(_ packet: RawSpan) -> UInt16 {
        guard transportOffset >= 20, transportOffset &+ 8 <= length, length <= packet.byteCount else { return 0 }
        return packet.uint16(at: transportOffset &+ 4)
    }

    /// The headers of the packet that an ICMP error quotes, with offsets in the error's bytes; nil if the quote is not
    /// the start of a packet.
    ///
    /// Part of the packet path. A quote need not hold more of layer 4 than its first eight bytes (RFC 792): of TCP there
    /// are the ports, and no flags. Nothing ends where the quote does.
    public func quotedHeaders(_ packet: RawSpan) -> PacketHeaders? {
        guard isICMPError, lieWithin(packet.byteCount) else { return nil }
        let start = payloadOffset
        let quote = packet.extracting(start..<length)
        guard quote.byteCount >= 1, quote.uint8(at: 0) &>> 4 == family.rawValue,
            var quoted = family == .ipv4 ? try? PacketHeaders(ipv4: quote) : try? PacketHeaders(ipv6: quote),
            !quoted.isLaterFragment, quoted.length &- quoted.transportOffset >= 8
        else { return nil }
        let header = quoted.transportOffset
        switch quoted.transportProtocol {
        case .tcp, .udp:
            quoted.sourcePort = quote.uint16(at: header)
            quoted.destinationPort = quote.uint16(at: header &+ 2)
        case .icmp, .icmpv6:
            quoted.icmpType = quote.uint8(at: header)
            quoted.icmpCode = quote.uint8(at: header &+ 1)
        default: break
        }
        quoted.transportOffset = start &+ header
        quoted.payloadOffset = start &+ header &+ 8
        quoted.length = length
        return quoted
    }

    /// The sequence number in the eight bytes that an ICMP error quotes of a TCP segment.
    ///
    /// Part of the packet path.
    /// - Parameter packet: the bytes of the error that `quotedHeaders` found these headers in.
    public func quotedSequenceNumber(_ packet: RawSpan) -> UInt32 {
        guard transportOffset >= 20, transportOffset &+ 8 <= packet.byteCount else { return 0 }
        return packet.uint32(at: transportOffset &+ 4)
    }
}
