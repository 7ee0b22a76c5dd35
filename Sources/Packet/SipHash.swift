/// SipHash-1-3 over whole words: a keyed hash for tables whose keys an adversary chooses.
///
/// Aumasson, Bernstein: "SipHash: a fast short-input PRF", INDOCRYPT 2012; one round for a word and three at the end
/// are what hash tables use. It is a part of the packet path: a copy with the key is taken for each hash.
package struct SipHash: BitwiseCopyable, Sendable {
    @usableFromInline var v0: UInt64
    @usableFromInline var v1: UInt64
    @usableFromInline var v2: UInt64
    @usableFromInline var v3: UInt64

    /// A hash of nothing yet.
    @inlinable @inline(__always)
    package init(key: (UInt64, UInt64)) {
        v0 = key.0 ^ 0x736f_6d65_7073_6575
        v1 = key.1 ^ 0x646f_7261_6e64_6f6d
        v2 = key.0 ^ 0x6c79_6765_6e65_7261
        v3 = key.1 ^ 0x7465_6462_7974_6573
    }

    /// Takes in the next word of the message; the last one has the message's length in its highest byte, where lengths
    /// differ.
    @inlinable @inline(__always)
    package mutating func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        v0 ^= word
    }

    /// The hash of what was taken in.
    @inlinable @inline(__always)
    package mutating func finish() -> UInt64 {
        v2 ^= 0xff
        round()
        round()
        round()
        return v0 ^ v1 ^ v2 ^ v3
    }

    @inlinable @inline(__always)
    mutating func round() {
        v0 = v0 &+ v1
        v2 = v2 &+ v3
        v1 = Self.rotated(v1, 13) ^ v0
        v3 = Self.rotated(v3, 16) ^ v2
        v0 = Self.rotated(v0, 32) &+ v3
        v2 = v2 &+ v1
        v3 = Self.rotated(v3, 21) ^ v0
        v1 = Self.rotated(v1, 17) ^ v2
        v2 = Self.rotated(v2, 32)
    }

    @inlinable @inline(__always)
    static func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 { word &<< count | word &>> (64 &- count) }
}
