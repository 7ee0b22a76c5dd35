internal import CLinuxShim
internal import CMnl
internal import Glibc
internal import SystemSupport

/// The buffers that datagrams are received into, many in one system call, and read from one message at a time.
@safe
struct ReceiveRing: ~Copyable {
    /// A slot holds the longest packet that a message can carry (65,531 bytes) with its other attributes.
    private static let slotSize = 68 << 10
    /// From one slot to the next: five cache lines more, so that the beginnings of all slots, which are what is read,
    /// do not compete for the same few lines of the first cache.
    private static let stride = slotSize + 5 * 64

    private let memory: MappedMemory
    private let vectors: UnsafeMutableBufferPointer<iovec>
    private let headers: UnsafeMutableBufferPointer<linux_mmsghdr>
    /// The slots that hold a datagram, the one that is being read, and how far.
    private var filled = 0
    private var slot = 0
    private var offset = 0

    init(slots: Int) throws(PacketQueueError) {
        guard let memory = MappedMemory(size: slots * Self.stride) else {
            throw PacketQueueError(memory: .current)
        }
        unsafe vectors = .allocate(capacity: slots)
        unsafe headers = .allocate(capacity: slots)
        for index in 0..<slots {
            unsafe vectors.initializeElement(
                at: index,
                to: iovec(iov_base: memory.bytes.baseAddress! + index * Self.stride, iov_len: Self.slotSize))
            var header = unsafe linux_mmsghdr()
            unsafe header.msg_hdr.msg_iov = vectors.baseAddress! + index
            unsafe header.msg_hdr.msg_iovlen = 1
            unsafe headers.initializeElement(at: index, to: header)
        }
        self.memory = memory
    }

    deinit {
        unsafe vectors.deallocate()
        unsafe headers.deallocate()
    }

    /// Whether the last `fill` has found more than it had room for, as far as can be known.
    var isFull: Bool { unsafe filled == headers.count }

    /// Takes what is in the socket, once everything is read.
    ///
    /// - Parameter waiting: whether to wait for something to come.
    /// - Returns: false: nothing is there.
    mutating func fill(from socket: CInt, waiting: Bool) throws(Errno) -> Bool {
        slot = 0
        offset = 0
        filled = 0
        let count = unsafe linux_recvmmsg(
            socket, headers.baseAddress, CUnsignedInt(headers.count), CInt(waiting ? MSG_WAITFORONE : MSG_DONTWAIT))
        guard count > 0 else {
            // Every burst ends with an empty socket: that is no error.
            let error = Errno.current
            if error == .wouldBlock || error == .interrupted { return false }
            throw error
        }
        filled = Int(count)
        return true
    }

    /// The next message; nil: everything is read.
    mutating func next() -> PacketMessage? {
        while slot < filled {
            let datagram = unsafe UnsafeMutableRawBufferPointer(
                start: vectors[slot].iov_base, count: Int(headers[slot].msg_len))
            if let message = unsafe PacketMessage.parse(datagram, at: &offset) { return message }
            slot += 1
            offset = 0
        }
        return nil
    }
}
