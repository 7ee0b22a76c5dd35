internal import SystemSupport

/// What the kernel counts for one queue (`/proc/net/netfilter/nfnetlink_queue`).
public struct QueueCounters: Sendable, Equatable {
    /// The netlink port of the queue's owner: the process, for the first such socket of a process.
    public var ownerPort: UInt32
    /// Packets that wait for a verdict now.
    public var queued: UInt64
    /// Packets dropped because the queue was full.
    public var droppedQueueFull: UInt64
    /// Packets dropped because the owner's socket was full.
    public var droppedSocketFull: UInt64
    /// The last packet's id: how many were queued so far, modulo 2³².
    public var sequence: UInt64

    /// The counters of queue `number` now; nil: no such queue, or the file cannot be read.
    init?(number: UInt16) {
        // /proc/net is the namespace of the process's first thread; workers may have one of their own.
        let path = "/proc/thread-self/net/netfilter/nfnetlink_queue"
        guard let bytes = try? Descriptor(reading: path).readToEnd() else { return nil }
        self.init(table: String(decoding: bytes, as: UTF8.self), number: number)
    }

    /// Finds `number` in the text of the file: lines of queue, port, queued, copy mode, copy range, dropped for a
    /// full queue, dropped for a full socket, id sequence and 1.
    package init?(table: String, number: UInt16) {
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ").map { UInt64($0) }
            guard fields.count >= 8, fields[0] == UInt64(number), let port = fields[1].flatMap(UInt32.init(exactly:)),
                let queued = fields[2], let queueFull = fields[5], let socketFull = fields[6], let sequence = fields[7]
            else { continue }
            ownerPort = port
            self.queued = queued
            droppedQueueFull = queueFull
            droppedSocketFull = socketFull
            self.sequence = sequence
            return
        }
        return nil
    }
}
