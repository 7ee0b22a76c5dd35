import ConfigLanguage
import PacketQueue
import Ruleset
import ScriptModules
import SystemSupport

/// The workers of a daemon: each has a queue of a range, and both directions of a flow come to the same one.
final class Workers {
    /// The most that there can be.
    static let maximumCount = 64

    /// The workers, the one of the first queue first.
    let all: [Worker]
    /// Their queues.
    let queues: ClosedRange<UInt16>
    /// Called now and then while the control thread waits for workers.
    var whileWaiting: () -> Void = {}
    private let reply: WorkerReply
    /// Filters that were replaced, until there is time to free them.
    private var retired: [PreparedFilter] = []

    /// How many workers a configuration asks for.
    static func count(_ parameters: Parameters) -> Int {
        let count = parameters[.queueWorkers]
        return count > 0 ? count : min(Processors.available.count, maximumCount)
    }

    /// The queues that a configuration asks for, one a worker.
    static func queues(_ parameters: Parameters) throws -> ClosedRange<UInt16> {
        let (first, count) = (Int(parameters.queueNumber), count(parameters))
        // Behind these each worker has one more, for segments.
        guard first + 2 * count - 1 <= UInt16.max else {
            throw SystemError(
                "the queues of \(count) workers, two each, from queue \(first) on go beyond 65535: "
                    + "set queue.number lower")
        }
        return UInt16(first)...UInt16(first + count - 1)
    }

    /// The queues that workers have taken: theirs, and behind them those for segments.
    static func allQueues(of queues: ClosedRange<UInt16>) -> ClosedRange<UInt16> {
        queues.lowerBound...queues.upperBound + UInt16(queues.count)
    }

    /// Starts workers, all of which load the configuration's scripts at the same time and take their queues.
    ///
    /// - Throws: what kept one of them from starting; then all have ended.
    init(_ configuration: LoadedConfiguration, leastLevel: LogLevel?) throws {
        queues = try Self.queues(configuration.parameters)
        let processors = Processors.available
        let reply = try WorkerReply()
        all = try queues.enumerated().map { [count = queues.count] number, queue in
            let place = WorkerPlace(
                number: number, count: count, queue: queue,
                processor: count <= processors.count ? processors[number] : nil, leastLevel: leastLevel)
            return try Worker(place, configuration: configuration, reply: reply)
        }
        self.reply = reply
        while try !all.allSatisfy({ try $0.hasStarted().0 }) { wait() }
    }

    /// Readable when a worker has something to say.
    var descriptor: CInt { reply.event.descriptor.raw }

    /// Whether all of them can answer the senders of blocked packets.
    var canAnswer: Bool { all.allSatisfy { (try? $0.hasStarted().canAnswer) ?? false } }

    /// Takes note of what the workers have said.
    ///
    /// - Throws: why one of them has ended.
    func check() throws {
        reply.event.drain()
        for worker in all { if let end = worker.end { throw end } }
    }

    /// Packets that have come to the queues from the kernel's rules, or were dropped for want of room there, modulo 2³² as
    /// the kernel counts them; nil where only root may know.
    var arrivals: UInt32? {
        // First: what is handed on after that has only arrived twice.
        let handedOn = sum { $0.mailbox.handedOn.value }
        return PacketQueue.kernelCounters(of: queues).map {
            UInt32(truncatingIfNeeded: $0.sequence &+ $0.droppedQueueFull &- handedOn)
        }
    }

    /// The sum of what all workers count.
    func sum(_ value: (Worker) -> UInt64) -> UInt64 { all.reduce(0) { $0 &+ value($1) } }

    /// Puts a configuration in place of the running one, between two batches of each worker's packets; connections go on.
    ///
    /// - Parameter former: the running configuration.
    /// - Returns: what the former configuration's filters have logged and counted.
    /// - Throws: what loading a script throws, or a sentence where a worker does not answer; the old one goes on.
    func replace(_ former: LoadedConfiguration, by configuration: LoadedConfiguration) throws -> [FilterRecords] {
        freeRetired()
        let filters = try PreparedFilter.load(configuration, for: all.map(\.place), after: former)
        let copyLength = configuration.copyLength
        try perform { worker in
            let new = filters[worker]
            return unsafe Errand(copyLength: copyLength) { unsafe new.replace(&$0) }
        }
        retired += filters
        return zip(all, filters).map { worker, filter in
            defer { worker.records = filter.records }
            return worker.records!
        }
    }

    /// Frees the filters that were replaced, which takes as long as some milliseconds for a hundred scripts.
    func freeRetired() {
        guard !retired.isEmpty else { return }
        retired = []
        // For a moment there were all scripts twice.
        ResidentMemory.giveBack()
    }

    /// Has the workers walk other dynamic rules; all else stays as it is.
    ///
    /// - Parameter configuration: with the other rules. The running one still holds the old ones, so that no worker frees
    ///   them.
    func replaceRules(by configuration: LoadedConfiguration) throws {
        try perform { _ in
            unsafe Errand(copyLength: configuration.copyLength) { filter in
                _ = unsafe filter.pointee.exchangeRules(for: configuration.ruleset)
            }
        }
    }

    /// Has one worker do something between two batches, and waits until it is done.
    ///
    /// - Throws: a sentence where the worker does not answer; then nothing was done.
    func perform(on worker: Worker, _ errand: Errand) throws {
        worker.mailbox.send(errand)
        try awaitAnswers(of: [worker])
    }

    /// Has every worker do something between two batches, or none of them, and waits until all is done.
    ///
    /// Where there are several they are first asked whether they answer. Once all have, what is to be done is not taken back
    /// from any: each comes to it when the scripts of its batch have returned, and until then this waits.
    /// - Parameter errand: what the worker of a number shall do.
    /// - Throws: a sentence where a worker does not answer; then nothing was done.
    func perform(_ errand: (Int) -> Errand) throws {
        if all.count > 1 {
            for worker in all { worker.mailbox.send(unsafe Errand { _ in }) }
            try awaitAnswers(of: all)
        }
        for worker in all { worker.mailbox.send(errand(worker.place.number)) }
        try awaitAnswers(of: all, isFinal: all.count > 1)
    }

    /// Waits until workers have done their errands.
    ///
    /// - Parameter isFinal: whether errands stay with workers that are slow.
    private func awaitAnswers(of workers: [Worker], isFinal: Bool = false) throws {
        let deadline = Clock.monotonic + 5_000_000_000
        var awaited = workers
        while !awaited.allSatisfy({ $0.mailbox.isErrandDone }) {
            if let end = awaited.lazy.compactMap({ $0.end }).first {
                for worker in awaited { _ = worker.mailbox.recallErrand() }
                throw end
            }
            // What a worker has not begun by now can be had back; what it has begun it is about to end.
            if !isFinal && Clock.monotonic > deadline { awaited.removeAll { $0.mailbox.recallErrand() } }
            wait()
        }
        if awaited.count < workers.count {
            throw SystemError("a packet loop does not answer: nothing was changed")
        }
    }

    private func wait() {
        reply.event.wait(milliseconds: 100)
        reply.event.drain()
        whileWaiting()
    }

    /// Ends the workers, each once its queue is empty and no other one hands packets on to it.
    ///
    /// A full queue of packets whose scripts reach their limits would take longer than an administrator waits.
    func stop() {
        let deadline = Clock.monotonic + 3_000_000_000
        for worker in all {
            worker.mailbox.stop()
            while worker.end == nil && Clock.monotonic < deadline { wait() }
            if worker.end == nil { for worker in all { worker.mailbox.hurry() } }
            worker.join()
        }
    }
}
