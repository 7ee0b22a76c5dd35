import PacketQueue
import Synchronization
import SystemSupport

/// Work that the control thread has a worker do between two batches of packets.
///
/// The control thread waits meanwhile, so what the work refers to is the worker's alone.
@safe
final class Errand: @unchecked Sendable {
    /// Bytes that the work needs packets to be copied to, and all that are copied once it is done; nil leaves them.
    ///
    /// More than before is set first, and the work is done once no packet comes that was copied to less.
    let copyLength: Int?
    /// Gets the address of the worker's filter, and may put another in its place.
    let work: (inout UnsafeMutablePointer<Filter>) -> Void

    init(copyLength: Int? = nil, _ work: @escaping (inout UnsafeMutablePointer<Filter>) -> Void) {
        self.copyLength = copyLength
        unsafe self.work = unsafe work
    }
}

/// What any worker wakes the control thread by.
final class WorkerReply: Sendable {
    let event: EventDescriptor

    init() throws(Errno) {
        event = try EventDescriptor()
    }
}

/// What the control thread and a worker say to each other, without a lock.
final class WorkerMailbox: Sendable {
    private let before = CacheLines()
    private let waker: QueueWaker
    /// The worker's queue, by which it is woken; 0 until it has one.
    private let port = Atomic<UInt32>(0)
    /// Tells the control thread that an errand is done, or that a worker has begun or ended; all workers have one.
    let reply: WorkerReply
    /// How often the worker's loop has turned: what the watchdog looks at.
    let turns = Counter()
    let overruns = Counter()
    let lostVerdicts = Counter()
    let handedOn = Counter()

    private let mail = Atomic<Bool>(false)
    /// An errand that nobody has begun, as a reference that whoever takes it owns.
    private let errand = Atomic<UInt>(0)
    private let done = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private let hurrying = Atomic<Bool>(false)
    private let inspecting = Atomic<Bool>(true)
    private let generation = Atomic<Int>(0)
    private let behind = CacheLines()

    init(reply: WorkerReply) throws(Errno) {
        waker = try QueueWaker()
        self.reply = reply
    }

    // The worker's side.

    /// From now on the worker waits for its queue.
    func isServing(_ port: UInt32) { self.port.store(port, ordering: .sequentiallyConsistent) }

    /// Whether there is something to look after: what comes after that ends the waiting for packets.
    var hasMail: Bool { mail.load(ordering: .sequentiallyConsistent) && mail.exchange(false, ordering: .acquiring) }
    var isStopping: Bool { stopping.load(ordering: .acquiring) }
    var isHurrying: Bool { hurrying.load(ordering: .relaxed) }
    var isInspecting: Bool { inspecting.load(ordering: .relaxed) }
    var interfaceGeneration: Int { generation.load(ordering: .acquiring) }

    /// An errand that waits.
    func takeErrand() -> Errand? {
        let taken = errand.exchange(0, ordering: .acquiringAndReleasing)
        return unsafe UnsafeRawPointer(bitPattern: taken).map {
            unsafe Unmanaged<Errand>.fromOpaque($0).takeRetainedValue()
        }
    }

    func finishErrand() {
        done.store(true, ordering: .releasing)
        reply.event.signal()
    }

    // The control thread's side.

    func send(_ errand: Errand) {
        done.store(false, ordering: .relaxed)
        let reference = unsafe Unmanaged.passRetained(errand).toOpaque()
        self.errand.store(UInt(bitPattern: reference), ordering: .releasing)
        wakeUp()
    }

    /// Takes an errand back that the worker has not begun.
    ///
    /// Returns whether it was still there.
    func recallErrand() -> Bool { takeErrand() != nil }

    var isErrandDone: Bool { done.load(ordering: .acquiring) }

    func inspect(_ on: Bool) { inspecting.store(on, ordering: .relaxed) }

    func interfacesChanged() {
        generation.wrappingAdd(1, ordering: .releasing)
        wakeUp()
    }

    func stop() {
        stopping.store(true, ordering: .releasing)
        wakeUp()
    }

    /// What still waits is decided as `set fail` says, without rules and scripts.
    func hurry() { hurrying.store(true, ordering: .relaxed) }

    func wakeUp() {
        mail.store(true, ordering: .sequentiallyConsistent)
        let port = port.load(ordering: .sequentiallyConsistent)
        if port != 0 { waker.wake(port) }
    }
}
