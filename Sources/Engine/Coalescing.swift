/// Says what a worker that has emptied its queue does before it sleeps until a packet comes.
///
/// A packet that finds the worker asleep costs the time of waking it, most of it on the processor of whoever sent the
/// packet; network cards spare a host the same by holding their interrupts back ("interrupt coalescing"). So where many
/// packets come one by one the worker pauses, and decides several at a time. Where those who send wait for what they have
/// sent, fewer packets come for it: turns with pauses change with a window without, and where more came in the window,
/// there are no pauses for a while. Where the next packet comes sooner than any timer the worker just looks again: to be
/// woken for each would take all its time as well, and the less of memory is in use between the processors the faster both
/// are.
///
/// Part of the packet path.
package struct Coalescing: BitwiseCopyable {
    /// What a worker does that has emptied its queue.
    package enum Waiting: BitwiseCopyable, Equatable {
        /// It sleeps until a packet comes.
        case asleep
        /// It looks after so many nanoseconds.
        case pausing(Int64)
        /// It looks again and again for so many nanoseconds, and sleeps if nothing came.
        case polling(Int64)
    }

    /// For how long packets are counted before something is changed, in nanoseconds.
    private static let windowLength: Int64 = 20_000_000
    /// Packets a second from which on it pays.
    private static let leastRate: Int64 = 8000
    /// Packets for which a pause is long enough, within its limits.
    private static let wanted: Int64 = 8
    /// A pause in nanoseconds, to which the system's timers add up to 50 µs: where less is wanted the worker polls.
    private static let pauses: ClosedRange<Int64> = 50_000...150_000
    /// For how long it polls, in nanoseconds: several times what lies between two packets there.
    private static let pollLength: Int64 = 20_000
    /// Windows of pauses or polling, one after the other, that are a turn at most.
    private static let windowsOfTurn: Int64 = 15
    /// How long there is no turn after two that were a loss, in nanoseconds, each time twice as long.
    private static let rests: ClosedRange<Int64> = 250_000_000...4_000_000_000

    private let isPossible: Bool
    private var start: Int64 = 0
    private var packets: Int64 = 0
    private var batches: Int64 = 0
    /// Batches that begin with what is many packets already.
    private var bursts: Int64 = 0
    /// Batches of several packets.
    private var shared: Int64 = 0

    /// What the worker does during a turn; between two it sleeps.
    private var waiting = Waiting.asleep
    /// Packets a second in the last window between turns.
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
    ///   - clock: when it came, in nanoseconds of `Clock.monotonic`.
    /// - Returns: what to do where the queue is empty.
    @inline(__always)
    package mutating func note(batchOf count: Int, isBurst: Bool, at clock: Int64) -> Waiting {
        packets &+= Int64(truncatingIfNeeded: count)
        batches &+= 1
        bursts &+= isBurst ? 1 : 0
        shared &+= count > 1 ? 1 : 0
        if clock &- start >= Self.windowLength { judge(at: clock) }
        return waiting
    }

    @inline(never)
    private mutating func judge(at clock: Int64) {
        let rate = packets &* 1_000_000_000 / (clock &- start)
        let isOfBursts = bursts &* 8 > batches
        if waiting != .asleep {
            windows += 1
            rates &+= rate
            if windows == Self.windowsOfTurn || rate < plainRate / 2 || isOfBursts { waiting = .asleep }
        } else {
            if windows > 0 { compare(with: rate, at: clock) }
            plainRate = rate
            if isPossible && !isOfBursts && rate >= Self.leastRate && shared &* 128 >= batches && clock >= restEnd {
                let pause = min(Self.wanted * 1_000_000_000 / rate, Self.pauses.upperBound)
                waiting = pause < Self.pauses.lowerBound ? .polling(Self.pollLength) : .pausing(pause)
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
