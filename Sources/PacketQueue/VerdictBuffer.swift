internal import CMnl
internal import CNetfilterQueue
internal import Glibc
package import SystemSupport

/// Verdicts as netlink messages, gathered until they are sent.
///
/// A run of accepts becomes one NFQNL_MSG_VERDICT_BATCH. That message accepts every packet that still waits with
/// this id or a lower one, so a run only takes packets whose predecessors all have their verdict, and is written
/// before any other verdict is.
@safe
package struct VerdictBuffer: ~Copyable {
    /// More than a verdict takes with the longest payload: 65,531 bytes and 36 of headers.
    package static let verdictSize = 68 << 10
    /// More than this is sent in parts: a datagram has to fit into the socket's send buffer.
    package static let datagramSize = 128 << 10
    /// An attribute's length has 16 bits and counts its header of 4 bytes.
    package static let maximumPayload = 65_531

    private let queueNumber: UInt16
    private let memory: MappedMemory
    private var length = 0
    private var sent = 0
    /// The accepts at the end that are not written yet.
    private var runLength = 0
    private var runEnd: UInt32 = 0

    /// Room for one verdict for each of `capacity` packets.
    package init(queueNumber: UInt16, capacity: Int) throws(PacketQueueError) {
        self.queueNumber = queueNumber
        guard let memory = MappedMemory(size: capacity * Self.verdictSize) else {
            throw PacketQueueError(memory: .current)
        }
        self.memory = memory
    }

    /// Accepts `id`, all of whose predecessors have their verdict.
    package mutating func acceptNext(_ id: UInt32) {
        runLength += 1
        runEnd = id
    }

    /// Accepts `id` alone, with another packet mark if one is given.
    package mutating func accept(_ id: UInt32, mark: UInt32? = nil) {
        endRun()
        unsafe append(NFQNL_MSG_VERDICT, id, NF_ACCEPT, mark: mark)
    }

    /// Drops `id`.
    package mutating func drop(_ id: UInt32) {
        endRun()
        unsafe append(NFQNL_MSG_VERDICT, id, NF_DROP)
    }

    /// Accepts `id` with `payload`, of `maximumPayload` bytes at most, in place of its contents, and
    /// with another packet mark if one is given.
    package mutating func replace(_ id: UInt32, with payload: UnsafeRawBufferPointer, mark: UInt32? = nil) {
        endRun()
        unsafe append(NFQNL_MSG_VERDICT, id, NF_ACCEPT, mark: mark, payload: payload)
    }

    /// Has `id` meet the rule that queued it, and all others of its chain, once more, with another packet mark.
    package mutating func `repeat`(_ id: UInt32, mark: UInt32) {
        endRun()
        unsafe append(NFQNL_MSG_VERDICT, id, NF_REPEAT, mark: mark)
    }

    /// Has `id` wait in another queue.
    ///
    /// - Parameter failOpen: where nobody has that queue the packet is accepted, else it is dropped.
    package mutating func handOn(_ id: UInt32, to queue: UInt16, failOpen: Bool) {
        endRun()
        let bypass = failOpen ? CInt(NF_VERDICT_FLAG_QUEUE_BYPASS) : 0
        unsafe append(NFQNL_MSG_VERDICT, id, CInt(bitPattern: UInt32(queue) << 16) | bypass | NF_QUEUE)
    }

    private mutating func endRun() {
        guard runLength > 0 else { return }
        unsafe append(runLength == 1 ? NFQNL_MSG_VERDICT : NFQNL_MSG_VERDICT_BATCH, runEnd, NF_ACCEPT)
        runLength = 0
    }

    private mutating func append(
        _ type: nfqnl_msg_types, _ id: UInt32, _ verdict: CInt, mark: UInt32? = nil,
        payload: UnsafeRawBufferPointer? = nil
    ) {
        unsafe precondition(memory.bytes.count - length >= Self.verdictSize, "more verdicts than packets")
        unsafe precondition(payload?.count ?? 0 <= Self.maximumPayload, "payload too long")
        let start = unsafe memory.bytes.baseAddress! + length
        let header = unsafe nfq_nlmsg_put(start, CInt(type.rawValue), UInt32(queueNumber))!
        unsafe nfq_nlmsg_verdict_put(header, CInt(bitPattern: id), verdict)
        if let mark { unsafe nfq_nlmsg_verdict_put_mark(header, mark) }
        if let payload = unsafe payload {
            unsafe nfq_nlmsg_verdict_put_pkt(header, payload.baseAddress, UInt32(payload.count))
        }
        unsafe length += Int(header.pointee.nlmsg_len)
    }

    /// What is to be sent, as messages one after the other.
    package mutating func pending() -> UnsafeRawBufferPointer {
        endRun()
        return unsafe UnsafeRawBufferPointer(rebasing: memory.bytes[sent..<length])
    }

    /// Sends all; what the system refuses stays for the next call.
    package mutating func send(over socket: CInt) throws(Errno) {
        while true {
            let rest = unsafe pending()
            let size = unsafe Self.datagram(of: rest)
            if size == 0 { break }
            try Errno.check { unsafe Glibc.send(socket, rest.baseAddress, size, 0) }
            sent += size
        }
        length = 0
        sent = 0
    }

    /// The length of as many whole messages as one datagram takes.
    package static func datagram(of messages: UnsafeRawBufferPointer) -> Int {
        guard messages.count > datagramSize else { return messages.count }
        var end = 0
        while true {
            let next = unsafe end + Int(messages.loadUnaligned(fromByteOffset: end, as: UInt32.self))
            if next > datagramSize { return end }
            end = next
        }
    }
}
