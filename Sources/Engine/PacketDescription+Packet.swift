import Packet

extension PacketDescription {
    /// A packet as described, with right checksums.
    public var packet: [UInt8] {
        let transport = transportHeader + payload
        var packet: [UInt8]
        if source.family == .ipv4 {
            packet = [0x45, 0] + networkOrder(UInt16(20 + transport.count)) + [0, 1, 0, 0, 64]
            packet += [transportProtocol.rawValue, 0, 0]
            packet += networkOrder(UInt32(truncatingIfNeeded: source.low))
            packet += networkOrder(UInt32(truncatingIfNeeded: destination.low))
        } else {
            packet = [0x60, 0, 0, 0] + networkOrder(UInt16(transport.count)) + [transportProtocol.rawValue, 64]
            for half in [source.high, source.low, destination.high, destination.low] { packet += networkOrder(half) }
        }
        packet += transport
        if let headers = try? PacketHeaders(parsing: unsafe packet.span.bytes) {
            var span = packet.mutableSpan
            var bytes = unsafe span.mutableBytes
            Checksum.mend(&bytes, headers: headers)
        }
        return packet
    }

    private var transportHeader: [UInt8] {
        switch transportProtocol {
        case .tcp:
            return networkOrder(sourcePort) + networkOrder(destinationPort) + networkOrder(sequence)
                + networkOrder(acknowledgment) + [0x50, flags.rawValue] + networkOrder(8192 as UInt16) + [0, 0, 0, 0]
        case .udp:
            // A checksum of 0 would say that there is none.
            return networkOrder(sourcePort) + networkOrder(destinationPort)
                + networkOrder(UInt16(8 + payload.count)) + [0xff, 0xff]
        case .icmp, .icmpv6:
            return [type, code, 0, 0] + networkOrder(identifier) + [0, 1]
        default:
            // An IPv6 packet without any payload is malformed.
            return [UInt8](repeating: 0, count: 8)
        }
    }

    private func networkOrder(_ value: some FixedWidthInteger) -> [UInt8] {
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe Array($0) }
    }
}
