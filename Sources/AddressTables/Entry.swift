import Packet
import Synchronization

/// What an index points to: nothing, an entry of the table, or a node or a leaf of its trie.
struct Reference: RawRepresentable, AtomicRepresentable, BitwiseCopyable, Equatable {
    let rawValue: UInt32

    private static var nodeBit: UInt32 { 1 << 31 }
    private static var leafBit: UInt32 { 1 << 30 }

    static var none: Reference { Reference(rawValue: 0) }

    @inline(__always)
    init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The entry in a place; place 0 stands for none.
    @inline(__always)
    init(entry place: UInt32) {
        rawValue = place
    }

    /// The node in a block; block 0 stands for none.
    @inline(__always)
    init(node block: UInt32) {
        rawValue = block | Self.nodeBit
    }

    /// The leaf in a block; block 0 stands for none.
    @inline(__always)
    init(leaf block: UInt32) {
        rawValue = block | Self.leafBit
    }

    var isNone: Bool { rawValue == 0 }
    var isNode: Bool { rawValue & Self.nodeBit != 0 }
    var isLeaf: Bool { rawValue & Self.leafBit != 0 }
    /// The place of the entry, or the block of the node or leaf.
    var place: Int { Int(rawValue & (Self.leafBit - 1)) }
}

/// Where a reference is kept that readers follow.
typealias Slot = UnsafeMutablePointer<Atomic<Reference>>

/// An address or network in a table, 32 bytes.
///
/// The key is written before the entry is linked and stays until no reader can know the entry; the rest may change.
struct Entry: ~Copyable {
    let bits: UInt128
    /// When the entry ceases to match.
    ///
    /// Negative in one that is in no table: then it matches at no time, and the number tells what was retired before.
    let expires: Atomic<Int64>
    /// The next in the list of free entries.
    var nextFree = Reference.none
    let length: UInt8
    let isIPv6: Bool

    init(_ key: TableKey, expires: Int64) {
        bits = key.bits
        length = key.length
        isIPv6 = key.isIPv6
        self.expires = Atomic(expires)
    }

    @inline(__always)
    func isLive(at now: Int64) -> Bool { expires.load(ordering: .relaxed) > now }

    /// Whether the entry never expires.
    var stays: Bool { expires.load(ordering: .relaxed) == TableEntry.never }

    /// Whether the entry is in a table, live or expired.
    var isLinked: Bool { expires.load(ordering: .relaxed) >= 0 }

    /// Whether this is the entry of just that key, given that the family is.
    @inline(__always)
    func equals(_ key: TableKey) -> Bool { bits == key.bits && length == key.length && isIPv6 == key.isIPv6 }

    /// Whether an address of this entry's family lies in it.
    @inline(__always)
    func covers(_ address: UInt128) -> Bool {
        // Without a branch, and without shifting by all 128 bits, which no processor does.
        let different = (address ^ bits) &>> (128 &- UInt128(length))
        return different == 0 || length == 0
    }

    var prefix: Prefix { Prefix(bits: bits, length: length, isIPv6: isIPv6) }
}
