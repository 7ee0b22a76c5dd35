import Procedures
import ScriptModules
import SystemSupport

/// What the control thread reads of a worker's filter.
struct FilterRecords: Sendable {
    /// The packets that the configuration's procedures log.
    let log: PacketLog
    /// What the scripts say.
    let messages: ScriptLog
    /// What the rules count.
    let counters: RuleCounterTable
}

/// A filter on its way to a worker, or back: whoever has it may use it, one thread at a time.
@safe
final class PreparedFilter: @unchecked Sendable {
    private var filter: UnsafeMutablePointer<Filter>?
    let records: FilterRecords

    /// Loads the scripts of a configuration for one worker.
    ///
    /// - Parameters:
    ///   - place: the worker, and what of it outlives its filters.
    ///   - former: the running configuration, if there is one.
    init(_ configuration: LoadedConfiguration, for place: WorkerPlace, after former: LoadedConfiguration?) throws {
        let log = PacketLog()
        let messages = ScriptLog(totals: place.totals, leastLevel: place.leastLevel)
        let filter = unsafe UnsafeMutablePointer<Filter>.allocateApart(capacity: 1)
        do {
            unsafe filter.initialize(
                to: try Filter(
                    configuration, totals: place.totals, messages: messages, log: log,
                    seed: .random(in: .min ... .max), after: former, worker: place.number, of: place.count))
        } catch {
            unsafe filter.deallocate()
            throw error
        }
        unsafe filter.pointee.tellsKernel = true
        unsafe self.filter = unsafe filter
        records = unsafe FilterRecords(log: log, messages: messages, counters: filter.pointee.counters)
    }

    deinit {
        if let filter = unsafe filter { unsafe Self.free(filter) }
    }

    /// Frees a filter that was taken.
    static func free(_ filter: UnsafeMutablePointer<Filter>) {
        unsafe filter.deinitialize(count: 1)
        unsafe filter.deallocate()
    }

    /// Hands the filter over, for `free`.
    func take() -> UnsafeMutablePointer<Filter> {
        defer { unsafe filter = nil }
        return unsafe filter!
    }

    /// Puts the filter in place of one that runs, whose connections it takes over; that one is freed with this.
    func replace(_ running: inout UnsafeMutablePointer<Filter>) {
        let new = unsafe take()
        unsafe new.pointee.takeOver(&running.pointee)
        unsafe filter = unsafe running
        unsafe running = unsafe new
    }

    /// Loads the scripts of a configuration for all workers at once, in a thread each.
    ///
    /// So each worker's memory is of another of the C library's arenas, and no two of them write into one cache line.
    static func load(
        _ configuration: LoadedConfiguration, for places: [WorkerPlace], after former: LoadedConfiguration?
    ) throws -> [PreparedFilter] {
        let loads = try places.map { place in
            try Load { try PreparedFilter(configuration, for: place, after: former) }
        }
        return try loads.map { try $0.result() }
    }

    /// A thread that prepares a filter.
    private final class Load {
        private final class Outcome: @unchecked Sendable {  // it is read when the thread has ended
            var result: Result<PreparedFilter, any Error>?
        }

        private var thread: WorkerThread?
        private let outcome = Outcome()

        init(_ prepare: @escaping @Sendable () throws -> PreparedFilter) throws {
            thread = try WorkerThread(name: "npflua-load") { [outcome] in
                outcome.result = Result { try prepare() }
            }
        }

        func result() throws -> PreparedFilter {
            thread = nil
            return try outcome.result!.get()
        }
    }
}
