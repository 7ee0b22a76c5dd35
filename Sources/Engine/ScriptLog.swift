import LuaRuntime
package import ScriptModules
import Synchronization
import SystemSupport

/// What scripts say, on its way from a worker to the log: a ring that the worker fills and the control thread empties.
///
/// The worker copies a text into its place and moves on; where the ring is full, or texts come faster than they may be
/// logged, it only counts. A filter has a log of its own, whose entries are those of its rules. Until the filter is
/// handed to its worker the control thread fills it: scripts log while they are loaded.
@safe
package final class ScriptLog: Sendable {
    /// Something that a script said, or what was said of it when it failed.
    package struct Message: Sendable, Hashable {
        /// The rule whose script it is.
        package var entry: Int
        /// The script's own word for it; nil for a failure.
        package var level: LogLevel?
        /// What was logged, or the message and traceback.
        package var text: String

        /// A message of its parts.
        package init(entry: Int, level: LogLevel?, text: String) {
            self.entry = entry
            self.level = level
            self.text = text
        }
    }

    private struct Record: BitwiseCopyable {
        static let capacity = 2_000
        static let failure: UInt8 = .max

        var entry: Int32
        /// The raw value of a level, or `failure`.
        var level: UInt8
        /// Bytes of text in use.
        var length: Int32
        /// UTF-8 or not.
        var text: InlineArray<2_000, UInt8>
    }

    /// More than all allowances together give in the second until the ring is emptied.
    private static let places = 64
    /// Texts that may be logged at once, and how long, in nanoseconds, until one more may be.
    private static let burst: Int64 = 16
    private let interval: Int64
    private let leastLevel: LogLevel?
    private let totals: TotalCounters

    nonisolated(unsafe) private let ring: UnsafeMutablePointer<Record>
    private let written = Atomic<Int>(0)
    private let read = Atomic<Int>(0)
    /// The times at which the allowances will be full again; whoever fills the ring has them alone.
    ///
    /// There are two, so that a script that logs much does not keep failures out of the log.
    private let failureAllowance = Atomic<Int64>(0)
    private let messageAllowance = Atomic<Int64>(0)
    /// Messages that were not kept, and how many of these `takeDropped` has told of.
    private let dropped = Counter()
    private let told = Counter()

    /// Makes an empty log.
    ///
    /// - Parameters:
    ///   - totals: where failures that are not logged are counted.
    ///   - leastLevel: messages below it are not kept, nor counted; nil for none at all.
    ///   - interval: nanoseconds a failure, or a message; 0 for a log without a bound, which is emptied after every
    ///     packet.
    package init(totals: TotalCounters, leastLevel: LogLevel? = .debug, interval: Int64 = 200_000_000) {
        self.totals = totals
        self.leastLevel = leastLevel
        self.interval = interval
        unsafe ring = .allocate(capacity: Self.places)
        unsafe ring.initialize(
            repeating: Record(entry: 0, level: 0, length: 0, text: InlineArray(repeating: 0)), count: Self.places)
    }

    deinit {
        unsafe ring.deallocate()
    }

    /// Notes a failure at the time `now`, nanoseconds, whose text `write` puts into the buffer that it is given.
    package func noteFailure(entry: Int32, now: Int64, write: (UnsafeMutableRawBufferPointer) -> Int) {
        guard hasRoom(for: 1), isAllowed(failureAllowance, now) else { return totals.failuresUnlogged.add() }
        unsafe put(entry, Record.failure, write)
    }

    /// Notes a message at the time `now`, nanoseconds; the level is the raw value of one.
    package func noteMessage(entry: Int32, level: UInt8, now: Int64, text: UnsafeRawBufferPointer) {
        guard let leastLevel, level >= leastLevel.rawValue else { return }
        // The last place is a failure's.
        guard hasRoom(for: 2), isAllowed(messageAllowance, now) else { return dropped.add() }
        unsafe put(entry, level) { place in
            let count = min(text.count, place.count)
            unsafe place.copyMemory(from: UnsafeRawBufferPointer(rebasing: text[..<count]))
            return count
        }
    }

    private func hasRoom(for count: Int) -> Bool {
        written.load(ordering: .relaxed) - read.load(ordering: .acquiring) + count <= Self.places
    }

    private func isAllowed(_ allowance: borrowing Atomic<Int64>, _ now: Int64) -> Bool {
        guard interval > 0 else { return true }
        let full = max(allowance.load(ordering: .relaxed), now)
        guard full + interval - now <= Self.burst * interval else { return false }
        allowance.store(full + interval, ordering: .relaxed)
        return true
    }

    private func put(_ entry: Int32, _ level: UInt8, _ write: (UnsafeMutableRawBufferPointer) -> Int) {
        let next = written.load(ordering: .relaxed)
        let place = unsafe ring + next % Self.places
        unsafe place.pointee.entry = entry
        unsafe place.pointee.level = level
        unsafe place.pointee.length = Int32(
            withUnsafeMutableBytes(of: &place.pointee.text) { unsafe min(write($0), Record.capacity) })
        written.store(next + 1, ordering: .releasing)
    }

    /// How many messages were dropped since this was asked last.
    package func takeDropped() -> UInt64 {
        let new = dropped.value - told.value
        told.add(new)
        return new
    }

    /// Takes the oldest text; nil where there is none.
    package func take() -> Message? {
        let next = read.load(ordering: .relaxed)
        guard next < written.load(ordering: .acquiring) else { return nil }
        let place = unsafe ring + next % Self.places
        let text = unsafe withUnsafeBytes(of: &place.pointee.text) {
            unsafe String(decoding: $0.prefix(Int(place.pointee.length)), as: UTF8.self)
        }
        let message = unsafe Message(
            entry: Int(place.pointee.entry), level: LogLevel(rawValue: place.pointee.level), text: text)
        read.store(next + 1, ordering: .releasing)
        return message
    }
}

/// The way of one script's messages into a log.
@safe
struct ScriptLogEntry: ~Copyable {
    @unsafe
    private struct Context {
        /// The filter that owns the script owns the log as well; nil where nobody is to hear.
        let log: Unmanaged<ScriptLog>?
        let entry: Int32
        /// The time of the call, in nanoseconds on a clock that never goes back.
        var clock = Int64(bitPattern: Clock.monotonic)
    }

    /// The way of a script that is only tried.
    static var none: ScriptLogEntry { ScriptLogEntry(nil, entry: 0) }

    private let context: UnsafeMutablePointer<Context>

    init(_ log: ScriptLog?, entry: Int) {
        unsafe context = .allocate(capacity: 1)
        unsafe context.initialize(to: Context(log: log.map { unsafe .passUnretained($0) }, entry: Int32(entry)))
    }

    deinit {
        unsafe context.deallocate()
    }

    /// Has what the scripts of a state log come here; this must live as long as the state runs scripts.
    func serve(_ state: inout LuaState) {
        unsafe state.setLog(Self.note, context: context)
    }

    /// Says at what time the next messages come.
    @inline(__always)
    func setClock(_ nanoseconds: Int64) {
        unsafe context.pointee.clock = nanoseconds
    }

    private static let note: LogFunction = { context, level, text, length in
        guard let context = unsafe context?.assumingMemoryBound(to: Context.self) else { return }
        unsafe context.pointee.log?._withUnsafeGuaranteedRef {
            unsafe $0.noteMessage(
                entry: context.pointee.entry, level: level, now: context.pointee.clock,
                text: UnsafeRawBufferPointer(start: text, count: length))
        }
    }
}
