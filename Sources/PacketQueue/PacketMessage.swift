internal import CNetfilterQueue
internal import Glibc
internal import SystemSupport

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
        guard let (type, _, length) = unsafe UnsafeRawBufferPointer(datagram).netlinkMessage(at: offset) else {
            offset = datagram.count
            return nil
        }
        let message = unsafe UnsafeMutableRawBufferPointer(rebasing: datagram[offset..<offset + length])
        offset = min(offset + Netlink.aligned(length), datagram.count)
        switch CInt(type) {
        case NLMSG_ERROR: return unsafe answer(message)
        case CInt(NFNL_SUBSYS_QUEUE) << 8 | CInt(NFQNL_MSG_PACKET.rawValue): return unsafe packet(message)
        default: return .other
        }
    }

    /// struct nlmsgerr: the error, negative, and the header of the message that it answers.
    private static func answer(_ message: UnsafeMutableRawBufferPointer) -> PacketMessage {
        let bytes = UnsafeRawBufferPointer(message)
        guard let error = unsafe bytes.hostInteger(Int32.self, at: Netlink.headerLength),
            let sequence = unsafe bytes.hostInteger(UInt32.self, at: Netlink.headerLength + 4 + 8)
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
        let bytes = UnsafeRawBufferPointer(message)
        var offset = Netlink.headerLength + 4
        while let (type, length) = unsafe bytes.netlinkAttribute(at: offset) {
            let value = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset + 4..<offset + length])
            switch type {
            case NFQA_PACKET_HDR.rawValue:
                guard value.count >= 7 else { break }
                unsafe packet.id = value.networkInteger(at: 0) ?? 0
                unsafe packet.hardwareProtocol = value.networkInteger(at: 4) ?? 0
                unsafe packet.hook = value[6]
                hasHeader = true
            case NFQA_MARK.rawValue: unsafe packet.mark = value.networkInteger(at: 0) ?? 0
            case NFQA_IFINDEX_INDEV.rawValue: unsafe packet.inInterface = value.networkInteger(at: 0) ?? 0
            case NFQA_IFINDEX_OUTDEV.rawValue: unsafe packet.outInterface = value.networkInteger(at: 0) ?? 0
            case NFQA_PAYLOAD.rawValue:
                unsafe packet.payload = UnsafeMutableRawBufferPointer(rebasing: message[offset + 4..<offset + length])
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
            offset += Netlink.aligned(length)
        }
        guard hasHeader else { return .other }
        unsafe packet.originalLength = max(Int(capturedFrom), packet.payload.count)
        return .packet(packet)
    }
}
