import Synchronization
import SystemSupport

/// The memory of a table's contents, and what was unlinked but may still be read.
///
/// What is retired waits in three lists: what comes in now, what waits for the readers to pass an epoch, what is free
/// to be used again. Each operation on the table moves a few things on, so that none takes long.
struct TableMemory: ~Copyable {
    private(set) var pool: EntryPool
    private(set) var arena: BlockArena
    private var retired = Reference.none
    private var waiting = Reference.none
    private var awaitedEpoch: UInt64 = 0
    private var unread = Reference.none

    /// - Parameters:
    ///   - capacity: the most entries at a time.
    ///   - inUse: the entries that will be there at once.
    init(type: TableType, capacity: Int, inUse: Int) throws(TableError) {
        // What is retired takes places too, for as long as a batch of packets.
        let pool = try EntryPool(places: capacity + capacity / 8 + 1024, inUse: inUse)
        // No more nodes and leaves than entries, most of one unit; and as much again three times for free blocks of a
        // size that nobody asks for.
        let units = type == .lpm ? capacity * 4 + 4096 : 0
        arena = try BlockArena(units: max(units, 1), inUse: type == .lpm ? inUse * 32 : 0)
        self.pool = pool
    }

    mutating func makeEntry(_ key: TableKey, expires: Int64) -> Reference {
        pool.make(key, expires: expires)
    }

    /// Takes an entry, a node or a leaf back that was never linked, or that no reader knows any more.
    mutating func dispose(_ reference: Reference) {
        if reference.isNode {
            let references = unsafe TrieNode(reference, in: arena.base).header.pointee.taken.nonzeroBitCount
            arena.release(UInt32(reference.place), TrieNode.units(references: references))
        } else if reference.isLeaf {
            arena.release(UInt32(reference.place), 1)
        } else {
            pool.dispose(reference)
        }
    }

    /// Makes a node; none if there is no memory.
    mutating func makeNode(
        depth: UInt8, taken: UInt128, reference: (_ place: Int) -> Reference
    ) -> Reference {
        let block = arena.allocate(TrieNode.units(references: taken.nonzeroBitCount))
        guard block != 0 else { return .none }
        let node = Reference(node: block)
        unsafe TrieNode(node, in: arena.base)
            .initialize(depth: depth, taken: taken, reference: reference)
        return node
    }

    /// Makes a leaf of two entries or more; none if there is no memory.
    mutating func makeLeaf(_ members: LeafMembers) -> Reference {
        let block = arena.allocate(1)
        guard block != 0 else { return .none }
        let leaf = Reference(leaf: block)
        unsafe TrieLeaf(leaf, in: arena.base).initialize(members)
        return leaf
    }

    /// Keeps what was just unlinked until no reader can know it.
    mutating func retire(_ reference: Reference) {
        setRetiredBefore(reference, retired)
        retired = reference
    }

    /// Frees up to `limit` retired things that no reader knows any more.
    mutating func reclaim(_ readers: ReaderEpochs, limit: Int) {
        if unread.isNone && !waiting.isNone && readers.havePassed(awaitedEpoch) {
            swap(&unread, &waiting)
        }
        if waiting.isNone && !retired.isNone {
            swap(&waiting, &retired)
            awaitedEpoch = readers.advance()
        }
        for _ in 0..<limit where !unread.isNone {
            let reference = unread
            unread = retiredBefore(reference)
            dispose(reference)
        }
    }

    private func retiredBefore(_ reference: Reference) -> Reference {
        if reference.isNode { return unsafe TrieNode(reference, in: arena.base).header.pointee.retiredBefore }
        if reference.isLeaf { return unsafe TrieLeaf(reference, in: arena.base).retiredBefore }
        return unsafe Reference(
            rawValue: UInt32(-1 - pool.entries[reference.place].expires.load(ordering: .relaxed)))
    }

    private func setRetiredBefore(_ reference: Reference, _ before: Reference) {
        if reference.isNode {
            unsafe TrieNode(reference, in: arena.base).header.pointee.retiredBefore = before
        } else if reference.isLeaf {
            unsafe TrieLeaf(reference, in: arena.base).retiredBefore = before
        } else {
            unsafe pool.entries[reference.place].expires.store(-1 - Int64(before.rawValue), ordering: .relaxed)
        }
    }
}

extension MappedMemory {
    /// - Throws: `noMemory`.
    init(table size: Int, inUse: Int) throws(TableError) {
        guard let memory = MappedMemory(size: size, inUse: inUse) else { throw .noMemory }
        self = memory
    }
}
