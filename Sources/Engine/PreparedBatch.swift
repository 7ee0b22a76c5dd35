import AddressTables
package import Packet
import Ruleset
import States

/// What is known of a packet before anything has been decided by it.
package struct PreparedPacket: BitwiseCopyable {
    /// nil where they cannot be parsed.
    var headers: PacketHeaders?
    /// The key of the packet's connection; nil for none, or where none was needed yet.
    var key: StateKey?
    /// Whether the packet seems to have a state, so that no rule is asked.
    var seemsKnown = false
}

/// The packets of a batch, prepared before the first of them is decided: the memory of all their states, and of large tables
/// that rules ask about them, is then waited for once, not for one after the other.
///
/// It holds until the batch is decided: keys are made for the filter's parameters. What is fetched is advice alone; each
/// packet is decided by the states and tables as those before it have left them.
///
/// Part of the packet path.
@safe
package struct PreparedBatch: ~Copyable {
    private let packets: UnsafeMutablePointer<PreparedPacket>
    private let capacity: Int
    private var count = 0
    /// What is looked up in one table.
    private var lookups: LookupBatch

    package init(capacity: Int) {
        self.capacity = capacity
        lookups = LookupBatch(capacity: capacity)
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

    /// Has the states of the batch fetched, and what is asked of large tables, when all its packets are prepared.
    package mutating func prefetch(for filter: borrowing Filter) {
        for index in 0..<count {
            if let key = unsafe packets[index].key {
                unsafe packets[index].seemsKnown = filter.states.prefetchState(key)
            }
        }
        let questions = filter.tableQuestions
        for number in 0..<questions.count {
            let question = questions[number]
            guard filter.isFar(question.table) else { continue }
            for index in 0..<count where unsafe !packets[index].seemsKnown {
                guard let headers = unsafe packets[index].headers else { continue }
                lookups.append(question.isAboutSource ? headers.source : headers.destination)
            }
            filter.prefetch(&lookups, in: question.table)
        }
    }

    /// What was prepared of a packet, by its place in the batch; nil for nothing.
    package subscript(index: Int) -> UnsafePointer<PreparedPacket>? {
        unsafe index >= 0 && index < count ? UnsafePointer(packets + index) : nil
    }
}
