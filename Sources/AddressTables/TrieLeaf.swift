import Synchronization

/// Two or more entries of a trie in one cache line: where there are so few, nothing is left to decide by nodes.
///
/// It has all bits of its networks, so it needs no word of the way that led to it; and it knows which entries stay,
/// so that only what expires must be looked at besides. The longest network comes first. Once a leaf is linked, an
/// entry may be dropped from it; all else is a new leaf.
@safe
struct TrieLeaf: BitwiseCopyable {
    /// What a leaf says of an entry besides its network: the entry's place, 0 in a way that is not in use, and flags.
    private enum Link {
        /// The entry did not expire when the leaf was made, and so never will.
        static var stays: UInt32 { 1 << 31 }
        /// The network is a single address.
        static var isAddress: UInt32 { 1 << 30 }
        static var place: UInt32 { isAddress - 1 }
    }

    /// The links of the ways that cover an address, laid over each other.
    struct Covering: BitwiseCopyable {
        fileprivate let links: UInt32

        /// Whether one of them has an entry that stays.
        @inline(__always)
        var isSure: Bool { links & Link.stays != 0 }

        /// Whether the entries must be asked.
        @inline(__always)
        var isOpen: Bool { links != 0 && links & Link.stays == 0 }
    }

    private let base: UnsafeMutableRawPointer

    @inline(__always)
    init(_ reference: Reference, in blocks: UnsafeMutableRawPointer) {
        unsafe base = blocks + reference.place &* BlockArena.unit
    }

    /// The most entries of a leaf: as many networks and links as 60 bytes hold.
    @inline(__always)
    static func ways(isIPv6: Bool) -> Int { isIPv6 ? 3 : 7 }

    /// What was retired before this leaf, once it is.
    var retiredBefore: Reference {
        get { unsafe base.load(as: Reference.self) }
        nonmutating set { unsafe base.storeBytes(of: newValue, as: Reference.self) }
    }

    @inline(__always)
    private func link(_ way: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        unsafe (base + (4 &+ 4 &* way)).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// The networks, each with a one behind its last bit, unless it is a single address, and zeros behind that.
    @inline(__always)
    private func networks<Bits>(of type: Bits.Type) -> UnsafeMutablePointer<Bits> {
        unsafe (base + (MemoryLayout<Bits>.size == 4 ? 32 : 16)).assumingMemoryBound(to: Bits.self)
    }

    /// The bits of an IPv4 address or network.
    @inline(__always)
    private static func ipv4(_ key: TableKey) -> UInt32 { UInt32(truncatingIfNeeded: key.bits &>> 96) }

    /// The entry of a way; none where the way is not in use.
    @inline(__always)
    func entry(_ way: Int) -> Reference {
        unsafe Reference(entry: link(way).pointee.load(ordering: .relaxed) & Link.place)
    }

    /// What the ways say whose network has an address in it.
    @inline(__always)
    func covering(_ key: TableKey) -> Covering {
        key.isIPv6
            ? covering(key.bits, ways: Self.ways(isIPv6: true))
            : covering(Self.ipv4(key), ways: Self.ways(isIPv6: false))
    }

    /// All ways, without a branch that could be guessed wrong.
    @inline(__always)
    private func covering<Bits: FixedWidthInteger & UnsignedInteger>(_ address: Bits, ways: Int) -> Covering {
        var links: UInt32 = 0
        for way in 0..<ways {
            let link = unsafe link(way).pointee.load(ordering: .relaxed)
            links |= covers(way, link, address) ? link : 0
        }
        return Covering(links: links)
    }

    /// Whether a way's network has an address in it.
    @inline(__always)
    func covers(_ way: Int, _ key: TableKey) -> Bool {
        let link = unsafe link(way).pointee.load(ordering: .relaxed)
        return key.isIPv6 ? covers(way, link, key.bits) : covers(way, link, Self.ipv4(key))
    }

    @inline(__always)
    private func covers<Bits: FixedWidthInteger & UnsignedInteger>(
        _ way: Int, _ link: UInt32, _ address: Bits
    ) -> Bool {
        let network = unsafe networks(of: Bits.self)[way]
        // The bits that are any address's, and the one that tells where they begin.
        let free = link & Link.isAddress == 0 ? network ^ (network &- 1) : 0
        return (network ^ address) & ~free == 0
    }
}

/// What only a writer does.
extension TrieLeaf {
    /// Writes a new leaf.
    func initialize(_ members: LeafMembers) {
        let isIPv6 = members[0].key.isIPv6
        for way in 0..<Self.ways(isIPv6: isIPv6) {
            guard way < members.count else {
                unsafe link(way).initialize(to: Atomic(0))
                continue
            }
            let member = members[way]
            let key = member.key
            let flags = (member.stays ? Link.stays : 0) | (key.isSingleAddress ? Link.isAddress : 0)
            unsafe link(way).initialize(to: Atomic(UInt32(member.entry.place) | flags))
            let network = key.isSingleAddress ? key.bits : key.bits | 1 << UInt128(127 - key.length)
            if isIPv6 {
                unsafe networks(of: UInt128.self)[way] = network
            } else {
                unsafe networks(of: UInt32.self)[way] = UInt32(network >> 96)
            }
        }
    }

    /// What is in a way; nil where it is not in use.
    func member(_ way: Int, isIPv6: Bool) -> LeafMember? {
        let link = unsafe link(way).pointee.load(ordering: .relaxed)
        guard link & Link.place != 0 else { return nil }
        var key = TableKey(high: 0, low: 0, isIPv6: isIPv6)
        key.bits = unsafe isIPv6 ? networks(of: UInt128.self)[way] : UInt128(networks(of: UInt32.self)[way]) << 96
        if link & Link.isAddress == 0 {
            key.length = UInt8(127 - key.bits.trailingZeroBitCount)
            key.bits &= key.bits - 1
        }
        return LeafMember(key: key, entry: Reference(entry: link & Link.place), stays: link & Link.stays != 0)
    }

    /// The way of just a network; nil if it is not in the leaf.
    func way(of key: TableKey) -> Int? {
        (0..<Self.ways(isIPv6: key.isIPv6)).first { member($0, isIPv6: key.isIPv6)?.key == key }
    }

    /// Drops the entry of a way.
    func drop(_ way: Int) {
        unsafe link(way).pointee.store(0, ordering: .releasing)
    }
}

/// An entry as a leaf has it.
struct LeafMember: BitwiseCopyable {
    let key: TableKey
    let entry: Reference
    let stays: Bool
}

/// The entries of a leaf, the longest network first, and perhaps one too many.
struct LeafMembers {
    private var members = InlineArray<8, LeafMember>(
        repeating: LeafMember(key: TableKey(high: 0, low: 0, isIPv6: false), entry: .none, stays: false))
    private(set) var count = 0

    subscript(index: Int) -> LeafMember { members[index] }

    /// Puts an entry behind those whose networks are as long.
    mutating func add(_ member: LeafMember) {
        var index = count
        while index > 0, members[index - 1].key.length < member.key.length {
            members[index] = members[index - 1]
            index -= 1
        }
        members[index] = member
        count += 1
    }
}
