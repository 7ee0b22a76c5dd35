internal import CMnl
internal import Glibc

/// One netlink message of the kernel's connection tracking (linux/netfilter/nfnetlink_conntrack.h).
package enum ConnectionMessage {
    /// A connection that is listed.
    case connection(TrackedConnection)
    /// The list is at its end.
    case done
    /// The kernel's answer to a message of ours; 0: done, else an `errno` number.
    case answer(code: CInt)
    /// Nothing for us, or nothing readable.
    case other
}

/// A connection as the kernel lists it.
@safe
package struct TrackedConnection {
    /// The connection's mark.
    package var mark: UInt32 = 0
    /// The family of its addresses: AF_INET or AF_INET6.
    package var family: UInt8 = 0
    /// What names it: the attributes CTA_TUPLE_ORIG and, if it has one, CTA_ZONE as they were sent, 4-byte aligned.
    package var tuple = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    package var zone = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    /// Whether the list that it is in has changed meanwhile, and may lack others.
    package var isListInterrupted = false
}

extension ConnectionMessage {
    /// Reads the message at `offset` of a datagram and moves `offset` behind it.
    ///
    /// Never reads outside `datagram`, whatever is in it. The parts of a connection point into it.
    /// - Returns: nil at the end of the datagram.
    package static func parse(_ datagram: UnsafeRawBufferPointer, at offset: inout Int) -> ConnectionMessage? {
        // struct nlmsghdr: length, type, flags, sequence number, port; in host order.
        guard offset >= 0, let length = unsafe datagram.integer(UInt32.self, at: offset),
            length >= headerLength, Int(length) <= datagram.count - offset,
            let type = unsafe datagram.integer(UInt16.self, at: offset + 4),
            let flags = unsafe datagram.integer(UInt16.self, at: offset + 6)
        else {
            offset = datagram.count
            return nil
        }
        let message = unsafe UnsafeRawBufferPointer(rebasing: datagram[offset..<offset + Int(length)])
        offset = min(offset + aligned(Int(length)), datagram.count)
        switch CInt(type) {
        case NLMSG_DONE: return .done
        case NLMSG_ERROR:
            // struct nlmsgerr: the error, negative, and the header of the message that it answers.
            return unsafe message.integer(Int32.self, at: headerLength).map { .answer(code: 0 &- $0) } ?? .other
        case CInt(NFNL_SUBSYS_CTNETLINK) << 8 | CInt(IPCTNL_MSG_CT_NEW.rawValue):
            guard var connection = unsafe connection(message) else { return .other }
            connection.isListInterrupted = CInt(flags) & NLM_F_DUMP_INTR != 0
            return .connection(connection)
        default: return .other
        }
    }

    /// struct nfgenmsg, then attributes; nil for what has no CTA_TUPLE_ORIG.
    private static func connection(_ message: UnsafeRawBufferPointer) -> TrackedConnection? {
        guard let family = unsafe message.integer(UInt8.self, at: headerLength) else { return nil }
        var connection = TrackedConnection()
        connection.family = family
        var offset = headerLength + 4
        while let length = unsafe message.integer(UInt16.self, at: offset),
            let type = unsafe message.integer(UInt16.self, at: offset + 2),
            length >= 4, aligned(Int(length)) <= message.count - offset
        {
            let attribute = unsafe UnsafeRawBufferPointer(
                rebasing: message[offset..<offset + aligned(Int(length))])
            switch UInt32(type & typeMask) {
            case CTA_TUPLE_ORIG.rawValue: unsafe connection.tuple = attribute
            case CTA_ZONE.rawValue: unsafe connection.zone = attribute
            case CTA_MARK.rawValue where length >= 8:
                unsafe connection.mark = attribute.integer(UInt32.self, at: 4).map { UInt32(bigEndian: $0) } ?? 0
            default: break
            }
            offset += aligned(Int(length))
        }
        return unsafe connection.tuple.isEmpty ? nil : connection
    }

    /// The length of struct nlmsghdr.
    private static let headerLength = 16

    /// An attribute's type without the flags NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    private static let typeMask: UInt16 = 0x3fff

    /// Messages and attributes start at multiples of 4 bytes.
    private static func aligned(_ length: Int) -> Int { (length + 3) & ~3 }
}

extension UnsafeRawBufferPointer {
    /// The integer in host order at `offset`; nil: outside.
    fileprivate func integer<Integer: FixedWidthInteger & BitwiseCopyable>(
        _: Integer.Type, at offset: Int
    ) -> Integer? {
        guard offset <= count - MemoryLayout<Integer>.size else { return nil }
        return unsafe loadUnaligned(fromByteOffset: offset, as: Integer.self)
    }
}
