internal import CNetfilterQueue
internal import Glibc

/// One netlink message that a queue's socket receives.
package enum PacketMessage {
    /// A packet that waits for its verdict.
    case packet(QueuedPacket)
    /// The kernel's answer to our message of number `sequence`; 0: done, else an `errno` number.
    case answer(sequence: UInt32, code: CInt)
    /// Nothing for us, or nothing readable.
    case other
}

extension PacketMessage {
    /// Reads the message at `offset` of a datagram and moves `offset` behind it.
    ///
    /// Never reads outside `datagram`, whatever is in it. The payload of a packet points into it.
    /// - Returns: nil at the end of the datagram.
    package static func parse(_ datagram: UnsafeMutableRawBufferPointer, at offset: inout Int) -> PacketMessage? {
        // struct nlmsghdr: length, type, flags, sequence number, port; in host order.
        guard offset >= 0, let length = unsafe datagram.hostInteger(UInt32.self, at: offset),
            length >= headerLength, Int(length) <= datagram.count - offset,
            let type = unsafe datagram.hostInteger(UInt16.self, at: offset + 4)
        else {
            offset = datagram.count
            return nil
        }
        let message = unsafe UnsafeMutableRawBufferPointer(rebasing: datagram[offset..<offset + Int(length)])
        offset = min(offset + aligned(Int(length)), datagram.count)
        switch CInt(type) {
        case NLMSG_ERROR: return unsafe answer(message)
        case CInt(NFNL_SUBSYS_QUEUE) << 8 | CInt(NFQNL_MSG_PACKET.rawValue): return unsafe packet(message)
        default: return .other
        }
    }

    /// struct nlmsgerr: the error, negative, and the header of the message that it answers.
    private static func answer(_ message: UnsafeMutableRawBufferPointer) -> PacketMessage {
        guard let error = unsafe message.hostInteger(Int32.self, at: headerLength),
            let sequence = unsafe message.hostInteger(UInt32.self, at: headerLength + 4 + 8)
        else { return .other }
        return .answer(sequence: sequence, code: 0 &- error)
    }

    /// struct nfgenmsg, then attributes.
    ///
    /// One that is cut ends the list: what came before it still tells the id, and a packet that has an id has to get a
    /// verdict.
    private static func packet(_ message: UnsafeMutableRawBufferPointer) -> PacketMessage {
        var packet = QueuedPacket()
        var hasHeader = false
        var capturedFrom: UInt32 = 0
        var offset = headerLength + 4
        while let length = unsafe message.hostInteger(UInt16.self, at: offset),
            let type = unsafe message.hostInteger(UInt16.self, at: offset + 2),
            length >= 4, Int(length) <= message.count - offset
        {
            let value = unsafe UnsafeMutableRawBufferPointer(
                rebasing: message[offset + 4..<offset + Int(length)])
            switch UInt32(type & typeMask) {
            case NFQA_PACKET_HDR.rawValue:
                guard value.count >= 7 else { break }
                unsafe packet.id = value.networkInteger(at: 0) ?? 0
                unsafe packet.hardwareProtocol = value.networkInteger(at: 4) ?? 0
                unsafe packet.hook = value[6]
                hasHeader = true
            case NFQA_MARK.rawValue: unsafe packet.mark = value.networkInteger(at: 0) ?? 0
            case NFQA_IFINDEX_INDEV.rawValue: unsafe packet.inInterface = value.networkInteger(at: 0) ?? 0
            case NFQA_IFINDEX_OUTDEV.rawValue: unsafe packet.outInterface = value.networkInteger(at: 0) ?? 0
            case NFQA_PAYLOAD.rawValue: unsafe packet.payload = value
            case NFQA_CAP_LEN.rawValue: capturedFrom = unsafe value.networkInteger(at: 0) ?? 0
            case NFQA_TIMESTAMP.rawValue:
                let seconds: UInt64 = unsafe value.networkInteger(at: 0) ?? 0
                let microseconds: UInt64 = unsafe value.networkInteger(at: 8) ?? 0
                packet.timestamp = seconds &* 1_000_000_000 &+ microseconds &* 1000
            case NFQA_SKB_INFO.rawValue:
                let flags: UInt32 = unsafe value.networkInteger(at: 0) ?? 0
                packet.isSegmentationOffload = flags & UInt32(NFQA_SKB_GSO) != 0
                packet.checksumNotReady = flags & UInt32(NFQA_SKB_CSUMNOTREADY) != 0
            default: break
            }
            offset += aligned(Int(length))
        }
        guard hasHeader else { return .other }
        unsafe packet.originalLength = max(Int(capturedFrom), packet.payload.count)
        return .packet(packet)
    }

    /// The length of struct nlmsghdr.
    private static let headerLength = 16

    /// An attribute's type without the flags NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    private static let typeMask: UInt16 = 0x3fff

    /// Messages and attributes start at multiples of 4 bytes.
    private static func aligned(_ length: Int) -> Int { (length + 3) & ~3 }
}

extension UnsafeMutableRawBufferPointer {
    /// The integer in host order at `offset`; nil: outside.
    fileprivate func hostInteger<Integer: FixedWidthInteger & BitwiseCopyable>(
        _: Integer.Type, at offset: Int
    ) -> Integer? {
        guard offset <= count - MemoryLayout<Integer>.size else { return nil }
        return unsafe loadUnaligned(fromByteOffset: offset, as: Integer.self)
    }

    /// The integer in network order at `offset`; nil: outside.
    fileprivate func networkInteger<Integer: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Integer? {
        unsafe hostInteger(Integer.self, at: offset).map { Integer(bigEndian: $0) }
    }
}
