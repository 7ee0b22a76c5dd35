internal import Glibc
internal import SystemSupport

/// A queue's line in the kernel's table of queues, for the packet path.
///
/// Only root and the file's group may read it: the unit gives it the daemon's.
@safe
struct QueueCounterTable: ~Copyable {
    /// /proc/net is the namespace of the process's first thread; workers may have one of their own.
    fileprivate static let path: StaticString = "/proc/thread-self/net/netfilter/nfnetlink_queue"
    /// Bytes that are read at a time: the lines of some sixty queues.
    private static let size = 4096

    private let number: UInt16
    private let memory: MappedMemory

    init(number: UInt16) throws(PacketQueueError) {
        guard let memory = MappedMemory(size: Self.size) else { throw PacketQueueError(memory: .current) }
        self.memory = memory
        self.number = number
    }

    /// The queue's counters now, in the calling thread's network namespace; nil where they cannot be read.
    ///
    /// Allocates nothing.
    var counters: QueueCounters? {
        let path = unsafe UnsafeRawPointer(Self.path.utf8Start).assumingMemoryBound(to: CChar.self)
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        let file = Descriptor(owning: descriptor)
        // Each read gives whole lines.
        while let count = unsafe try? file.read(into: memory.bytes), count > 0 {
            let text = unsafe UnsafeBufferPointer(rebasing: memory.bytes.bindMemory(to: UInt8.self)[..<count])
            if let counters = unsafe QueueCounters(table: text.span, numbers: number...number) { return counters }
        }
        return nil
    }
}

extension QueueCounters {
    /// The sums of the queues' counters now; nil: there is none of them, or the file cannot be read.
    init?(numbers: ClosedRange<UInt16>) {
        guard let bytes = try? Descriptor(reading: "\(QueueCounterTable.path)").readToEnd() else { return nil }
        self.init(table: bytes.span, numbers: numbers)
    }
}
