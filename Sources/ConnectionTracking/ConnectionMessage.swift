internal import CMnl
internal import Glibc
internal import SystemSupport

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
        guard let (type, flags, length) = unsafe datagram.netlinkMessage(at: offset) else {
            offset = datagram.count
            return nil
        }
        let message = unsafe UnsafeRawBufferPointer(rebasing: datagram[offset..<offset + length])
        offset = min(offset + Netlink.aligned(length), datagram.count)
        switch CInt(type) {
        case NLMSG_DONE: return .done
        case NLMSG_ERROR:
            // struct nlmsgerr: the error, negative, and the header of the message that it answers.
            return unsafe message.hostInteger(Int32.self, at: Netlink.headerLength).map { .answer(code: 0 &- $0) }
                ?? .other
        case CInt(NFNL_SUBSYS_CTNETLINK) << 8 | CInt(IPCTNL_MSG_CT_NEW.rawValue):
            guard var connection = unsafe connection(message) else { return .other }
            connection.isListInterrupted = CInt(flags) & NLM_F_DUMP_INTR != 0
            return .connection(connection)
        default: return .other
        }
    }

    /// struct nfgenmsg, then attributes; nil for what has no CTA_TUPLE_ORIG.
    private static func connection(_ message: UnsafeRawBufferPointer) -> TrackedConnection? {
        guard let family = unsafe message.hostInteger(UInt8.self, at: Netlink.headerLength) else { return nil }
        var connection = TrackedConnection()
        connection.family = family
        var offset = Netlink.headerLength + 4
        while let (type, length) = unsafe message.netlinkAttribute(at: offset) {
            let end = offset + Netlink.aligned(length)
            guard end <= message.count else { break }
            let attribute = unsafe UnsafeRawBufferPointer(rebasing: message[offset..<end])
            switch type {
            case CTA_TUPLE_ORIG.rawValue: unsafe connection.tuple = attribute
            case CTA_ZONE.rawValue: unsafe connection.zone = attribute
            case CTA_MARK.rawValue where length >= 8:
                unsafe connection.mark = attribute.networkInteger(at: 4) ?? 0
            default: break
            }
            offset = end
        }
        return unsafe connection.tuple.isEmpty ? nil : connection
    }
}
