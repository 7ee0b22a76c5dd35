import PacketQueue
import ScriptModules
import Synchronization
import SystemSupport

/// What the control thread and a worker say to each other, without a lock.
///
/// A filter is handed over as the address of memory that belongs to whoever holds the address: the control thread
/// until it is sent, the worker until it gives it back.
final class WorkerMailbox: Sendable {
    /// Wakes the worker.
    let wake: EventDescriptor
    /// Tells the control thread that a filter was given back, or that the worker has ended.
    let reply: EventDescriptor
    /// How often the worker's loop has turned: what the watchdog looks at.
    let turns = Counter()
    let overruns = Counter()
    let lostVerdicts = Counter()

    private let mail = Atomic<Bool>(false)
    private let next = Atomic<UInt>(0)
    private let old = Atomic<UInt>(0)
    private let stopping = Atomic<Bool>(false)
    private let hurrying = Atomic<Bool>(false)
    private let inspecting = Atomic<Bool>(true)
    private let generation = Atomic<Int>(0)

    init() throws(Errno) {
        wake = try EventDescriptor()
        reply = try EventDescriptor()
    }

    // The worker's side.

    var hasMail: Bool { mail.load(ordering: .relaxed) && mail.exchange(false, ordering: .acquiring) }
    var isStopping: Bool { stopping.load(ordering: .acquiring) }
    var isHurrying: Bool { hurrying.load(ordering: .relaxed) }
    var isInspecting: Bool { inspecting.load(ordering: .relaxed) }
    var interfaceGeneration: Int { generation.load(ordering: .acquiring) }

    func takeFilter() -> UnsafeMutablePointer<Filter>? {
        unsafe UnsafeMutablePointer(bitPattern: next.exchange(0, ordering: .acquiringAndReleasing))
    }

    func giveBack(_ filter: UnsafeMutablePointer<Filter>) {
        old.store(UInt(bitPattern: filter), ordering: .releasing)
        reply.signal()
    }

    // The control thread's side.

    func send(_ filter: UnsafeMutablePointer<Filter>) {
        next.store(UInt(bitPattern: filter), ordering: .releasing)
        wakeUp()
    }

    /// Takes a filter back that was sent but not yet taken.
    func recall() -> UnsafeMutablePointer<Filter>? { unsafe takeFilter() }

    func takeOldFilter() -> UnsafeMutablePointer<Filter>? {
        unsafe UnsafeMutablePointer(bitPattern: old.exchange(0, ordering: .acquiringAndReleasing))
    }

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
        mail.store(true, ordering: .releasing)
        wake.signal()
    }
}

/// A worker as the control thread knows it: its thread, and what is said to it.
final class Worker {
    let mailbox: WorkerMailbox
    let totals: TotalCounters
    /// What the running filter's scripts say.
    private(set) var log: ScriptLog
    private let leastLevel: LogLevel?
    private(set) var ruleCounters: RuleCounterTable
    private let ending: Ending
    private var thread: WorkerThread?

    /// How the loop ended, written before `reply` says so.
    private final class Ending: Sendable {
        private let failure = Mutex<String?>(nil)
        private let over = Atomic<Bool>(false)

        var isOver: Bool { over.load(ordering: .acquiring) }
        var message: String? { failure.withLock { $0 } }

        func end(_ message: String?) {
            failure.withLock { $0 = message }
            over.store(true, ordering: .releasing)
        }
    }

    /// Starts a worker on a queue with a configuration, whose scripts it loads again for itself.
    ///
    /// - Parameter leastLevel: of scripts' messages that are logged; nil for none.
    init(
        queue: consuming PacketQueue, answers: consuming RawSocket?, configuration: LoadedConfiguration, seed: UInt64,
        leastLevel: LogLevel?
    ) throws {
        let mailbox = try WorkerMailbox()
        let ending = Ending()
        totals = TotalCounters()
        let log = ScriptLog(totals: totals, leastLevel: leastLevel)
        self.log = log
        self.leastLevel = leastLevel
        self.mailbox = mailbox
        self.ending = ending

        let filter = UnsafeMutablePointer<Filter>.allocate(capacity: 1)
        unsafe filter.initialize(to: try Filter(configuration, totals: totals, log: log, seed: seed))
        ruleCounters = unsafe filter.pointee.counters
        let loop = Handover(
            try unsafe PacketLoop(queue: queue, filter: filter, mailbox: mailbox, answers: answers))
        thread = try WorkerThread(name: "npflua-worker") {
            var message: String?
            do throws(PacketQueueError) {
                try loop.run()
            } catch {
                message = error.description
            }
            ending.end(message)
            mailbox.reply.signal()
        }
    }

    deinit {
        // The thread is joined next, and nobody else would tell it to end.
        mailbox.stop()
    }

    /// Whether the loop has ended, and what went wrong if something did.
    var ended: (Bool, String?) { (ending.isOver, ending.message) }

    /// Puts a configuration in place of the running one, between two batches of packets.
    ///
    /// Returns what the old one's scripts have said.
    /// - Throws: what loading a script throws, or a sentence where the worker does not answer; the old one goes on.
    func replace(_ configuration: LoadedConfiguration, seed: UInt64) throws -> ScriptLog {
        let log = ScriptLog(totals: totals, leastLevel: leastLevel)
        let filter = UnsafeMutablePointer<Filter>.allocate(capacity: 1)
        do {
            unsafe filter.initialize(
                to: try Filter(configuration, totals: totals, log: log, seed: seed))
        } catch {
            unsafe filter.deallocate()
            throw error
        }
        let counters = unsafe filter.pointee.counters
        unsafe mailbox.send(filter)
        let deadline = Clock.monotonic + 5_000_000_000
        while true {
            if let old = unsafe mailbox.takeOldFilter() {
                unsafe Self.free(old)
                ruleCounters = counters
                defer { self.log = log }
                return self.log
            }
            // What the worker has not taken by now can be had back; what it has taken it is about to answer for.
            if Clock.monotonic > deadline || ending.isOver, let unread = unsafe mailbox.recall() {
                unsafe Self.free(unread)
                throw SystemError("the packet loop does not answer: nothing was changed")
            }
            if ending.isOver { throw SystemError(ending.message ?? "the packet loop has ended") }
            mailbox.reply.wait(milliseconds: 100)
        }
    }

    private static func free(_ filter: UnsafeMutablePointer<Filter>) {
        unsafe filter.deinitialize(count: 1)
        unsafe filter.deallocate()
    }

    /// Tells the loop to end once its queue is empty, and waits for it.
    ///
    /// A full queue of packets whose scripts reach their limits would take longer than an administrator waits.
    func stop() {
        mailbox.stop()
        let deadline = Clock.monotonic + 3_000_000_000
        while !ending.isOver && Clock.monotonic < deadline { mailbox.reply.wait(milliseconds: 50) }
        if !ending.isOver { mailbox.hurry() }
        thread = nil
    }
}

/// Carries a loop to the thread that runs it.
private final class Handover: @unchecked Sendable {
    private var loop: PacketLoop

    init(_ loop: consuming PacketLoop) {
        self.loop = loop
    }

    func run() throws(PacketQueueError) {
        try loop.run()
    }
}
