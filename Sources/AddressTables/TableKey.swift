import Packet

/// An address or a network as the indexes compare it.
///
/// The first bit of an address is the highest of `bits` in both families, so bit numbers count as prefix lengths do.
struct TableKey: BitwiseCopyable, Equatable {
    var bits: UInt128
    var length: UInt8
    var isIPv6: Bool

    @inline(__always)
    init(_ address: Address) {
        self.init(high: address.high, low: address.low, isIPv6: address.family == .ipv6)
    }

    /// An address from its halves, IPv4 in the lower 32 bits of `low`.
    @inline(__always)
    init(high: UInt64, low: UInt64, isIPv6: Bool) {
        bits = isIPv6 ? UInt128(high) &<< 64 | UInt128(low) : UInt128(low) &<< 96
        length = isIPv6 ? 128 : 32
        self.isIPv6 = isIPv6
    }

    init(_ prefix: Prefix) {
        self.init(prefix.address)
        length = UInt8(prefix.length)
    }

    init(_ entry: borrowing Entry) {
        bits = entry.bits
        length = entry.length
        isIPv6 = entry.isIPv6
    }

    var isSingleAddress: Bool { length == (isIPv6 ? 128 : 32) }
}

extension Prefix {
    /// The network that `bits` and `length` of a key say.
    init(bits: UInt128, length: UInt8, isIPv6: Bool) {
        let address =
            isIPv6
            ? Address(high: UInt64(bits >> 64), low: UInt64(truncatingIfNeeded: bits))
            : Address(ipv4: UInt32(bits >> 96))
        self = Prefix(address, length: Int(length))!
    }
}
