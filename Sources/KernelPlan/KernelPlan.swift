/// What is installed in the kernel: the rules that send packets to the queues.
///
/// Every IP packet that comes in or goes out by any interface but `lo` goes to a queue; a forwarded one does so
/// twice, on its way in and on its way out. The kernel drops all that waits in its queues when a base chain is
/// deleted, so no update deletes one, and a removal comes after an idle text and a pause that lets the queue drain.
public struct KernelPlan: Sendable, Equatable {
    /// The packet mark of the daemon's own answers (resets, ICMP errors), which are not to be filtered themselves.
    public static let answerMark: UInt32 = 0x4e50_4600

    /// The queues that a listing of our rules names, as `nft list` or `iptables -S` prints them; nil for none.
    public static func queues(inListing text: String) -> ClosedRange<UInt16>? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            func number(after word: Substring) -> UInt16? {
                guard let place = words.lastIndex(of: word), place + 1 < words.count else { return nil }
                return UInt16(words[place + 1])
            }
            if words.contains("NFQUEUE") {
                if let queue = number(after: "--queue-num") { return queue...queue }
                guard let place = words.lastIndex(of: "--queue-balance"), place + 1 < words.count else { continue }
                let ends = words[place + 1].split(separator: ":").compactMap { UInt16($0) }
                if ends.count == 2, ends[0] <= ends[1] { return ends[0]...ends[1] }
            } else if words.contains("queue") {
                if let queue = number(after: "to") { return queue...queue }
                // nft leaves an offset of 0 away.
                let first = number(after: "offset") ?? 0
                guard let count = number(after: "mod"), count > 0, count - 1 <= .max - first else { continue }
                return first...first + (count - 1)
            }
        }
        return nil
    }

    /// The NFQUEUE numbers, one a worker; both directions of a flow go to the same.
    public var queues: ClosedRange<UInt16>
    /// Packets pass while nobody has their queue; else they are dropped.
    public var failOpen: Bool

    /// The plan for these queues.
    public init(queues: ClosedRange<UInt16>, failOpen: Bool) {
        self.queues = queues
        self.failOpen = failOpen
    }
}
