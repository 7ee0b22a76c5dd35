/// How a table's contents are found: what readers follow without a lock.
@safe
struct TableIndex: BitwiseCopyable {
    private enum Kind: BitwiseCopyable {
        case hash(HashIndex)
        case trie(PrefixTrie)
    }

    private let kind: Kind
    let entries: UnsafeMutablePointer<Entry>

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
