/// The packets of one `receive()`, in the kernel's order, and which of them have a verdict.
@safe
package struct PacketWindow: ~Copyable {
    package let capacity: Int
    package private(set) var count = 0
    /// All packets before this one have a verdict.
    private var firstUndecided = 0
    private let packets: UnsafeMutablePointer<QueuedPacket>
    private let decided: UnsafeMutablePointer<Bool>

    package init(capacity: Int) {
        self.capacity = capacity
        unsafe packets = .allocate(capacity: capacity)
        unsafe packets.initialize(repeating: QueuedPacket(), count: capacity)
        unsafe decided = .allocate(capacity: capacity)
        unsafe decided.initialize(repeating: false, count: capacity)
    }

    deinit {
        unsafe packets.deallocate()
        unsafe decided.deallocate()
    }

    package subscript(index: Int) -> QueuedPacket {
        precondition(index >= 0 && index < count, "no packet at this index")
        return unsafe packets[index]
    }

    package var isFull: Bool { count == capacity }

    package mutating func removeAll() {
        count = 0
        firstUndecided = 0
    }

    package mutating func append(_ packet: QueuedPacket) {
        precondition(!isFull, "more packets than the window holds")
        unsafe packets[count] = packet
        unsafe decided[count] = false
        count += 1
    }

    /// Whether a packet's verdict came in its turn.
    package enum Turn {
        /// All packets before it have theirs.
        case next
        /// One before it has none yet.
        case early
        /// No packet with this id waits.
        case none
    }

    /// Notes that the packet `id` has its verdict.
    package mutating func settle(_ id: UInt32) -> Turn {
        var index = firstUndecided
        while index < count, unsafe packets[index].id != id || decided[index] { index += 1 }
        guard index < count else { return .none }
        unsafe decided[index] = true
        guard index == firstUndecided else { return .early }
        while firstUndecided < count, unsafe decided[firstUndecided] { firstUndecided += 1 }
        return .next
    }

    /// The id of the first packet without a verdict; nil: all have theirs.
    package var undecided: UInt32? {
        firstUndecided < count ? unsafe packets[firstUndecided].id : nil
    }
}
