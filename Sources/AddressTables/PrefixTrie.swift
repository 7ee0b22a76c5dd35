import Synchronization

/// Finds the networks that an address is in: a trie with six bits a node, bitmaps of what a node has, and no node where
/// there is nothing to decide.
///
/// Eatherton, Varghese, Dittia: "Tree Bitmap: hardware/software IP lookups with incremental updates", 2004; the
/// skipping of bits is Morrison's ("PATRICIA", 1968). A change makes one new node, which one store puts in the place
/// of the old one: a reader sees the trie before or after it.
@safe
struct PrefixTrie: BitwiseCopyable {
    private let roots: Slot
    let entries: UnsafeMutablePointer<Entry>
    private let blocks: UnsafeMutableRawPointer

    /// An empty trie; `roots` are two zeroed references.
    init(roots: Slot, entries: UnsafeMutablePointer<Entry>, blocks: UnsafeMutableRawPointer) {
        unsafe self.roots = unsafe roots
        unsafe self.entries = unsafe entries
        unsafe self.blocks = unsafe blocks
    }

    /// Where the trie of a key's family begins.
    @inline(__always)
    func root(of key: TableKey) -> Slot { unsafe roots + (key.isIPv6 ? 1 : 0) }

    @inline(__always)
    func node(_ reference: Reference) -> TrieNode { unsafe TrieNode(reference, in: blocks) }

    /// The live entry of the longest prefix that covers an address; the shortest where `any` will do.
    @inline(__always)
    func match(_ key: TableKey, now: Int64, any: Bool) -> Reference {
        var best = Reference.none
        var reference = unsafe root(of: key).pointee.load(ordering: .acquiring)
        while reference.isNode {
            let node = self.node(reference)
            let depth = unsafe node.header.pointee.depth
            let chunk = TrieNode.chunk(of: key.bits, at: depth)
            let networks = unsafe UInt64(truncatingIfNeeded: node.header.pointee.taken &>> 64)
            if networks != 0 {
                // The networks of this node that cover the address, the longest first.
                var number = (64 | chunk) &>> 1
                while number != 0 {
                    if networks &>> UInt64(truncatingIfNeeded: number) & 1 != 0 {
                        let candidate = unsafe node.slot(at: 64 &+ number).pointee.load(ordering: .acquiring)
                        let entry = unsafe entries + candidate.place
                        // Bits were skipped on the way here, so the entry has the last word.
                        if unsafe entry.pointee.covers(key.bits) && entry.pointee.isLive(at: now) {
                            if any { return candidate }
                            best = candidate
                            break
                        }
                    }
                    number &>>= 1
                }
            }
            guard let slot = unsafe node.childSlot(chunk) else { return best }
            reference = unsafe slot.pointee.load(ordering: .acquiring)
        }
        guard !reference.isNone else { return best }
        let entry = unsafe entries + reference.place
        return unsafe entry.pointee.covers(key.bits) && entry.pointee.isLive(at: now) ? reference : best
    }
}
