import Synchronization

/// What only a writer does.
extension PrefixTrie {
    /// The entry of just this network, live or expired.
    func find(_ key: TableKey) -> Reference {
        var reference = unsafe root(of: key).pointee.load(ordering: .relaxed)
        while reference.isNode {
            let node = self.node(reference)
            guard unsafe key.length >= node.header.pointee.depth else { return .none }
            let place = node.place(of: key)
            guard unsafe node.header.pointee.taken >> UInt128(place) & 1 != 0 else { return .none }
            reference = unsafe node.slot(at: place).pointee.load(ordering: .relaxed)
        }
        return unsafe !reference.isNone && entries[reference.place].equals(key) ? reference : .none
    }

    /// Links an entry whose network is not there.
    ///
    /// - Returns: false: there is no memory, and nothing was changed.
    func link(_ reference: Reference, _ key: TableKey, _ memory: inout TableMemory) -> Bool {
        var slot = unsafe root(of: key)
        let closest = unsafe entries + closest(to: key).place
        let common = unsafe min((closest.pointee.bits ^ key.bits).leadingZeroBitCount, Int(key.length))
        while true {
            let there = unsafe slot.pointee.load(ordering: .relaxed)
            let replacement: Reference
            if there.isNone {
                replacement = reference
            } else if there.isNode, case let node = node(there), unsafe node.header.pointee.depth <= common {
                let place = node.place(of: key)
                if unsafe node.header.pointee.taken >> UInt128(place) & 1 != 0 {
                    // A place of a network is not taken: the network is not there.
                    unsafe slot = node.slot(at: place)
                    continue
                }
                replacement = copy(of: node, with: place, reference, &memory)
                if !replacement.isNone { memory.retire(there) }
            } else {
                // The closest entry is below what is there, or is that.
                let end = unsafe there.isNode ? node(there).header.pointee.depth : closest.pointee.length
                let depth = UInt8(min(common, Int(end)) / TrieNode.stride * TrieNode.stride)
                let place = TrieNode.place(of: key.bits, length: key.length, at: depth)
                let placeThere = unsafe TrieNode.place(of: closest.pointee.bits, length: end, at: depth)
                replacement = memory.makeNode(depth: depth, taken: 1 << UInt128(place) | 1 << UInt128(placeThere)) {
                    $0 == place ? reference : there
                }
            }
            guard !replacement.isNone else { return false }
            unsafe slot.pointee.store(replacement, ordering: .releasing)
            return true
        }
    }

    /// Unlinks the entry of a network that is there.
    ///
    /// - Returns: false: there is no memory, and nothing was changed.
    func unlink(_ key: TableKey, _ memory: inout TableMemory) -> Bool {
        var slot = unsafe root(of: key)
        guard unsafe slot.pointee.load(ordering: .relaxed).isNode else {
            unsafe slot.pointee.store(.none, ordering: .releasing)
            return true
        }
        while true {
            let there = unsafe slot.pointee.load(ordering: .relaxed)
            let node = self.node(there)
            let place = node.place(of: key)
            let next = unsafe node.slot(at: place)
            if unsafe next.pointee.load(ordering: .relaxed).isNode {
                unsafe slot = next
                continue
            }
            let replacement = copy(of: node, without: place, &memory)
            guard !replacement.isNone else { return false }
            unsafe slot.pointee.store(replacement, ordering: .releasing)
            memory.retire(there)
            return true
        }
    }

    private func copy(
        of node: TrieNode, with place: Int, _ reference: Reference, _ memory: inout TableMemory
    ) -> Reference {
        let header = unsafe node.header.pointee
        return memory.makeNode(depth: header.depth, taken: header.taken | 1 << UInt128(place)) {
            unsafe $0 == place ? reference : node.slot(at: $0).pointee.load(ordering: .relaxed)
        }
    }

    /// A node without one of its places; where one is left, what is in that.
    private func copy(of node: TrieNode, without place: Int, _ memory: inout TableMemory) -> Reference {
        let header = unsafe node.header.pointee
        let taken = header.taken & ~(1 << UInt128(place))
        if taken.nonzeroBitCount == 1 {
            return unsafe node.slot(at: taken.trailingZeroBitCount).pointee.load(ordering: .relaxed)
        }
        return memory.makeNode(depth: header.depth, taken: taken) {
            unsafe node.slot(at: $0).pointee.load(ordering: .relaxed)
        }
    }

    /// An entry that has as many bits in common with a network as any.
    ///
    /// It is where the network's bits lead, whatever bits are skipped on the way; place 0, which is zeros, in an empty
    /// trie.
    private func closest(to key: TableKey) -> Reference {
        var reference = unsafe root(of: key).pointee.load(ordering: .relaxed)
        while reference.isNode {
            let node = self.node(reference)
            let header = unsafe node.header.pointee
            let place = key.length < header.depth ? 0 : node.place(of: key)
            let isTaken = key.length >= header.depth && header.taken >> UInt128(place) & 1 != 0
            unsafe reference = (isTaken ? node.slot(at: place) : node.slot(0)).pointee.load(ordering: .relaxed)
        }
        return reference
    }
}

extension TrieNode {
    /// The place of a network that is at least as long as this node is deep.
    fileprivate func place(of key: TableKey) -> Int {
        unsafe Self.place(of: key.bits, length: key.length, at: header.pointee.depth)
    }
}
