package import Packet
import States

/// What is known of a packet before anything has been decided by it.
package struct PreparedPacket: BitwiseCopyable {
    /// nil where they cannot be parsed.
    var headers: PacketHeaders?
    /// The key of the packet's connection; nil for none, or where none was needed yet.
    var key: StateKey?
}

/// The packets of a batch, prepared before the first of them is decided: the memory of all their states is then waited for
/// once, not for one after the other.
///
/// It holds until the batch is decided: keys are made for the filter's parameters. What is fetched is advice alone; each
/// packet is decided by the states as those before it have left them.
///
/// Part of the packet path.
@safe
package struct PreparedBatch: ~Copyable {
    private let packets: UnsafeMutablePointer<PreparedPacket>
    private let capacity: Int
    private var count = 0

    package init(capacity: Int) {
        self.capacity = capacity
        unsafe packets = .allocate(capacity: capacity)
    }

    deinit {
        unsafe packets.deallocate()
    }

    /// Forgets the batch before.
    package mutating func removeAll() { count = 0 }

    /// Prepares the next packet of the batch.
    ///
    /// - Parameters:
    ///   - packet: the packet, which starts with its IP header.
    ///   - originalLength: bytes of the packet, of which the queue may show fewer.
    ///   - interface: the index by which the kernel knows the interface.
    ///   - direction: which side of the interface.
    @inline(__always)
    package mutating func append(
        _ packet: UnsafeMutableRawBufferPointer, originalLength: Int, interface: UInt32, direction: Direction,
        for filter: borrowing Filter
    ) {
        precondition(count < capacity)
        unsafe (packets + count).initialize(
            to: filter.prepare(packet, originalLength: originalLength, interface: interface, direction: direction))
        count &+= 1
    }

    /// Has the states of the batch fetched, when all its packets are prepared.
    package func prefetchStates(of filter: borrowing Filter) {
        for index in 0..<count {
            if let key = unsafe packets[index].key { filter.states.prefetchState(key) }
        }
    }

    /// What was prepared of a packet, by its place in the batch; nil for nothing.
    package subscript(index: Int) -> UnsafePointer<PreparedPacket>? {
        unsafe index >= 0 && index < count ? UnsafePointer(packets + index) : nil
    }
}
