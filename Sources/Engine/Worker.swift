import AddressTables
import KernelPlan
import PacketQueue
import ScriptModules
import Synchronization
import SystemSupport

/// A worker's place among the workers of a daemon, and what of it outlives its filters.
struct WorkerPlace: Sendable {
    /// Its number, from 0, among `count`.
    let number: Int
    let count: Int
    /// Its queue.
    let queue: UInt16
    /// The processor that it stays on; nil for any.
    let processor: Int?
    let totals = TotalCounters()
    /// Of scripts' messages that are logged; nil for none.
    let leastLevel: LogLevel?

    /// The queue in which the kernel cuts a burst up whose segments are to be decided one by one.
    var segmentQueue: UInt16 { queue + UInt16(count) }

    /// The queue of the worker that ICMP errors go to which this one knows nothing of.
    var nextQueue: UInt16? { number + 1 < count ? queue + 1 : nil }
}

/// A worker as the control thread knows it: its thread, and what is said to it.
final class Worker {
    let place: WorkerPlace
    let mailbox: WorkerMailbox
    /// Of the filter that runs; the control thread changes it with the filter.
    var records: FilterRecords?
    private let life: Life
    private var thread: WorkerThread?

    /// What the thread begins with, and how far it has come, which is written before `reply` says so.
    private final class Life: Sendable {
        enum Stage {
            case starting(LoadedConfiguration)
            case started(FilterRecords, canAnswer: Bool)
            case running(canAnswer: Bool)
            case ended(any Error)
        }

        private let stage: Mutex<Stage>

        init(_ stage: Stage) { self.stage = Mutex(stage) }

        var current: Stage { stage.withLock { $0 } }
        func enter(_ new: Stage) { stage.withLock { $0 = new } }

        /// The records of a loop that has started, once.
        func takeRecords() -> FilterRecords? {
            stage.withLock { stage in
                guard case .started(let records, let canAnswer) = stage else { return nil }
                stage = .running(canAnswer: canAnswer)
                return records
            }
        }
    }

    /// Starts a worker: in its own thread it loads the configuration's scripts, takes its queue and runs.
    ///
    /// What it writes to while it runs, it has allocated itself, apart from other workers' memory.
    init(_ place: WorkerPlace, configuration: LoadedConfiguration, reply: WorkerReply) throws {
        let mailbox = try WorkerMailbox(reply: reply)
        let life = Life(.starting(configuration))
        self.place = place
        self.mailbox = mailbox
        self.life = life
        thread = try WorkerThread(name: "npflua-\(place.number)", processor: place.processor) {
            do {
                var loop = try Self.makeLoop(place, mailbox, life)
                reply.event.signal()
                try loop.run()
                life.enter(.ended(SystemError("the packet loop has ended")))
            } catch {
                life.enter(.ended(error))
            }
            reply.event.signal()
        }
    }

    /// Makes the loop, and leaves the configuration to the control thread, which may replace it.
    private static func makeLoop(
        _ place: WorkerPlace, _ mailbox: WorkerMailbox, _ life: Life
    ) throws -> PacketLoop {
        guard case .starting(let configuration) = life.current else { preconditionFailure("a worker starts once") }
        let filter = try PreparedFilter(configuration, for: place, after: nil)
        // A socket for the daemon's own answers, which its kernel rules let pass.
        let answers = try? RawSocket(mark: KernelPlan.answerMark)
        let canAnswer = answers != nil
        let loop = try PacketLoop(
            place, configuration: configuration, filter: filter, mailbox: mailbox, answers: answers)
        life.enter(.started(filter.records, canAnswer: canAnswer))
        return loop
    }

    deinit {
        // The thread is joined next, and nobody else would tell it to end.
        mailbox.stop()
    }

    /// Whether the worker has taken its queue, and whether it can answer the senders of blocked packets.
    ///
    /// - Throws: why it could not start.
    func hasStarted() throws -> (Bool, canAnswer: Bool) {
        if let records = life.takeRecords() { self.records = records }
        switch life.current {
        case .starting, .started: return (false, false)
        case .running(let canAnswer): return (true, canAnswer)
        case .ended(let error): throw error
        }
    }

    /// Why the loop has ended; nil as long as it runs.
    var end: (any Error)? {
        if case .ended(let error) = life.current { error } else { nil }
    }

    /// Waits until the loop, which was told to stop, has ended.
    func join() { thread = nil }
}
