internal import CMnl
internal import Glibc
public import SystemSupport

/// The marks of the connections that the kernel tracks, in the calling thread's network namespace (ctnetlink).
///
/// Needs CAP_NET_ADMIN. Connections go on meanwhile, and so do their packets.
@safe
public struct ConnectionMarks: ~Copyable {
    /// How often a list is begun again because the kernel's table has changed its size meanwhile.
    private static let maximumLists = 4
    /// Bytes of a datagram of a list at most: what the kernel makes of the size that a reader has room for.
    private static let datagramSize = 32 << 10

    private let lists: NetlinkSocket
    private let changes: NetlinkSocket
    private let received: UnsafeMutableRawBufferPointer
    private let written: UnsafeMutableRawBufferPointer

    /// Opens the way to the kernel's connections.
    public init() throws(Errno) {
        let first = try NetlinkSocket.open()
        let second = try NetlinkSocket.open()
        lists = first
        changes = second
        unsafe received = .allocate(byteCount: Self.datagramSize, alignment: 4)
        unsafe written = .allocate(byteCount: Self.datagramSize, alignment: 4)
    }

    deinit {
        unsafe received.deallocate()
        unsafe written.deallocate()
    }

    /// Sets the bits of `mask` to 0 in the marks that have `value` in them; other bits stay as they are.
    ///
    /// - Parameter value: nil for any but 0.
    /// - Returns: how many connections had it.
    /// - Throws: where the kernel does not list connections, or this process may not change them.
    public func clear(_ value: UInt32?, in mask: UInt32) throws(Errno) -> Int {
        var cleared = 0
        for _ in 0..<Self.maximumLists {
            let (count, isWhole) = try clearOnce(value, in: mask)
            cleared += count
            if isWhole { break }
        }
        return cleared
    }

    private func clearOnce(_ value: UInt32?, in mask: UInt32) throws(Errno) -> (count: Int, isWhole: Bool) {
        try request(value, in: mask)
        var count = 0
        var isWhole = true
        while true {
            let length = unsafe try lists.receive(into: received)
            let datagram = unsafe UnsafeRawBufferPointer(rebasing: received[..<length])
            var offset = 0
            var end = 0
            while let message = unsafe ConnectionMessage.parse(datagram, at: &offset) {
                switch message {
                case .connection(let connection):
                    if connection.isListInterrupted { isWhole = false }
                    // Older kernels list all that there are.
                    guard value.map({ connection.mark & mask == $0 }) ?? (connection.mark & mask != 0) else { continue }
                    write(connection, mask, at: &end)
                    count += 1
                case .done:
                    try send(upTo: end)
                    return (count, isWhole)
                case .answer(let code) where code != 0: throw Errno(code)
                case .answer, .other: continue
                }
            }
            try send(upTo: end)
        }
    }

    /// Asks for the connections with a mark, or for all (IPCTNL_MSG_CT_GET).
    private func request(_ value: UInt32?, in mask: UInt32) throws(Errno) {
        let header = unsafe Self.putHeader(
            at: written.baseAddress!, IPCTNL_MSG_CT_GET, flags: NLM_F_REQUEST | NLM_F_DUMP, family: UInt8(AF_UNSPEC))
        if let value {
            unsafe mnl_attr_put_u32(header, UInt16(CTA_MARK.rawValue), value.bigEndian)
            unsafe mnl_attr_put_u32(header, UInt16(CTA_MARK_MASK.rawValue), mask.bigEndian)
        }
        try unsafe lists.send(UnsafeRawBufferPointer(rebasing: written[..<Int(header.pointee.nlmsg_len)]))
    }

    /// Writes the change of a connection that is there (IPCTNL_MSG_CT_NEW).
    ///
    /// It is shorter than the connection's entry in the list: that has the tuple of the answers and more beside.
    private func write(_ connection: TrackedConnection, _ mask: UInt32, at end: inout Int) {
        let longest = unsafe 36 + connection.tuple.count + connection.zone.count
        guard unsafe end + longest <= written.count else { return }
        let header = unsafe Self.putHeader(
            at: written.baseAddress! + end, IPCTNL_MSG_CT_NEW, flags: NLM_F_REQUEST, family: connection.family)
        unsafe Self.append(connection.tuple, to: header)
        unsafe Self.append(connection.zone, to: header)
        unsafe mnl_attr_put_u32(header, UInt16(CTA_MARK.rawValue), 0)
        unsafe mnl_attr_put_u32(header, UInt16(CTA_MARK_MASK.rawValue), mask.bigEndian)
        unsafe end += Int(header.pointee.nlmsg_len)
    }

    /// Sends what was written; a connection that has ended meanwhile needs no change.
    private func send(upTo end: Int) throws(Errno) {
        guard end > 0 else { return }
        try unsafe changes.send(UnsafeRawBufferPointer(rebasing: written[..<end]))
        try unsafe changes.drainAnswers(except: ENOENT, into: received)
    }

    private static func append(_ attribute: UnsafeRawBufferPointer, to header: UnsafeMutablePointer<nlmsghdr>) {
        guard let start = attribute.baseAddress else { return }
        let end = unsafe UnsafeMutableRawPointer(header) + Int(header.pointee.nlmsg_len)
        unsafe end.copyMemory(from: start, byteCount: attribute.count)
        unsafe header.pointee.nlmsg_len += UInt32(attribute.count)
    }

    private static func putHeader(
        at place: UnsafeMutableRawPointer, _ type: cntl_msg_types, flags: CInt, family: UInt8
    ) -> UnsafeMutablePointer<nlmsghdr> {
        let header = unsafe mnl_nlmsg_put_header(place)!
        unsafe header.pointee.nlmsg_type = UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(type.rawValue)
        unsafe header.pointee.nlmsg_flags = UInt16(flags)
        let generic = unsafe mnl_nlmsg_put_extra_header(header, MemoryLayout<nfgenmsg>.size)!
            .assumingMemoryBound(to: nfgenmsg.self)
        unsafe generic.pointee = nfgenmsg(nfgen_family: family, version: UInt8(NFNETLINK_V0), res_id: 0)
        return unsafe header
    }
}
