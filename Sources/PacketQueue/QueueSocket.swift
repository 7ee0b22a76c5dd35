internal import CMnl
internal import CNetfilterQueue
internal import Glibc
internal import SystemSupport

/// The netlink socket that owns a queue, and the queue's settings.
@safe
struct QueueSocket: ~Copyable {
    /// The sequence number of verdicts, which the kernel answers only when they fail.
    static let verdictSequence: UInt32 = 0
    private static let settingSequence: UInt32 = 1
    /// That of a queue's length, whose refusal is nobody's concern.
    static let lengthSequence: UInt32 = 2

    private let socket: OpaquePointer
    private let number: UInt16

    private init(owning socket: OpaquePointer, number: UInt16) {
        unsafe self.socket = socket
        self.number = number
    }

    /// Takes the queue `number` with all its settings.
    static func take(
        number: UInt16, maximumLength: UInt32, failOpen: Bool, copyLength: Int, takesBursts: Bool = true
    ) throws(PacketQueueError) -> QueueSocket {
        guard let socket = unsafe mnl_socket_open2(NETLINK_NETFILTER, CInt(SOCK_CLOEXEC.rawValue)) else {
            throw PacketQueueError(taking: number, .current)
        }
        let queue = unsafe QueueSocket(owning: socket, number: number)
        do {
            try Errno.check { unsafe mnl_socket_bind(queue.socket, 0, pid_t(MNL_SOCKET_AUTOPID)) }
            try queue.setOptions(maximumLength: maximumLength)
            try queue.bind(
                maximumLength: maximumLength, failOpen: failOpen, copyLength: copyLength, takesBursts: takesBursts)
        } catch {
            throw PacketQueueError(taking: number, error)
        }
        return queue
    }

    private func bind(
        maximumLength: UInt32, failOpen: Bool, copyLength: Int, takesBursts: Bool
    ) throws(Errno) {
        // A queue without a copy mode takes no packets, so the answer to this is the first thing to come in.
        try unsafe configure { header in
            unsafe nfq_nlmsg_cfg_put_cmd(header, UInt16(AF_UNSPEC), UInt8(NFQNL_CFG_CMD_BIND.rawValue))
            unsafe nfq_nlmsg_cfg_put_qmaxlen(header, maximumLength)
            let flags = (takesBursts ? Self.gso : 0) | (failOpen ? Self.failOpen : 0)
            unsafe Self.put(flags, among: Self.gso | Self.failOpen, header)
        }
        try awaitAnswer()
        try putCopyLength(copyLength)
    }

    private func putCopyLength(_ length: Int) throws(Errno) {
        try unsafe configure { header in
            unsafe nfq_nlmsg_cfg_put_params(header, UInt8(NFQNL_COPY_PACKET.rawValue), CInt(length))
        }
    }

    deinit {
        // The kernel drops what still waits in the queue.
        unsafe mnl_socket_close(socket)
    }

    var descriptor: CInt { unsafe mnl_socket_get_fd(socket) }
    var port: UInt32 { unsafe mnl_socket_get_portid(socket) }

    func setFailOpen(_ failOpen: Bool) throws(PacketQueueError) {
        do {
            try unsafe configure { header in
                unsafe Self.put(failOpen ? Self.failOpen : 0, among: Self.failOpen, header)
            }
        } catch {
            throw explain(error)
        }
    }

    func setCopyLength(_ length: Int) throws(PacketQueueError) {
        do {
            try putCopyLength(length)
        } catch {
            throw explain(error)
        }
    }

    /// Changes how many packets may wait.
    ///
    /// Part of the packet path.
    func setMaximumLength(_ length: UInt32) throws(Errno) {
        try unsafe configure(Self.lengthSequence, answers: false) { header in
            unsafe nfq_nlmsg_cfg_put_qmaxlen(header, length)
        }
    }

    func explain(_ error: Errno) -> PacketQueueError {
        PacketQueueError(using: number, error)
    }

    private static var gso: UInt32 { UInt32(NFQA_CFG_F_GSO) }
    private static var failOpen: UInt32 { UInt32(NFQA_CFG_F_FAIL_OPEN) }

    /// All flags in one attribute: of two of the same type the kernel reads one.
    private static func put(_ flags: UInt32, among mask: UInt32, _ header: UnsafeMutablePointer<nlmsghdr>) {
        unsafe mnl_attr_put_u32(header, UInt16(NFQA_CFG_FLAGS.rawValue), flags.bigEndian)
        unsafe mnl_attr_put_u32(header, UInt16(NFQA_CFG_MASK.rawValue), mask.bigEndian)
    }

    private func setOptions(maximumLength: UInt32) throws(Errno) {
        // Without these two a full socket takes nothing more until it is empty, and an error comes back with the
        // whole verdict that it answers.
        try setOption(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
        try setOption(SOL_NETLINK, NETLINK_CAP_ACK, 1)

        // A whole queue of the longest packets: segmentation offload makes them 64 KiB long, and what does not fit
        // the socket is lost. It is a limit, not memory: the kernel shares the packets' own pages.
        let receiveSize = CInt(max(1 << 20, min(Int(maximumLength) * (72 << 10), 1 << 30)))
        let sendSize = CInt(2 * VerdictBuffer.datagramSize)
        for (forced, modest, size) in [
            (SO_RCVBUFFORCE, SO_RCVBUF, receiveSize), (SO_SNDBUFFORCE, SO_SNDBUF, sendSize),
        ] {
            do {
                try setOption(SOL_SOCKET, forced, size)
            } catch {
                // Without the capability: as much as net.core.rmem_max allows.
                try setOption(SOL_SOCKET, modest, size)
            }
        }
    }

    private func setOption(_ level: CInt, _ name: CInt, _ value: CInt) throws(Errno) {
        var value = value
        try Errno.check {
            unsafe setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<CInt>.size))
        }
    }

    /// Sends one NFQNL_MSG_CONFIG with the attributes that `put` adds; it allocates nothing.
    ///
    /// - Parameter answers: whether an answer will come in, or only a refusal.
    private func configure(
        _ sequence: UInt32 = Self.settingSequence, answers: Bool = true,
        _ put: (UnsafeMutablePointer<nlmsghdr>) -> Void
    ) throws(Errno) {
        var room = [32 of UInt64](repeating: 0)
        var bytes = room.mutableSpan
        try unsafe bytes.withUnsafeMutableBytes { room throws(Errno) in
            let header = unsafe nfq_nlmsg_put(room.baseAddress, CInt(NFQNL_MSG_CONFIG.rawValue), UInt32(number))!
            if answers { unsafe header.pointee.nlmsg_flags |= UInt16(NLM_F_ACK) }
            unsafe header.pointee.nlmsg_seq = sequence
            unsafe put(header)
            try Errno.check { unsafe mnl_socket_sendto(socket, header, Int(header.pointee.nlmsg_len)) }
        }
    }

    /// The kernel answers while it takes the message, so the answer is there already.
    private func awaitAnswer() throws(Errno) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4)
        defer { unsafe buffer.deallocate() }
        let length = try Errno.check { unsafe recv(descriptor, buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT)) }
        let datagram = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
        var offset = 0
        while let message = unsafe PacketMessage.parse(datagram, at: &offset) {
            guard case .answer(Self.settingSequence, let code) = message else { continue }
            if code != 0 { throw Errno(code) }
            return
        }
        throw Errno(EPROTO)
    }
}
