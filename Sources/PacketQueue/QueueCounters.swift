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

    /// Sums the lines of `numbers` in the text of the file: lines of queue, port, queued, copy mode, copy range, dropped
    /// for a full queue, dropped for a full socket, id sequence and 1.
    ///
    /// Allocates nothing. What is not such a line is passed over.
    package init?(table: Span<UInt8>, numbers: ClosedRange<UInt16>) {
        var sum: QueueCounters?
        var line = Line()
        func endLine() {
            if line.isWhole, let number = UInt16(exactly: line[0]), numbers.contains(number) {
                sum = QueueCounters(line, after: sum)
            }
            line = Line()
        }
        for index in table.indices {
            if table[index] == UInt8(ascii: "\n") { endLine() } else { line.append(table[index]) }
        }
        endLine()
        guard let sum else { return nil }
        self = sum
    }

    private init(_ line: Line, after sum: QueueCounters?) {
        ownerPort = sum?.ownerPort ?? UInt32(truncatingIfNeeded: line[1])
        queued = (sum?.queued ?? 0) &+ line[2]
        droppedQueueFull = (sum?.droppedQueueFull ?? 0) &+ line[5]
        droppedSocketFull = (sum?.droppedSocketFull ?? 0) &+ line[6]
        sequence = (sum?.sequence ?? 0) &+ line[7]
    }

    /// The numbers that a line begins with.
    private struct Line {
        private var numbers = [8 of UInt64](repeating: 0)
        private var count = 0
        private var isInNumber = false
        private var isSound = true

        /// Whether it begins with as many as a queue's does.
        var isWhole: Bool { isSound && count >= numbers.count }

        subscript(index: Int) -> UInt64 { numbers[index] }

        mutating func append(_ byte: UInt8) {
            guard byte != UInt8(ascii: " ") else {
                isInNumber = false
                return
            }
            if !isInNumber { count += 1 }
            isInNumber = true
            guard count <= numbers.count else { return }
            let (tenfold, overflow) = numbers[count - 1].multipliedReportingOverflow(by: 10)
            let digit = UInt64(byte &- UInt8(ascii: "0"))
            if digit > 9 || overflow { isSound = false }
            numbers[count - 1] = tenfold &+ digit
        }
    }
}
