extension PacketHeaders {
    /// More IPv6 extension headers than this before the transport header are an attack on the parser, not a packet.
    private static let maximumExtensionHeaders = 8

    /// Reads the headers of an IPv4 or IPv6 packet, from its first byte on.
    ///
    /// Part of the packet path. A packet that ends before its IP header says so is truncated, not malformed, as long as its headers are there. A
    /// length of 0 in the IP header (a jumbogram, RFC 2675, or a segment that the kernel has yet to cut up) stands for all
    /// bytes that there were. Checksums are not looked at.
    /// - Parameter originalLength: bytes of the packet before it was cut, where they are known.
    /// - Throws: `MalformedPacket`, for the first thing that is wrong.
    public init(parsing packet: RawSpan, originalLength: Int = 0) throws(MalformedPacket) {
        guard packet.byteCount >= 1 else { throw .unknownVersion }
        switch packet.uint8(at: 0) &>> 4 {
        case AddressFamily.ipv4.rawValue: try self.init(ipv4: packet, originalLength: originalLength)
        case AddressFamily.ipv6.rawValue: try self.init(ipv6: packet, originalLength: originalLength)
        default: throw .unknownVersion
        }
        payloadOffset = transportOffset
        if !isLaterFragment { try parseTransport(packet) }
    }

    init(ipv4 packet: RawSpan, originalLength: Int = 0) throws(MalformedPacket) {
        guard packet.byteCount >= 20 else { throw .shortNetworkHeader }
        self.init(
            transportProtocol: IPProtocol(rawValue: packet.uint8(at: 9)),
            source: Address(ipv4: packet.uint32(at: 12)), destination: Address(ipv4: packet.uint32(at: 16)))

        protocolOffset = 9
        transportOffset = Int(packet.uint8(at: 0) & 0xf) &* 4
        guard transportOffset >= 20 else { throw .headerLength }
        let totalLength = Int(packet.uint16(at: 2))
        guard totalLength == 0 || totalLength >= transportOffset else { throw .totalLength }
        self.originalLength = totalLength == 0 ? max(packet.byteCount, originalLength) : totalLength
        length = min(self.originalLength, packet.byteCount)
        guard transportOffset <= length else { throw .shortNetworkHeader }
        isTruncated = self.originalLength > packet.byteCount

        let fragmentField = packet.uint16(at: 6)
        try noteFragment(offset: Int(fragmentField & 0x1fff) &* 8, moreFollow: fragmentField & 0x2000 != 0)
    }

    init(ipv6 packet: RawSpan, originalLength: Int = 0) throws(MalformedPacket) {
        guard packet.byteCount >= 40 else { throw .shortNetworkHeader }
        self.init(
            transportProtocol: IPProtocol(rawValue: packet.uint8(at: 6)),
            source: packet.ipv6Address(at: 8), destination: packet.ipv6Address(at: 24))

        protocolOffset = 6
        transportOffset = 40
        let payloadLength = Int(packet.uint16(at: 4))
        self.originalLength = payloadLength == 0 ? max(packet.byteCount, originalLength) : 40 &+ payloadLength
        length = min(self.originalLength, packet.byteCount)
        guard length >= 42 else { throw .payloadLength }
        isTruncated = self.originalLength > packet.byteCount
        try skipExtensionHeaders(packet)
    }

    private mutating func skipExtensionHeaders(_ packet: RawSpan) throws(MalformedPacket) {
        var count = 0
        while !isLaterFragment {
            let isFragmentHeader = transportProtocol == .fragment
            switch transportProtocol {
            case .hopByHop, .routing, .destinationOptions, .fragment: break
            default: return
            }
            count &+= 1
            guard count <= Self.maximumExtensionHeaders, length &- transportOffset >= 8 else { throw .extensionHeader }

            let header = transportOffset
            transportProtocol = IPProtocol(rawValue: packet.uint8(at: header))
            protocolOffset = header
            // The byte that holds the length in the others is reserved in a fragment header.
            transportOffset &+= isFragmentHeader ? 8 : (Int(packet.uint8(at: header &+ 1)) &+ 1) &* 8
            guard transportOffset <= length else { throw .extensionHeader }
            if isFragmentHeader {
                let field = packet.uint16(at: header &+ 2)
                try noteFragment(offset: Int(field & 0xfff8), moreFollow: field & 1 != 0)
            }
        }
    }

    private mutating func noteFragment(offset: Int, moreFollow: Bool) throws(MalformedPacket) {
        if offset != 0 || moreFollow { isFragment = true }
        isLaterFragment = offset != 0
        // A first fragment here holds the whole TCP header, so that one of its flags' neighbours can only be meant to
        // change what the rules have already decided by.
        if offset == 8 && transportProtocol == .tcp { throw .overlappingFragment }
    }

    private mutating func parseTransport(_ packet: RawSpan) throws(MalformedPacket) {
        let header = transportOffset
        let available = length &- header
        switch transportProtocol {
        case .tcp:
            guard available >= 20 else { throw .shortTransportHeader }
            let dataOffset = Int(packet.uint8(at: header &+ 12) &>> 4) &* 4
            guard dataOffset >= 20 else { throw .dataOffset }
            guard dataOffset <= available else { throw .shortTransportHeader }
            sourcePort = packet.uint16(at: header)
            destinationPort = packet.uint16(at: header &+ 2)
            tcpFlags = TCPFlags(rawValue: packet.uint8(at: header &+ 13))
            payloadOffset = header &+ dataOffset
        case .udp:
            guard available >= 8 else { throw .shortTransportHeader }
            sourcePort = packet.uint16(at: header)
            destinationPort = packet.uint16(at: header &+ 2)
            payloadOffset = header &+ 8
        case .icmp, .icmpv6:
            guard available >= 8 else { throw .shortTransportHeader }
            icmpType = packet.uint8(at: header)
            icmpCode = packet.uint8(at: header &+ 1)
            payloadOffset = header &+ 8
        default: break
        }
    }
}
