/// Says when a worker that has emptied its queue waits a moment before it looks again, so that packets that come one by
/// one are decided several at a time.
///
/// A packet that finds the worker asleep costs the time of waking it, most of it on the processor of whoever sent the
/// packet; network cards spare a host the same by holding their interrupts back ("interrupt coalescing"). Where those who
/// send wait for what they have sent, fewer packets come for it. So turns with pauses change with a window without: where
/// more came in the window, there are no pauses for a while.
///
/// Part of the packet path.
package struct Coalescing: BitwiseCopyable {
    /// For how long packets are counted before something is changed, in nanoseconds.
    private static let windowLength: Int64 = 20_000_000
    /// Packets a second from which on it pays.
    private static let leastRate: Int64 = 8000
    /// Packets for which a pause is long enough, within its limits.
    private static let wanted: Int64 = 8
    /// A pause in nanoseconds; the system's timers add up to 50 µs.
    private static let pauses: ClosedRange<Int64> = 50_000...150_000
    /// Windows with pauses, one after the other, that are a turn at most.
    private static let windowsOfTurn: Int64 = 15
    /// How long there are no pauses after they were a loss, in nanoseconds: each time twice as long.
    private static let rests: ClosedRange<Int64> = 250_000_000...4_000_000_000

    private let isPossible: Bool
    private var start: Int64 = 0
    private var packets: Int64 = 0
    private var batches: Int64 = 0
    /// Batches that begin with what is many packets already.
    private var bursts: Int64 = 0
    /// Batches of several packets.
    private var shared: Int64 = 0

    /// The pause in nanoseconds during a turn; 0: packets are taken as they come.
    private var pause: Int64 = 0
    /// Packets a second in the last window without pauses.
    private var plainRate: Int64 = 0
    /// The turn's windows so far, and the sum of their rates.
    private var windows: Int64 = 0
    private var rates: Int64 = 0
    /// Whether the turn before was slower, which it may be by chance.
    private var isSuspect = false
    private var restEnd: Int64 = 0
    private var rest = Self.rests.lowerBound

    /// - Parameter queueLength: how many packets may wait: there must be room for those of a pause.
    package init(queueLength: UInt32) {
        isPossible = queueLength >= 256
    }

    /// Takes note of a batch.
    ///
    /// - Parameters:
    ///   - count: its packets.
    ///   - isBurst: whether its first is many packets in one already (segmentation offload).
    ///   - hasEmptied: whether it has emptied the queue.
    ///   - clock: when it came, in nanoseconds of `Clock.monotonic`.
    /// - Returns: for how many nanoseconds to wait before the queue is looked at again; 0: not at all.
    @inline(__always)
    package mutating func note(batchOf count: Int, isBurst: Bool, hasEmptied: Bool, at clock: Int64) -> Int64 {
        packets &+= Int64(truncatingIfNeeded: count)
        batches &+= 1
        bursts &+= isBurst ? 1 : 0
        shared &+= count > 1 ? 1 : 0
        if clock &- start >= Self.windowLength { judge(at: clock) }
        return hasEmptied ? pause : 0
    }

    @inline(never)
    private mutating func judge(at clock: Int64) {
        let rate = packets &* 1_000_000_000 / (clock &- start)
        let isOfBursts = bursts &* 8 > batches
        if pause > 0 {
            windows += 1
            rates &+= rate
            if windows == Self.windowsOfTurn || rate < plainRate / 2 || isOfBursts { pause = 0 }
        } else {
            if windows > 0 { compare(with: rate, at: clock) }
            plainRate = rate
            if isPossible && !isOfBursts && rate >= Self.leastRate && shared &* 128 >= batches && clock >= restEnd {
                pause = min(max(Self.wanted * 1_000_000_000 / rate, Self.pauses.lowerBound), Self.pauses.upperBound)
            }
        }
        start = clock
        packets = 0
        batches = 0
        bursts = 0
        shared = 0
    }

    /// Compares the turn before with what came once it was over: what had become less by itself is less then too.
    private mutating func compare(with rate: Int64, at clock: Int64) {
        let isSlower = rates / windows < rate &* 9 / 10
        windows = 0
        rates = 0
        if isSlower && isSuspect {
            restEnd = clock &+ rest
            rest = min(2 * rest, Self.rests.upperBound)
        } else if !isSlower {
            rest = Self.rests.lowerBound
        }
        isSuspect = isSlower
    }
}
