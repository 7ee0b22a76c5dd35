import Synchronization

/// What only a writer does.
///
/// There is a node only where there are more entries than a leaf holds, unless there was no memory for the leaf.
extension PrefixTrie {
    /// The entry of just this network, live or expired.
    func find(_ key: TableKey) -> Reference {
        let end = end(of: key)
        if end.isLeaf, case let leaf = leaf(end) { return leaf.way(of: key).map { leaf.entry($0) } ?? .none }
        return unsafe !end.isNone && entries[end.place].equals(key) ? end : .none
    }

    /// Links an entry whose network is not there.
    ///
    /// - Returns: false: there is no memory, and nothing was changed.
    func link(_ reference: Reference, _ key: TableKey, _ memory: inout TableMemory) -> Bool {
        var slot = unsafe root(of: key)
        let closest = closest(to: key)
        let common = min((closest.bits ^ key.bits).leadingZeroBitCount, Int(key.length))
        while true {
            let there = unsafe slot.pointee.load(ordering: .relaxed)
            let replacement: Reference
            if there.isNone {
                replacement = reference
            } else if there.isNode, case let node = node(there), unsafe node.header.pointee.depth <= common {
                let place = node.place(of: key)
                if node.has(place) {
                    // A place of a network is not taken: the network is not there.
                    unsafe slot = node.slot(at: place)
                    continue
                }
                replacement = copy(of: node, with: place, reference, &memory)
            } else if there.isNode {
                // The closest network is below what is there.
                let end = unsafe node(there).header.pointee.depth
                let depth = UInt8(common / TrieNode.stride * TrieNode.stride)
                let place = TrieNode.place(of: key.bits, length: key.length, at: depth)
                let placeThere = TrieNode.place(of: closest.bits, length: end, at: depth)
                replacement = memory.makeNode(depth: depth, taken: 1 << UInt128(place) | 1 << UInt128(placeThere)) {
                    $0 == place ? reference : there
                }
                guard !replacement.isNone else { return false }
                unsafe slot.pointee.store(replacement, ordering: .releasing)
                return true
            } else {
                var members = members(of: there, key.isIPv6)
                members.add(member(reference))
                replacement =
                    members.count > TrieLeaf.ways(isIPv6: key.isIPv6)
                    ? split(members, &memory) : memory.makeLeaf(members)
            }
            guard !replacement.isNone else { return false }
            unsafe slot.pointee.store(replacement, ordering: .releasing)
            if there.isNode || there.isLeaf { memory.retire(there) }
            return true
        }
    }

    /// Unlinks the entry of a network that is there.
    ///
    /// - Returns: false: there is no memory, and nothing was changed.
    func unlink(_ key: TableKey, _ memory: inout TableMemory) -> Bool {
        var above = Reference.none
        var aboveSlot = unsafe root(of: key)
        var slot = unsafe aboveSlot
        var there = unsafe slot.pointee.load(ordering: .relaxed)
        while there.isNode {
            let node = self.node(there)
            above = there
            unsafe aboveSlot = slot
            unsafe slot = node.slot(at: node.place(of: key))
            there = unsafe slot.pointee.load(ordering: .relaxed)
        }
        if !above.isNone, let rest = members(of: node(above), without: key) {
            let replacement = make(rest, &memory)
            if !replacement.isNone {
                unsafe aboveSlot.pointee.store(replacement, ordering: .releasing)
                forEach(withLeavesOf: above) { memory.retire($0) }
                return true
            }
        }
        if there.isLeaf {
            leaf(there).drop(leaf(there).way(of: key)!)
            let rest = members(of: there, key.isIPv6)
            if rest.count == 1 {
                unsafe slot.pointee.store(rest[0].entry, ordering: .releasing)
                memory.retire(there)
            }
        } else if above.isNone {
            unsafe slot.pointee.store(.none, ordering: .releasing)
        } else {
            let replacement = copy(of: node(above), without: node(above).place(of: key), &memory)
            guard !replacement.isNone else { return false }
            unsafe aboveSlot.pointee.store(replacement, ordering: .releasing)
            memory.retire(above)
        }
        return true
    }

