package import PacketQueue
import SystemSupport

extension PacketQueue {
    /// Takes what comes once a queue is empty.
    ///
    /// - Parameter waiting: what is done before.
    /// - Returns: how many packets there are; 0: somebody has ended the waiting, or nothing came while it polled. To poll
    ///   is to take the message of who ends it as well, so it does not go on to sleep.
    ///
    /// Part of the packet path.
    @inline(__always)
    package mutating func receive(after waiting: Coalescing.Waiting) throws(PacketQueueError) -> Int {
        switch waiting {
        case .asleep: break
        case .pausing(let nanoseconds): Clock.sleep(nanoseconds)
        case .polling(let nanoseconds):
            let end = Clock.monotonic &+ UInt64(nanoseconds)
            var count = 0
            repeat { count = try receive() } while count == 0 && Clock.monotonic < end
            return count
        }
        return try receive(waiting: true)
    }
}
