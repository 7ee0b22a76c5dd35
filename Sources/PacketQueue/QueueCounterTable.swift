internal import Glibc
internal import SystemSupport

/// The kernel's table of queues (`/proc/net/netfilter/nfnetlink_queue`), kept open to be read again and again.
@safe
struct QueueCounterTable: ~Copyable {
    /// /proc/net is the namespace of the process's first thread; workers may have one of their own.
    private static let path = "/proc/thread-self/net/netfilter/nfnetlink_queue"
    /// Bytes of the table that are read: the lines of some sixty queues.
    private static let size = 4096

    private let file: Descriptor?
    private let memory: MappedMemory

    /// Opens the table of the calling thread's network namespace; where it cannot be had there are no counters.
    init() throws(PacketQueueError) {
        guard let memory = MappedMemory(size: Self.size) else { throw PacketQueueError(memory: .current) }
        self.memory = memory
        file = try? Descriptor(reading: Self.path)
    }

    /// A queue's counters now.
    ///
    /// Allocates nothing.
    func counters(of number: UInt16) -> QueueCounters? {
        let count =
            switch file {
            case .some(let file): unsafe pread(file.raw, memory.base, memory.bytes.count, 0)
            case .none: 0
            }
        guard count > 0 else { return nil }
        let text = unsafe UnsafeBufferPointer(rebasing: memory.bytes.bindMemory(to: UInt8.self)[..<count])
        return unsafe QueueCounters(table: text.span, numbers: number...number)
    }
}
