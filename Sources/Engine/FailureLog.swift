import Synchronization

/// Script failures on their way from a worker to the log: a ring that the worker fills and the control thread empties.
///
/// The worker copies a failure's text into its place and moves on; where the ring is full, or failures come faster
/// than they may be logged, it only counts.
@safe
package final class FailureLog: Sendable {
    /// One failure, as the worker noted it.
    struct Record: BitwiseCopyable {
        static let capacity = 2_000

        /// The rule whose script failed.
        var entry: Int32
        /// Bytes of text in use.
        var length: Int32
        /// The message and traceback, UTF-8 or not.
        var text: InlineArray<2_000, UInt8>
    }

    private static let places = 32
    /// Failures that may be logged at once, and how long, in nanoseconds, until one more may be.
    private static let burst: Int64 = 16
    private let interval: Int64

    nonisolated(unsafe) private let ring: UnsafeMutablePointer<Record>
    private let written = Atomic<Int>(0)
    private let read = Atomic<Int>(0)
    /// The time at which the allowance will be full again; the worker's alone.
    private let allowance = Atomic<Int64>(0)

    /// - Parameter interval: nanoseconds a failure; 0 for a log without a bound, which is emptied after every packet.
    package init(interval: Int64 = 200_000_000) {
        self.interval = interval
        unsafe ring = .allocate(capacity: Self.places)
        unsafe ring.initialize(
            repeating: Record(entry: 0, length: 0, text: InlineArray(repeating: 0)), count: Self.places)
    }

    deinit {
        unsafe ring.deallocate()
    }

    /// Notes a failure whose text `write` puts into the buffer that it is given.
    ///
    /// Returns false where there is no room or no allowance at the time `now`, nanoseconds.
    package func note(entry: Int32, now: Int64, write: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
        let next = written.load(ordering: .relaxed)
        guard next - read.load(ordering: .acquiring) < Self.places else { return false }
        if interval > 0 {
            let full = max(allowance.load(ordering: .relaxed), now)
            guard full - now <= Self.burst * interval else { return false }
            allowance.store(full + interval, ordering: .relaxed)
        }

        let place = unsafe ring + next % Self.places
        unsafe place.pointee.entry = entry
        unsafe place.pointee.length = Int32(
            withUnsafeMutableBytes(of: &place.pointee.text) { unsafe min(write($0), Record.capacity) })
        written.store(next + 1, ordering: .releasing)
        return true
    }

    /// Takes the oldest failure; nil where there is none.
    package func take() -> (entry: Int, text: String)? {
        let next = read.load(ordering: .relaxed)
        guard next < written.load(ordering: .acquiring) else { return nil }
        let place = unsafe ring + next % Self.places
        let text = unsafe withUnsafeBytes(of: &place.pointee.text) {
            unsafe String(decoding: $0.prefix(Int(place.pointee.length)), as: UTF8.self)
        }
        let entry = unsafe Int(place.pointee.entry)
        read.store(next + 1, ordering: .releasing)
        return (entry, text)
    }
}
