/// What is installed in the kernel: the rules that send packets to the queue.
///
/// Every IP packet that comes in or goes out by any interface but `lo` goes to the queue; a forwarded one does so
/// twice, on its way in and on its way out. The kernel drops all that waits in its queues when a base chain is
/// deleted, so no update deletes one, and a removal comes after an idle text and a pause that lets the queue drain.
public struct KernelPlan: Sendable, Equatable {
    /// The packet mark of the daemon's own answers (resets, ICMP errors), which are not to be filtered themselves.
    public static let answerMark: UInt32 = 0x4e50_4600

    /// The queue that a listing of our rules names, as `nft list` or `iptables -S` prints them; nil for none.
    public static func queueNumber(inListing text: String) -> UInt16? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            let isIptables = words.contains("NFQUEUE")
            guard isIptables || words.contains("queue") else { continue }
            guard let place = words.lastIndex(of: isIptables ? "--queue-num" : "to"), place + 1 < words.count
            else { continue }
            return UInt16(words[place + 1])
        }
        return nil
    }

    /// The NFQUEUE number.
    public var queueNumber: UInt16
    /// Packets pass while nobody has the queue; else they are dropped.
    public var failOpen: Bool

    /// The plan for one queue.
    public init(queueNumber: UInt16, failOpen: Bool) {
        self.queueNumber = queueNumber
        self.failOpen = failOpen
    }
}
