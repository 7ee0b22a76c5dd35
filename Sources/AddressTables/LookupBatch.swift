public import Packet

/// Addresses that a table is about to be asked for.
///
/// What their lookups read is fetched for all of them before the first is made: so memory is waited for once a level of
/// the table, not once for each address. It is advice alone. Nothing of it is remembered, and each address is looked up in the table as that is then.
///
/// Part of the packet path.
@safe
public struct LookupBatch: ~Copyable {
    /// An address, and how far its way through a table is known.
    struct Lookup: BitwiseCopyable {
        let key: TableKey
        /// The node of a trie that comes next.
        var reference = Reference.none
        /// The hash in a table of single addresses.
        var hash: UInt64 = 0
    }

    let lookups: UnsafeMutablePointer<Lookup>
    private(set) var count = 0
    private let capacity: Int

    /// Room for so many addresses.
    public init(capacity: Int) {
        self.capacity = capacity
        unsafe lookups = .allocate(capacity: capacity)
    }

    deinit {
        unsafe lookups.deallocate()
    }

    mutating func removeAll() { count = 0 }

    /// Puts an address behind the others.
    @inline(__always)
    public mutating func append(_ address: Address) {
        precondition(count < capacity)
        unsafe (lookups + count).initialize(to: Lookup(key: TableKey(address)))
        count &+= 1
    }
}
