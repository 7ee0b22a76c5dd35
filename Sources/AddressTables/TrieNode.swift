import Synchronization

/// A node of the trie, in a block: which of its places are taken, and a reference for each that is.
///
/// A node at depth d is where the networks differ, or end, behind their first d bits; what these bits are its entries
/// say. Places 0...63 are for what goes on with each value of
/// the next six bits. Places 65...127 are for networks that end within them, numbered like a heap from 1: the network
/// of d bits, the two of d + 1 bits, and so on to the 32 of d + 5.
///
/// Nothing but the references changes once a node is linked.
@safe
struct TrieNode: BitwiseCopyable {
    /// The bits of an address that a node decides by.
    static let stride = 6

    struct Header: BitwiseCopyable {
        /// The places that are taken, a bit each.
        var taken: UInt128
        /// What was retired before this node, once it is.
        var retiredBefore = Reference.none
        /// How many bits the network has, a multiple of the stride.
        var depth: UInt8
    }

    /// The references begin right behind the header's fields, in the order of their places.
    private static let referencesOffset = 24

    let header: UnsafeMutablePointer<Header>

    @inline(__always)
    init(_ reference: Reference, in blocks: UnsafeMutableRawPointer) {
        unsafe header = (blocks + reference.place &* BlockArena.unit).assumingMemoryBound(to: Header.self)
    }

    /// The units of memory that a node of so many references takes.
    static func units(references: Int) -> Int {
        (referencesOffset + 4 * references + BlockArena.unit - 1) / BlockArena.unit
    }

    @inline(__always)
    func slot(_ index: Int) -> Slot {
        unsafe (UnsafeMutableRawPointer(header) + (Self.referencesOffset &+ 4 &* index))
            .assumingMemoryBound(to: Atomic<Reference>.self)
    }

    /// The networks that end in the node and that an address of a chunk is in, if the way here is right: a bit each,
    /// numbered as the places behind 64 are.
    @inline(__always)
    func networks(around chunk: Int) -> UInt64 {
        let networks = unsafe UInt64(truncatingIfNeeded: header.pointee.taken &>> 64)
        if networks == 0 { return 0 }
        let number = UInt64(truncatingIfNeeded: 64 | chunk)
        var around: UInt64 = 0
        for shift in 1...UInt64(Self.stride) { around |= 1 &<< (number &>> shift) }
        return networks & around
    }

    /// Where the reference of a taken place below 64 is; nil if it is free.
    @inline(__always)
    func childSlot(_ place: Int) -> Slot? {
        let children = unsafe UInt64(truncatingIfNeeded: header.pointee.taken)
        // The upper nodes of a large table have all places taken: no need to count.
        if children == .max { return unsafe slot(place) }
        let bit = 1 as UInt64 &<< UInt64(truncatingIfNeeded: place)
        return unsafe children & bit == 0 ? nil : slot((children & (bit &- 1)).nonzeroBitCount)
    }

    /// Where the reference of a taken place is.
    @inline(__always)
    func slot(at place: Int) -> Slot {
        unsafe slot((header.pointee.taken & (1 &<< UInt128(truncatingIfNeeded: place) &- 1)).nonzeroBitCount)
    }

    /// The six bits of an address at a depth, filled up with zeros behind its last.
    @inline(__always)
    static func chunk(of bits: UInt128, at depth: UInt8) -> Int {
        Int(truncatingIfNeeded: (bits &<< UInt128(depth)) &>> 122)
    }

    /// The place of a network in a node at `depth` above it.
    static func place(of bits: UInt128, length: UInt8, at depth: UInt8) -> Int {
        let chunk = chunk(of: bits, at: depth)
        let rest = Int(length - depth)
        return rest < stride ? 64 + (64 | chunk) >> (stride - rest) : chunk
    }

    /// Writes a new node.
    func initialize(depth: UInt8, taken: UInt128, reference: (_ place: Int) -> Reference) {
        unsafe header.initialize(to: Header(taken: taken, depth: depth))
        var rest = taken
        var index = 0
        while rest != 0 {
            unsafe slot(index).initialize(to: Atomic(reference(rest.trailingZeroBitCount)))
            rest &= rest - 1
            index += 1
        }
    }
}
