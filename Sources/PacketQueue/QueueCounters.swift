internal import SystemSupport

/// What the kernel counts for a queue, or for several together (`/proc/net/netfilter/nfnetlink_queue`).
public struct QueueCounters: Sendable, Equatable {
    /// The netlink port of the queue's owner: the process, for the first such socket of a process.
    public var ownerPort: UInt32
    /// Packets that wait for a verdict now.
    public var queued: UInt64
    /// Packets dropped because the queue was full.
    public var droppedQueueFull: UInt64
    /// Packets dropped because the owner's socket was full.
    public var droppedSocketFull: UInt64
    /// The last packet's id: how many were queued so far, modulo 2³² each queue.
    public var sequence: UInt64

    /// The sums of the queues' counters now; nil: there is none of them, or the file cannot be read.
    init?(numbers: ClosedRange<UInt16>) {
        // /proc/net is the namespace of the process's first thread; workers may have one of their own.
        let path = "/proc/thread-self/net/netfilter/nfnetlink_queue"
        guard let bytes = try? Descriptor(reading: path).readToEnd() else { return nil }
        self.init(table: String(decoding: bytes, as: UTF8.self), numbers: numbers)
    }

    /// Sums the lines of `numbers` in the text of the file: lines of queue, port, queued, copy mode, copy range, dropped
    /// for a full queue, dropped for a full socket, id sequence and 1.
    package init?(table: String, numbers: ClosedRange<UInt16>) {
        var sum: QueueCounters?
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ").map { UInt64($0) }
            guard fields.count >= 8, let number = fields[0].flatMap(UInt16.init(exactly:)), numbers.contains(number),
                let port = fields[1].flatMap(UInt32.init(exactly:)), let queued = fields[2],
                let queueFull = fields[5], let socketFull = fields[6], let sequence = fields[7]
            else { continue }
            sum = QueueCounters(
                ownerPort: sum?.ownerPort ?? port, queued: (sum?.queued ?? 0) + queued,
                droppedQueueFull: (sum?.droppedQueueFull ?? 0) + queueFull,
                droppedSocketFull: (sum?.droppedSocketFull ?? 0) + socketFull,
                sequence: (sum?.sequence ?? 0) + sequence)
        }
        guard let sum else { return nil }
        self = sum
    }

    private init(
        ownerPort: UInt32, queued: UInt64, droppedQueueFull: UInt64, droppedSocketFull: UInt64, sequence: UInt64
    ) {
        self.ownerPort = ownerPort
        self.queued = queued
        self.droppedQueueFull = droppedQueueFull
        self.droppedSocketFull = droppedSocketFull
        self.sequence = sequence
    }
}