    /// A node for more entries than a leaf holds; none if there is no memory.
    private func split(_ members: LeafMembers, _ memory: inout TableMemory) -> Reference {
        let first = members[0].key
        var common = Int(first.length)
        for index in 1..<members.count {
            let key = members[index].key
            common = min(common, Int(key.length), (first.bits ^ key.bits).leadingZeroBitCount)
        }
        let depth = UInt8(common / TrieNode.stride * TrieNode.stride)
        func place(_ index: Int) -> Int {
            TrieNode.place(of: members[index].key.bits, length: members[index].key.length, at: depth)
        }
        var taken: UInt128 = 0
        for index in 0..<members.count { taken |= 1 << UInt128(place(index)) }
        let reference = memory.makeNode(depth: depth, taken: taken) { _ in .none }
        guard !reference.isNone else { return .none }
        var rest = taken
        while rest != 0 {
            // What goes on together is less than all, so a leaf holds it.
            var together = LeafMembers()
            for index in 0..<members.count where place(index) == rest.trailingZeroBitCount {
                together.add(members[index])
            }
            let child = make(together, &memory)
            unsafe node(reference).slot(at: rest.trailingZeroBitCount).pointee.store(child, ordering: .relaxed)
            if child.isNone {
                forEach(withLeavesOf: reference) { memory.dispose($0) }
                return .none
            }
            rest &= rest - 1
        }
        return reference
    }

    /// The one entry of its own, or a leaf; none if there is no memory.
    private func make(_ members: LeafMembers, _ memory: inout TableMemory) -> Reference {
        members.count == 1 ? members[0].entry : memory.makeLeaf(members)
    }

    /// What is in an entry's own place or in a leaf.
    private func members(of reference: Reference, _ isIPv6: Bool) -> LeafMembers {
        var members = LeafMembers()
        if reference.isLeaf {
            for way in 0..<TrieLeaf.ways(isIPv6: isIPv6) {
                if let member = leaf(reference).member(way, isIPv6: isIPv6) { members.add(member) }
            }
        } else {
            members.add(member(reference))
        }
        return members
    }

    private func member(_ reference: Reference) -> LeafMember {
        let entry = unsafe entries + reference.place
        return unsafe LeafMember(key: TableKey(entry.pointee), entry: reference, stays: entry.pointee.stays)
    }

    /// All entries below a node but one; nil where they are more than a leaf holds.
    private func members(of node: TrieNode, without key: TableKey) -> LeafMembers? {
        var rest = LeafMembers()
        for index in 0..<node.count {
            let reference = unsafe node.slot(index).pointee.load(ordering: .relaxed)
            if reference.isNode { return nil }
            let members = members(of: reference, key.isIPv6)
            for index in 0..<members.count where members[index].key != key {
                guard rest.count < TrieLeaf.ways(isIPv6: key.isIPv6) else { return nil }
                rest.add(members[index])
            }
        }
        return rest
    }

    /// Does something to the leaves of a node, and then to the node.
    private func forEach(withLeavesOf reference: Reference, _ body: (Reference) -> Void) {
        let node = self.node(reference)
        for index in 0..<node.count {
            let child = unsafe node.slot(index).pointee.load(ordering: .relaxed)
            if child.isLeaf { body(child) }
        }
        body(reference)
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

    /// The entry or leaf to which a network's bits lead.
    private func end(of key: TableKey) -> Reference {
        var reference = unsafe root(of: key).pointee.load(ordering: .relaxed)
        while reference.isNode {
            let node = self.node(reference)
            guard unsafe key.length >= node.header.pointee.depth else { return .none }
            let place = node.place(of: key)
            guard node.has(place) else { return .none }
            reference = unsafe node.slot(at: place).pointee.load(ordering: .relaxed)
        }
        return reference
    }

    /// A network that has as many bits in common with one as any.
    ///
    /// It is where the network's bits lead, whatever bits are skipped on the way; in an empty trie that of place 0,
    /// which is zeros.
    private func closest(to key: TableKey) -> TableKey {
        var reference = unsafe root(of: key).pointee.load(ordering: .relaxed)
        while reference.isNode {
            let node = self.node(reference)
            let isLongEnough = unsafe key.length >= node.header.pointee.depth
            let place = isLongEnough ? node.place(of: key) : 0
            let isTaken = isLongEnough && node.has(place)
            unsafe reference = (isTaken ? node.slot(at: place) : node.slot(0)).pointee.load(ordering: .relaxed)
        }
        var way = 0
        while reference.isLeaf {
            if let member = leaf(reference).member(way, isIPv6: key.isIPv6) { return member.key }
            way += 1
        }
        return unsafe TableKey(entries[reference.place])
    }
}

extension TrieNode {
    /// The place of a network that is at least as long as this node is deep.
    fileprivate func place(of key: TableKey) -> Int {
        unsafe Self.place(of: key.bits, length: key.length, at: header.pointee.depth)
    }

    fileprivate func has(_ place: Int) -> Bool { unsafe header.pointee.taken >> UInt128(place) & 1 != 0 }

    /// How many places are taken.
    fileprivate var count: Int { unsafe header.pointee.taken.nonzeroBitCount }
}
