import Packet
import Synchronization
import SystemSupport

/// Everything that is in a table at a time, until it is replaced whole.
///
/// Readers come in by `index` and stay among what is linked. All else is the writer's, who holds the table's lock.
@safe
final class TableContents: @unchecked Sendable {
    /// The place that readers are sent to.
    let index: UnsafeMutablePointer<TableIndex>
    /// The entries that are linked, expired ones among them.
    private(set) var count = 0 {
        didSet { unsafe index.pointee.note(count: count) }
    }

    let type: TableType
    let capacity: Int
    private let readers: ReaderEpochs
    /// The words of a hash, the two roots of a trie.
    private let starts: MappedMemory
    private var memory: TableMemory
    /// The last place that was looked at for an expired entry.
    private var hand: UInt32 = 0

    /// Empty contents, where so many entries will soon be.
    init(type: TableType, capacity: Int, inUse: Int, readers: ReaderEpochs, seed: TableSeed) throws(TableError) {
        let memory = try TableMemory(type: type, capacity: capacity, inUse: inUse)
        let words = type == .lpm ? 1 : HashIndex.wordCount(capacity: capacity)
        let size = words * MemoryLayout<UInt64>.stride
        starts = try MappedMemory(table: size, inUse: inUse < capacity / 8 ? 0 : size)
        let entries = unsafe memory.pool.entries
        unsafe index = .allocate(capacity: 1)
        if type == .lpm {
            let roots = unsafe starts.base.bindMemory(to: Slot.Pointee.self, capacity: 2)
            let trie = unsafe PrefixTrie(roots: roots, entries: entries, blocks: memory.arena.base)
            unsafe index.initialize(to: TableIndex(trie: trie, entries: entries))
        } else {
            let first = unsafe starts.base.bindMemory(to: HashIndex.Word.Pointee.self, capacity: words)
            let hash = unsafe HashIndex(
                words: first, count: words, entries: entries, hash: SipHash(key: seed.words))
            unsafe index.initialize(to: TableIndex(hash: hash, entries: entries))
        }
        self.memory = memory
        self.type = type
        self.capacity = capacity
        self.readers = readers
    }

    deinit {
        unsafe index.deinitialize(count: 1)
        unsafe index.deallocate()
    }

    /// Puts an entry in.
    ///
    /// One that is there but expired begins a new life. One that is there and live is an error, or with `extending`
    /// stays for the longer of both times.
    ///
    /// - Returns: what is wrong: `exists` or `full`.
    func insert(_ key: TableKey, expires: Int64, now: Int64, extending: Bool) -> TableError? {
        memory.reclaim(readers, limit: 8)
        // An expiry of 0 or less would say that the entry is in no table.
        let expires = max(expires, 1)
        let there = unsafe index.pointee.find(key)
        if !there.isNone {
            let entry = unsafe memory.pool.entries + there.place
            let old = unsafe entry.pointee.expires.load(ordering: .relaxed)
            if old > now && !extending { return .exists }
            unsafe entry.pointee.expires.store(old > now ? max(old, expires) : expires, ordering: .relaxed)
            if unsafe old != TableEntry.never && entry.pointee.stays { unsafe index.pointee.noteStays(key) }
            return nil
        }
        if count >= capacity { _ = collect(now: now, steps: 128) }
        guard count < capacity else { return .full }
        let entry = memory.makeEntry(key, expires: expires)
        guard !entry.isNone else { return .full }
        guard unsafe index.pointee.link(entry, key, &memory) else {
            memory.dispose(entry)
            return .full
        }
        count += 1
        return nil
    }

    /// Takes an entry out; false if it is not there or expired.
    func remove(_ key: TableKey, now: Int64) -> Bool {
        memory.reclaim(readers, limit: 8)
        let entry = unsafe index.pointee.find(key)
        guard !entry.isNone else { return false }
        let wasLive = unsafe memory.pool.entries[entry.place].isLive(at: now)
        unlink(entry, key)
        return wasLive
    }

    private func unlink(_ entry: Reference, _ key: TableKey) {
        if unsafe index.pointee.unlink(key, &memory) {
            memory.retire(entry)
            count -= 1
        } else {
            // Without memory for a changed node the entry stays, expired, until it is collected.
            unsafe memory.pool.entries[entry.place].expires.store(0, ordering: .relaxed)
        }
    }

    /// Looks at the next `steps` places and takes out the entries that are expired.
    ///
    /// - Returns: how many it has taken out.
    func collect(now: Int64, steps: Int) -> Int {
        let before = count
        let end = memory.pool.end
        for _ in 0..<min(steps, Int(end) - 1) {
            hand = hand + 1 < end ? hand + 1 : 1
            let entry = unsafe memory.pool.entries + Int(hand)
            guard unsafe entry.pointee.isLinked && !entry.pointee.isLive(at: now) else { continue }
            unsafe unlink(Reference(entry: hand), TableKey(entry.pointee))
        }
        memory.reclaim(readers, limit: steps)
        return before - count
    }

    /// Puts the live entries in the places from `place` on into other contents, at most `limit` places.
    ///
    /// - Returns: the place to go on with, nil at the end; and what keeps an entry out of the others.
    func copy(
        from place: UInt32, limit: UInt32, now: Int64, into other: TableContents
    ) -> (next: UInt32?, error: TableError?) {
        var entries: [TableEntry] = []
        let next = list(from: place, limit: limit, now: now, into: &entries)
        for entry in entries {
            let error = other.insert(TableKey(entry.prefix), expires: entry.expires, now: now, extending: true)
            if let error { return (nil, error) }
        }
        return (next, nil)
    }

    /// Appends the live entries in the places from `place` on, at most `limit` places.
    ///
    /// - Returns: the place to go on with; nil at the end.
    func list(from place: UInt32, limit: UInt32, now: Int64, into list: inout [TableEntry]) -> UInt32? {
        let end = min(place + limit, memory.pool.end)
        for place in place..<max(place, end) {
            let entry = unsafe memory.pool.entries + Int(place)
            guard unsafe entry.pointee.isLinked && entry.pointee.isLive(at: now) else { continue }
            unsafe list.append(
                TableEntry(entry.pointee.prefix, expires: entry.pointee.expires.load(ordering: .relaxed)))
        }
        return end < memory.pool.end ? end : nil
    }
}
