/// Says when a worker that has emptied its queue waits a moment before it looks again, so that packets that come one by
/// one are decided several at a time.
///
/// A packet that finds the worker asleep costs the time of waking it, most of it on the processor of whoever sent the
/// packet; network cards spare a host the same by holding their interrupts back ("interrupt coalescing"). It is done
/// while many packets come, for a tenth of a millisecond. Where those who send wait for what they have sent, a request
/// at a time, fewer packets come then; so what comes is compared, time and again, with what came without.
///
/// Part of the packet path.
package struct Coalescing: BitwiseCopyable {
    /// For how long packets are counted before something is changed, in nanoseconds.
    static let windowLength: Int64 = 20_000_000
    /// Packets a second from which on it pays.
    static let leastRate: Int64 = 15_000
    /// Packets for which a pause is long enough, within its limits.
    private static let wanted: Int64 = 8
    /// A pause in nanoseconds; the system's timers add up to 50 µs.
    private static let pauses: ClosedRange<Int64> = 50_000...150_000
    /// Windows with pauses until one without is to tell again what comes then.
    private static let windowsOfTurn = 64
    /// How long nothing is tried after it was no gain, in nanoseconds: each time twice as long.
    private static let rests: ClosedRange<Int64> = 250_000_000...4_000_000_000

    private let isPossible: Bool
    private var start: Int64 = 0
    private var packets: Int64 = 0
    private var batches: Int64 = 0
    /// Batches that begin with what is many packets already.
    private var bursts: Int64 = 0
    /// Batches of several packets.
    private var shared: Int64 = 0

    /// The pause in nanoseconds while there are any; 0: packets are taken as they come.
    private var pause: Int64 = 0
    /// Packets a second without pauses.
    private var plainRate: Int64 = 0
    private var windowsLeft = 0
    private var hasFailed = false
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
        if pause == 0 {
            plainRate = rate
            if isPossible && !isOfBursts && rate >= Self.leastRate && shared &* 32 >= batches && clock >= restEnd {
                pause = min(max(Self.wanted * 1_000_000_000 / rate, Self.pauses.lowerBound), Self.pauses.upperBound)
                windowsLeft = Self.windowsOfTurn
                hasFailed = false
            }
        } else if isOfBursts {
            giveUp(at: clock)
        } else if rate < plainRate &* 3 / 4 {
            // One window may be somebody else's doing.
            if hasFailed { giveUp(at: clock) }
            hasFailed = true
        } else {
            hasFailed = false
            windowsLeft -= 1
            if windowsLeft == 0 {
                pause = 0
                rest = Self.rests.lowerBound
            }
        }
        begin(at: clock)
    }

    private mutating func giveUp(at clock: Int64) {
        pause = 0
        restEnd = clock &+ rest
        rest = min(2 * rest, Self.rests.upperBound)
    }

    private mutating func begin(at clock: Int64) {
        start = clock
        packets = 0
        batches = 0
        bursts = 0
        shared = 0
    }
}
