import AddressTables
import PacketQueue
import Procedures
import Ruleset
import ScriptModules
import Synchronization
import SystemSupport

/// Work that the control thread has a worker do between two batches of packets.
///
/// The control thread waits meanwhile, so what the work refers to is the worker's alone.
@safe
final class Errand: @unchecked Sendable {
    /// Gets the address of the worker's filter, and may put another in its place.
    let work: (inout UnsafeMutablePointer<Filter>) -> Void

    init(_ work: @escaping (inout UnsafeMutablePointer<Filter>) -> Void) {
        unsafe self.work = unsafe work
    }
}

/// What the control thread and a worker say to each other, without a lock.
final class WorkerMailbox: Sendable {
    /// Wakes the worker.
    let wake: EventDescriptor
    /// Tells the control thread that an errand is done, or that the worker has ended.
    let reply: EventDescriptor
    /// How often the worker's loop has turned: what the watchdog looks at.
    let turns = Counter()
    let overruns = Counter()
    let lostVerdicts = Counter()

    private let mail = Atomic<Bool>(false)
    /// An errand that nobody has begun, as a reference that whoever takes it owns.
    private let errand = Atomic<UInt>(0)
    private let done = Atomic<Bool>(false)
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

    /// An errand that waits.
    func takeErrand() -> Errand? {
        let taken = errand.exchange(0, ordering: .acquiringAndReleasing)
        return unsafe UnsafeRawPointer(bitPattern: taken).map {
            unsafe Unmanaged<Errand>.fromOpaque($0).takeRetainedValue()
        }
    }

    func finishErrand() {
        done.store(true, ordering: .releasing)
        reply.signal()
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
        mail.store(true, ordering: .releasing)
        wake.signal()
    }
}

/// A worker as the control thread knows it: its thread, and what is said to it.
final class Worker {
    let mailbox: WorkerMailbox
    let totals: TotalCounters
    /// The packets that the running configuration's procedures log.
    private(set) var log: PacketLog
    /// What the running filter's scripts say.
    private(set) var messages: ScriptLog
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
        let log = PacketLog()
        let messages = ScriptLog(totals: totals, leastLevel: leastLevel)
        self.log = log
        self.messages = messages
        self.leastLevel = leastLevel
        self.mailbox = mailbox
        self.ending = ending

        let filter = UnsafeMutablePointer<Filter>.allocate(capacity: 1)
        unsafe filter.initialize(
            to: try Filter(configuration, totals: totals, messages: messages, log: log, seed: seed))
        ruleCounters = unsafe filter.pointee.counters
        guard let reader = configuration.readers.register() else {
            throw SystemError("too many workers read the tables")
        }
        let loop = Handover(
            try unsafe PacketLoop(
                queue: queue, filter: filter, mailbox: mailbox, answers: answers, tables: reader))
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

    /// Puts a configuration in place of the running one, between two batches of packets; connections go on.
    ///
    /// - Parameter former: the running configuration.
    /// - Returns: the packets that the former configuration's procedures have logged, and what its scripts have said.
    /// - Throws: what loading a script throws, or a sentence where the worker does not answer; the old one goes on.
    func replace(_ former: LoadedConfiguration, by configuration: LoadedConfiguration, seed: UInt64) throws
        -> (PacketLog, ScriptLog)
    {
        let log = PacketLog()
        let messages = ScriptLog(totals: totals, leastLevel: leastLevel)
        let new = UnsafeMutablePointer<Filter>.allocate(capacity: 1)
        do {
            unsafe new.initialize(
                to: try Filter(
                    configuration, totals: totals, messages: messages, log: log, seed: seed, after: former))
        } catch {
            unsafe new.deallocate()
            throw error
        }
        let counters = unsafe new.pointee.counters
        var unused = unsafe new
        defer { unsafe Self.free(unused) }
        try unsafe perform { filter in
            unsafe new.pointee.takeOver(&filter.pointee)
            unsafe unused = unsafe filter
            unsafe filter = unsafe new
        }
        ruleCounters = counters
        defer { (self.log, self.messages) = (log, messages) }
        return (self.log, self.messages)
    }

    /// Has the worker walk other dynamic rules; all else stays as it is.
    func replaceRules(by ruleset: CompiledRuleset) throws {
        // The old rules are freed here, not on the packet path.
        var former: CompiledRuleset?
        try unsafe perform { filter in unsafe former = filter.pointee.exchangeRules(for: ruleset) }
        withExtendedLifetime(former) {}
        former = nil
    }

    /// Has the worker do something between two batches of packets, and waits until it is done.
    ///
    /// - Throws: a sentence where the worker does not answer; then nothing was done.
    func perform(_ work: @escaping (inout UnsafeMutablePointer<Filter>) -> Void) throws {
        mailbox.send(unsafe Errand(work))
        let deadline = Clock.monotonic + 5_000_000_000
        while !mailbox.isErrandDone {
            // What the worker has not begun by now can be had back; what it has begun it is about to end.
            if Clock.monotonic > deadline || ending.isOver, mailbox.recallErrand() {
                throw SystemError("the packet loop does not answer: nothing was changed")
            }
            if ending.isOver && !mailbox.isErrandDone {
                throw SystemError(ending.message ?? "the packet loop has ended")
            }
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
