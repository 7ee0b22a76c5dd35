package import Packet

/// SipHash-1-3: a keyed hash for tables whose keys an adversary chooses.
///
/// Aumasson, Bernstein: "SipHash: a fast short-input PRF", INDOCRYPT 2012; one round for a word and three at the end
/// are what hash tables use. An IPv4 address is hashed as a message of 4 bytes and an IPv6 address as one of 16.
package struct SipHash: BitwiseCopyable {
    private let key: (UInt64, UInt64)

    package init(key: (UInt64, UInt64)) {
        self.key = key
    }

    package func callAsFunction(_ address: Address) -> UInt64 { self(TableKey(address)) }

    @inline(__always)
    func callAsFunction(_ key: TableKey) -> UInt64 {
        var state = State(key: self.key)
        let high = UInt64(truncatingIfNeeded: key.bits &>> 64)
        if key.isIPv6 {
            state.absorb(high)
            state.absorb(UInt64(truncatingIfNeeded: key.bits))
            state.absorb(16 &<< 56)
        } else {
            state.absorb(4 &<< 56 | high &>> 32)
        }
        return state.finish()
    }

    private struct State: BitwiseCopyable {
        private var v0: UInt64
        private var v1: UInt64
        private var v2: UInt64
        private var v3: UInt64

        @inline(__always)
        init(key: (UInt64, UInt64)) {
            v0 = key.0 ^ 0x736f_6d65_7073_6575
            v1 = key.1 ^ 0x646f_7261_6e64_6f6d
            v2 = key.0 ^ 0x6c79_6765_6e65_7261
            v3 = key.1 ^ 0x7465_6462_7974_6573
        }

        @inline(__always)
        mutating func absorb(_ word: UInt64) {
            v3 ^= word
            round()
            v0 ^= word
        }

        @inline(__always)
        mutating func finish() -> UInt64 {
            v2 ^= 0xff
            round()
            round()
            round()
            return v0 ^ v1 ^ v2 ^ v3
        }

        @inline(__always)
        private mutating func round() {
            v0 = v0 &+ v1
            v2 = v2 &+ v3
            v1 = rotated(v1, 13) ^ v0
            v3 = rotated(v3, 16) ^ v2
            v0 = rotated(v0, 32) &+ v3
            v2 = v2 &+ v1
            v3 = rotated(v3, 21) ^ v0
            v1 = rotated(v1, 17) ^ v2
            v2 = rotated(v2, 32)
        }

        @inline(__always)
        private func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 {
            word &<< count | word &>> (64 &- count)
        }
    }
}
