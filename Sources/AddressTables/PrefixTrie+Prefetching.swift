import CLinuxShim
import Synchronization

// Part of the packet path.
extension PrefixTrie {
    /// Has the memory fetched that lookups read, each level for all of them before the next.
    func prefetch(_ lookups: UnsafeMutablePointer<LookupBatch.Lookup>, count: Int) {
        var left = 0
        for index in 0..<count {
            var lookup = unsafe lookups[index]
            lookup.reference = unsafe root(of: lookup.key).pointee.load(ordering: .acquiring)
            unsafe lookups[left] = lookup
            left &+= lookup.reference.isNode ? 1 : 0
        }
        // Each node is deeper than the one that led to it, so this ends as a lookup does.
        while left > 0 {
            let count = left
            left = 0
            for index in 0..<count {
                var lookup = unsafe lookups[index]
                lookup.reference = prefetch(behind: node(lookup.reference), lookup.key)
                unsafe lookups[left] = lookup
                left &+= lookup.reference.isNode ? 1 : 0
            }
        }
    }

    /// Has that fetched which a lookup reads behind a node.
    @inline(__always)
    private func prefetch(behind node: TrieNode, _ key: TableKey) -> Reference {
        let chunk = unsafe TrieNode.chunk(of: key.bits, at: node.header.pointee.depth)
        let networks = node.networks(around: chunk)
        if networks != 0 {
            // The lookup most likely ends by the longest: only bits that were skipped can say otherwise, or its time.
            let place = 127 &- networks.leadingZeroBitCount
            let reference = unsafe node.slot(at: place).pointee.load(ordering: .acquiring)
            unsafe linux_prefetch(entries + reference.place)
            return .none
        }
        guard let slot = unsafe node.childSlot(chunk) else { return .none }
        let reference = unsafe slot.pointee.load(ordering: .acquiring)
        let block = unsafe UnsafeRawPointer(blocks) + reference.place &* BlockArena.unit
        let entry = unsafe UnsafeRawPointer(entries + reference.place)
        unsafe linux_prefetch(reference.isNode || reference.isLeaf ? block : entry)
        if reference.isNode {
            // Where the references of most nodes are.
            unsafe linux_prefetch(block + BlockArena.unit)
            unsafe linux_prefetch(block + 2 &* BlockArena.unit)
        }
        return reference
    }
}
