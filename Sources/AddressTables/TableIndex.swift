import Synchronization

/// How a table's contents are found: what readers follow without a lock.
@safe
struct TableIndex: ~Copyable {
    private enum Kind: BitwiseCopyable {
        case hash(HashIndex)
        case trie(PrefixTrie)
    }

    private let kind: Kind
    let entries: UnsafeMutablePointer<Entry>
    private let isFar = Atomic<Bool>(false)

    init(hash: HashIndex, entries: UnsafeMutablePointer<Entry>) {
        kind = .hash(hash)
        unsafe self.entries = unsafe entries
    }

    init(trie: PrefixTrie, entries: UnsafeMutablePointer<Entry>) {
        kind = .trie(trie)
        unsafe self.entries = unsafe entries
    }

    /// Whether an address matches a live entry.
    @inline(__always)
    func contains(_ key: TableKey, now: Int64) -> Bool {
        switch kind {
        case .hash(let hash): !hash.match(key, now: now).isNone
        case .trie(let trie): trie.contains(key, now: now)
        }
    }

    /// Whether several lookups are done sooner if what they read is fetched for all of them before.
    @inline(__always)
    var gainsFromPrefetching: Bool { isFar.load(ordering: .relaxed) }

    /// Entries that are few enough to be near with all that leads to them, a megabyte or two: an address has a cache line of
    /// its own in a hash, which a few networks of a trie share.
    private var nearEntries: Int {
        switch kind {
        case .hash: 8192
        case .trie: 32_768
        }
    }

    /// Notes how many entries there are.
    ///
    /// It writes only what is news to the readers, who all have this memory in their caches.
    func note(count: Int) {
        let isFar = count > nearEntries
        if isFar != gainsFromPrefetching { self.isFar.store(isFar, ordering: .relaxed) }
    }

    /// Has the memory fetched that lookups read.
    @inline(__always)
    func prefetch(_ batch: borrowing LookupBatch) {
        switch kind {
        case .hash(let hash): unsafe hash.prefetch(batch.lookups, count: batch.count)
        case .trie(let trie): unsafe trie.prefetch(batch.lookups, count: batch.count)
        }
    }

    /// The live entry that an address matches, of several that of the longest prefix.
    func match(_ key: TableKey, now: Int64) -> Reference {
        switch kind {
        case .hash(let hash): hash.match(key, now: now)
        case .trie(let trie): trie.match(key, now: now)
        }
    }

    /// The entry of just this address or network, live or expired.
    func find(_ key: TableKey) -> Reference {
        switch kind {
        case .hash(let hash): hash.find(key)
        case .trie(let trie): trie.find(key)
        }
    }

    /// Links an entry whose key is not there; false if there is no memory.
    func link(_ reference: Reference, _ key: TableKey, _ memory: inout TableMemory) -> Bool {
        switch kind {
        case .hash(let hash):
            hash.link(reference, key)
            return true
        case .trie(let trie):
            return trie.link(reference, key, &memory)
        }
    }

    /// Notes that an entry stays that did not when it was linked; a trie goes on asking the entry.
    func noteStays(_ key: TableKey) {
        if case .hash(let hash) = kind { hash.noteStays(key) }
    }

    /// Unlinks an entry that is there; false if there is no memory.
    func unlink(_ key: TableKey, _ memory: inout TableMemory) -> Bool {
        switch kind {
        case .hash(let hash):
            hash.unlink(key)
            return true
        case .trie(let trie):
            return trie.unlink(key, &memory)
        }
    }
}
