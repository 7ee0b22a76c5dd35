import AddressTables
import Packet
import Ruleset
import States

// What is done for a batch of packets before the first of them is decided. Part of the packet path.
extension Filter {
    /// States that are few enough to be near: with their places in the index they take a megabyte.
    private static let nearStates = 8192

    /// Whether the packets of a batch are decided sooner if they are all prepared before.
    @inline(__always)
    package func gainsFromPreparing(_ count: Int) -> Bool {
        count > 1 && (states.count > Self.nearStates || asksFarTable)
    }

    /// Whether lookups that rules make wait for memory.
    private var asksFarTable: Bool {
        let questions = tableQuestions
        for index in 0..<questions.count where isFar(questions[index].table) { return true }
        return false
    }

    /// What the rules ask of tables.
    @inline(__always)
    var tableQuestions: TableQuestions { unsafe rules._withUnsafeGuaranteedRef { $0.tableQuestions } }

    /// Whether lookups in a table wait for memory.
    @inline(__always)
    func isFar(_ table: Int32) -> Bool { unsafe view.pointee.gainsFromPrefetching(table) }

    /// Has the memory fetched that lookups in a table read, and empties the batch.
    @inline(__always)
    func prefetch(_ lookups: inout LookupBatch, in table: Int32) { unsafe view.pointee.prefetch(&lookups, in: table) }

    /// Parses a packet and makes its key, and has that part of memory fetched which tells where its state is.
    @inline(__always)
    func prepare(
        _ packet: UnsafeMutableRawBufferPointer, originalLength: Int, interface: UInt32, direction: Direction
    ) -> PreparedPacket {
        let length = max(originalLength, packet.count)
        guard let headers = try? PacketHeaders(parsing: unsafe packet.bytes, originalLength: length) else {
            return PreparedPacket()
        }
        // Deciding needs the key as soon as there is a state.
        guard states.count > 0,
            let key = unsafe states.key(headers, packet: packet.bytes, interface: interface, direction: direction)
        else { return PreparedPacket(headers: headers) }
        states.prefetchIndex(key)
        return PreparedPacket(headers: headers, key: key)
    }
}
