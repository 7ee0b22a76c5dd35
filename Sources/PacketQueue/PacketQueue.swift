internal import CMnl
internal import CNetfilterQueue
internal import Glibc
internal import SystemSupport

/// The owner of one NFQUEUE number: takes packets from the kernel and gives it their verdicts.
///
/// Every packet gets one verdict between the `receive()` that brought it and the next; one that got none is dropped
/// there, because its contents are gone. A verdict for an id that does not wait is ignored. Nothing but `init`
/// allocates.
@safe
public struct PacketQueue: ~Copyable {
    /// The packets that one `receive()` brings at most.
    public static let capacity = 32

    /// Bytes of a packet that the queue can show at most: an attribute of netlink has no room for more.
    public static let maximumCopyLength = 65_531

    /// Packets that the kernel could not hand over because the socket was full: gaps in the ids, which it gives before
    /// it tries.
    ///
    /// It has dropped them, or accepted them with `failOpen`.
    public private(set) var overruns: UInt64 = 0

    /// Verdicts that came too late: the packet was gone, for example with its interface.
    public private(set) var lostVerdicts: UInt64 = 0

    private let socket: QueueSocket
    private var ring: ReceiveRing
    private var window: PacketWindow
    private var verdicts: VerdictBuffer
    private var lastID: UInt32 = 0
    private var refusal: Errno?
    private var failOpen: Bool
    private let maximumLength: UInt32
    private var standing: StandingQueue
    private let kernelTable: QueueCounterTable

    /// Bytes of each packet that are copied at most.
    public private(set) var copyLength: Int
    /// What it was before, and how many packets may still come that were copied to that.
    private var formerCopyLength: Int
    private var unsettled: UInt32 = 0

    /// Takes the queue `number` in the calling thread's network namespace.
    ///
    /// - Parameters:
    ///   - maximumLength: how many packets may wait in the kernel.
    ///   - failOpen: a packet that finds the queue full is accepted instead of dropped.
    ///   - copyLength: bytes of each packet that are copied at most, 1 to `maximumCopyLength`.
    ///   - takesBursts: what one system call has sent, or one interrupt brought, comes as the one packet that it is in the
    ///     kernel (segmentation offload); else as packets that a link takes.
    public init(
        number: UInt16, maximumLength: UInt32, failOpen: Bool, copyLength: Int = Self.maximumCopyLength,
        takesBursts: Bool = true
    ) throws(PacketQueueError) {
        let ring = try ReceiveRing(slots: Self.capacity)
        let verdicts = try VerdictBuffer(queueNumber: number, capacity: Self.capacity)
        let kernelTable = try QueueCounterTable(number: number)
        socket = try QueueSocket.take(
            number: number, maximumLength: maximumLength, failOpen: failOpen, copyLength: copyLength,
            takesBursts: takesBursts)
        self.failOpen = failOpen
        self.maximumLength = maximumLength
        self.copyLength = copyLength
        formerCopyLength = copyLength
        self.ring = ring
        self.verdicts = verdicts
        window = PacketWindow(capacity: Self.capacity)
        self.kernelTable = kernelTable
        standing = StandingQueue(maximumLength: maximumLength)
    }

    /// Whether another socket has the queue `number`, in the calling thread's network namespace.
    ///
    /// Needs CAP_NET_ADMIN; without it every queue looks taken.
    public static func isTaken(_ number: UInt16) -> Bool {
        do throws(PacketQueueError) {
            _ = try QueueSocket.take(number: number, maximumLength: 1, failOpen: false, copyLength: 1)
            return false
        } catch {
            return error.code == .notPermitted || error.code == .busy
        }
    }

    /// The netlink socket.
    package var descriptor: CInt { socket.descriptor }

    /// By which a `QueueWaker` knows the queue.
    package var port: UInt32 { socket.port }

    /// Takes what waits, `capacity` packets at most.
    ///
    /// Before that it settles the packets of the last call: it drops those without a verdict and sends what
    /// `sendVerdicts()` has not sent.
    ///
    /// - Parameter waiting: whether to wait, where nothing is there, until something comes.
    /// - Returns: how many packets `packet(at:)` now has; 0: the queue is empty, or somebody has ended the waiting.
    /// - Throws: when the queue is no longer ours, or a change of its settings was refused.
    public mutating func receive(waiting: Bool = false) throws(PacketQueueError) -> Int {
        var waiting = waiting
        var isEmpty = false
        while let id = window.undecided { drop(id) }
        try sendVerdicts()
        window.removeAll()
        while true {
            while !window.isFull, let message = ring.next() { take(message) }
            if window.count > 0 {
                unsettled -= min(unsettled, UInt32(window.count))
                adjustLength()
                return window.count
            }
            if let refusal {
                self.refusal = nil
                throw socket.explain(refusal)
            }
            do {
                isEmpty = try !ring.fill(from: descriptor, waiting: waiting)
            } catch {
                // The kernel clears it by telling it; what was lost shows in the ids.
                if error != .noBufferSpace { throw socket.explain(error) }
                continue
            }
            if isEmpty {
                unsettled = 0
                adjustLength()
                return 0
            }
            waiting = false
        }
    }

