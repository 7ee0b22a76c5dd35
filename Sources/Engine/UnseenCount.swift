/// How many packets rules have sent to queues that have not come there, which the kernel counts nowhere.
///
/// With `set fail open` they are those that passed because a queue was full, and those that the kernel drops by itself before
/// it looks for room, copies of a connection's first packet above all (multicast).
package struct UnseenCount {
    /// So many at least: what comes between two readings that belong together has only arrived.
    package private(set) var count: UInt64 = 0
    /// The count, what was sent and what had arrived when rules began to count.
    private var base: (count: UInt64, sent: UInt64, arrivals: UInt32) = (0, 0, 0)
    private var sent: UInt64 = 0

    package init() {}

    /// Takes note that other rules count from 0 on.
    ///
    /// - Parameter arrivals: what had come to the queues, modulo 2³².
    package mutating func restart(arrivals: UInt32) {
        base = (count, 0, arrivals)
        sent = 0
    }

    /// Takes note of what the rules have sent, and then of what has come to the queues, modulo 2³².
    package mutating func note(sent: UInt64, arrivals: UInt32) {
        // Somebody has set the rules' counters to 0.
        if sent < self.sent { base = (count, sent, arrivals) }
        self.sent = sent
        let missing = UInt32(truncatingIfNeeded: sent &- base.sent) &- (arrivals &- base.arrivals)
        count = max(count, base.count + UInt64(max(0, Int32(bitPattern: missing))))
    }
}
