/// Notices a queue that stays full, and says when it is to be kept short and when it may be long again.
///
/// A queue is there for bursts. Where packets come faster than they are decided it stays full ("a standing queue",
/// RFC 8289, section 3.1), which saves none of them, delays all, and makes each cost more: what has waited behind a
/// thousand others is in no cache. So a queue is kept short once the kernel drops for want of room, and more than half of
/// the room is taken, all the while that several times as many packets are decided as it holds: not sooner, as all that
/// comes is dropped until what waits is as few. The first batch that is not full has emptied it, and the next burst finds
/// all its room.
package struct StandingQueue: BitwiseCopyable {
    /// Packets that may wait in a queue that is kept short: four batches.
    ///
    /// Two would do for the next to be there when one is decided. But kernels of today find a packet by a hash table, which
    /// grows above three quarters and shrinks below three tenths (`nfnetlink_queue.c`, `rhashtable.c`): between one batch
    /// and two it would do both for each batch, and have a kernel's thread take the processor for it.
    package static let shortLength: UInt32 = 4 * UInt32(PacketQueue.capacity)

    /// What a batch shows of the queue behind it.
    package enum Sign {
        case none
        /// The kernel's counters are to be looked at, for `isStanding`.
        case suspicion
        /// The queue, which was kept short, is empty.
        case recovery
    }

    /// Findings that make a queue a standing one: of half a queue's packets each.
    private static let patience = 8

    private let maximumLength: UInt32
    /// Packets of batches that left some behind, one after the other, since the counters were last looked at.
    private var streak: UInt32 = 0
    /// What the kernel had dropped then, if that was in this streak.
    private var dropped: UInt64?
    /// Looks, one after the other, that have found the queue dropping.
    private var findings = 0
    /// Whether the queue is kept short.
    package private(set) var isShort = false

    /// - Parameter maximumLength: how many packets may wait. A queue that is not much longer than a short one stays as it
    ///   is.
    package init(maximumLength: UInt32) {
        self.maximumLength = maximumLength
    }

    /// Takes note of a batch.
    ///
    /// - Parameters:
    ///   - count: its packets.
    ///   - isFull: whether there may be more than it had room for, where messages of other kinds take theirs.
    @inline(__always)
    package mutating func note(batchOf count: Int, isFull: Bool) -> Sign {
        guard isFull else {
            streak = 0
            dropped = nil
            findings = 0
            guard isShort else { return .none }
            isShort = false
            return .recovery
        }
        streak &+= UInt32(truncatingIfNeeded: count)
        guard streak >= maximumLength / 2, !isShort, maximumLength >= 2 * Self.shortLength else { return .none }
        streak = 0
        return .suspicion
    }

    /// Whether the queue is to be kept short from now on, by the kernel's counters now.
    package mutating func isStanding(_ counters: QueueCounters) -> Bool {
        defer { dropped = counters.droppedQueueFull }
        guard let dropped, counters.droppedQueueFull > dropped, counters.queued > UInt64(maximumLength / 2) else {
            findings = 0
            return false
        }
        findings += 1
        isShort = findings == Self.patience
        return isShort
    }

    /// Takes note that the queue could not be made long again: the next batch that is not full asks for it once more.
    package mutating func stayShort() { isShort = true }
}
