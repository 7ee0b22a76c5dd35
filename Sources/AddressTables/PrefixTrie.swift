import CLinuxShim
import Synchronization

/// Finds the networks that an address is in: a trie with six bits a node, bitmaps of what a node has, no node where
/// there is nothing to decide, and a leaf where few entries are left.
///
/// In a large table the upper nodes stay in the processor's caches. What is below them does not, and each step there
/// waits for memory: a leaf is one step, and says of entries that stay whether an address is in them.
///
/// Eatherton, Varghese, Dittia: "Tree Bitmap: hardware/software IP lookups with incremental updates", 2004; the
/// skipping of bits is Morrison's ("PATRICIA", 1968). A change makes what is new aside, and one store puts it in the
/// place of the old, or out: a reader sees the trie before or after it.
@safe
struct PrefixTrie: BitwiseCopyable {
    private let roots: Slot
    let entries: UnsafeMutablePointer<Entry>
    let blocks: UnsafeMutableRawPointer

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

    @inline(__always)
    func leaf(_ reference: Reference) -> TrieLeaf { unsafe TrieLeaf(reference, in: blocks) }

    /// Whether a live entry's network has an address in it.
    ///
    /// At its end, where the memory is mostly in no cache, nothing branches that could be guessed wrong: the processor
    /// goes on to what follows meanwhile.
    @inline(__always)
    func contains(_ key: TableKey, now: Int64) -> Bool {
        var reference = unsafe root(of: key).pointee.load(ordering: .acquiring)
        while reference.isNode {
            let node = self.node(reference)
            // Where the references of most nodes are, of which one is wanted as soon as the header has come.
            unsafe linux_prefetch(UnsafeRawPointer(node.header) + 64)
            unsafe linux_prefetch(UnsafeRawPointer(node.header) + 128)
            let chunk = unsafe TrieNode.chunk(of: key.bits, at: node.header.pointee.depth)
            let networks = node.networks(around: chunk)
            if networks != 0, !longest(networks, of: node, key, now: now).isNone { return true }
            guard let slot = unsafe node.childSlot(chunk) else { return false }
            reference = unsafe slot.pointee.load(ordering: .acquiring)
        }
        if reference.isLeaf {
            let leaf = self.leaf(reference)
            let covering = leaf.covering(key)
            return covering.isOpen ? !longest(of: leaf, key, now: now).isNone : covering.isSure
        }
        // Place 0, which stands for none, is zeros and never live.
        let entry = unsafe entries + reference.place
        let isLive = unsafe entry.pointee.isLive(at: now)
        let isCovering = unsafe entry.pointee.covers(key.bits)
        return isLive && isCovering
    }

    /// The live entry of the longest prefix that covers an address.
    func match(_ key: TableKey, now: Int64) -> Reference {
        var best = Reference.none
        var reference = unsafe root(of: key).pointee.load(ordering: .acquiring)
        while reference.isNode {
            let node = self.node(reference)
            let chunk = unsafe TrieNode.chunk(of: key.bits, at: node.header.pointee.depth)
            let found = longest(node.networks(around: chunk), of: node, key, now: now)
            if !found.isNone { best = found }
            guard let slot = unsafe node.childSlot(chunk) else { return best }
            reference = unsafe slot.pointee.load(ordering: .acquiring)
        }
        if reference.isLeaf {
            let leaf = self.leaf(reference)
            let found = longest(of: leaf, key, now: now)
            return found.isNone ? best : found
        }
        let entry = unsafe entries + reference.place
        return unsafe entry.pointee.isLive(at: now) && entry.pointee.covers(key.bits) ? reference : best
    }

    /// The longest live one of some networks of a node, if it covers an address.
    ///
    /// Bits were skipped on the way to the node, so the entry has the last word.
    private func longest(_ networks: UInt64, of node: TrieNode, _ key: TableKey, now: Int64) -> Reference {
        var networks = networks
        while networks != 0 {
            let number = 63 &- networks.leadingZeroBitCount
            let reference = unsafe node.slot(at: 64 &+ number).pointee.load(ordering: .acquiring)
            let entry = unsafe entries + reference.place
            if unsafe entry.pointee.covers(key.bits) && entry.pointee.isLive(at: now) { return reference }
            networks ^= 1 &<< UInt64(truncatingIfNeeded: number)
        }
        return .none
    }

    /// The longest live network of a leaf that covers an address.
    private func longest(of leaf: TrieLeaf, _ key: TableKey, now: Int64) -> Reference {
        for way in 0..<TrieLeaf.ways(isIPv6: key.isIPv6) where leaf.covers(way, key) {
            // None, and so not live, if the way is not in use or the entry was dropped just now.
            let reference = leaf.entry(way)
            if unsafe entries[reference.place].isLive(at: now) { return reference }
        }
        return .none
    }
}