    /// Whether the last `receive()` may have left something behind.
    public var mayHaveMore: Bool { ring.isFull }

    /// Keeps a queue short that stays full, until it is empty.
    @inline(__always)
    private mutating func adjustLength() {
        switch standing.note(batchOf: window.count, isFull: ring.isFull) {
        case .none: break
        case .suspicion: shortenIfStanding()
        case .recovery: lengthen()
        }
    }

    /// With `failOpen` the kernel drops nothing.
    @inline(never)
    private mutating func shortenIfStanding() {
        guard !failOpen, let counters = kernelTable.counters, standing.isStanding(counters) else { return }
        try? socket.setMaximumLength(StandingQueue.shortLength)
    }

    @inline(never)
    private mutating func lengthen() {
        if (try? socket.setMaximumLength(maximumLength)) == nil { standing.stayShort() }
    }

    private mutating func take(_ message: PacketMessage) {
        switch message {
        case .packet(let packet):
            overruns &+= UInt64(packet.id &- lastID &- 1)
            lastID = packet.id
            window.append(packet)
        case .answer(QueueSocket.verdictSequence, ENOENT):
            lostVerdicts &+= 1
        case .answer(QueueSocket.lengthSequence, _): break
        case .answer(_, let code) where code != 0:
            refusal = Errno(code)
        case .answer, .other:
            break
        }
    }

    /// The packet at `index`, counted from 0, of the last `receive()`.
    public func packet(at index: Int) -> QueuedPacket {
        window[index]
    }

    /// Lets the packet `id` go on as it is.
    public mutating func accept(_ id: UInt32) {
        switch window.settle(id) {
        case .next: verdicts.acceptNext(id)
        case .early: verdicts.accept(id)
        case .none: break
        }
    }

    /// Lets the packet `id` go on as it is, but for its mark.
    public mutating func accept(_ id: UInt32, mark: UInt32) {
        guard window.settle(id) != .none else { return }
        verdicts.accept(id, mark: mark)
    }

    /// Drops the packet `id`.
    public mutating func drop(_ id: UInt32) {
        guard window.settle(id) != .none else { return }
        verdicts.drop(id)
    }

    /// Lets the packet `id` go on with `payload`, from the IP header on, in place of its contents.
    ///
    /// The checksums have to be right. More than 65,531 bytes do not fit into a verdict: the packet is dropped.
    ///
    /// - Parameter mark: the packet's mark from now on; nil leaves it.
    public mutating func replace(_ id: UInt32, with payload: UnsafeRawBufferPointer, mark: UInt32? = nil) {
        guard window.settle(id) != .none else { return }
        if payload.count <= VerdictBuffer.maximumPayload {
            unsafe verdicts.replace(id, with: payload, mark: mark)
        } else {
            verdicts.drop(id)
        }
    }

    /// Has the packet `id` meet the chain that queued it once more, from its first rule on, with the packet mark `mark`.
    ///
    /// So the chain can keep in the connection's mark what was decided for its flow (NF_REPEAT with NFQA_MARK).
    public mutating func decideFlow(_ id: UInt32, mark: UInt32) {
        guard window.settle(id) != .none else { return }
        verdicts.repeat(id, mark: mark)
    }

    /// Has the packet `id` wait in the queue `number`, behind those that are there (NF_QUEUE).
    ///
    /// Where nobody has that queue it is dropped, or accepted with `failOpen`.
    public mutating func handOn(_ id: UInt32, to number: UInt16) {
        guard window.settle(id) != .none else { return }
        verdicts.handOn(id, to: number, failOpen: failOpen)
    }

    /// Gives the kernel the verdicts so far; what it could not take is kept for the next call.
    public mutating func sendVerdicts() throws(PacketQueueError) {
        do {
            try verdicts.send(over: descriptor)
        } catch {
            throw socket.explain(error)
        }
    }

    /// Changes what happens to a packet that finds the queue full.
    ///
    /// The kernel's answer comes behind the packets that wait: a refusal is thrown by a `receive()`.
    public mutating func setFailOpen(_ failOpen: Bool) throws(PacketQueueError) {
        try socket.setFailOpen(failOpen)
        self.failOpen = failOpen
        if failOpen && standing.isShort { lengthen() }
    }

    /// Changes how many bytes of each packet are copied at most, 1 to `maximumCopyLength`.
    ///
    /// Packets that wait already come as they were copied: see `assuredCopyLength`.
    public mutating func setCopyLength(_ length: Int) throws(PacketQueueError) {
        try socket.setCopyLength(length)
        formerCopyLength = assuredCopyLength
        copyLength = length
        unsettled = maximumLength
    }

    /// Bytes to which every packet from the next `receive()` on has been copied, if it has as many.
    ///
    /// It is a larger `copyLength` once the queue has been empty, or as many packets have come as can have waited.
    public var assuredCopyLength: Int { unsettled == 0 ? copyLength : min(copyLength, formerCopyLength) }

    /// The kernel's counters of a queue, or the sums of several; nil: nobody has any, or only root may read them.
    ///
    /// For the control thread: it reads `/proc`, in the calling thread's network namespace.
    public static func kernelCounters(of numbers: ClosedRange<UInt16>) -> QueueCounters? {
        QueueCounters(numbers: numbers)
    }
}
