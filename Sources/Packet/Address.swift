/// The version of the Internet Protocol, as the first four bits of a packet state it.
public enum AddressFamily: UInt8, Sendable, BitwiseCopyable {
    /// Internet Protocol version 4 (RFC 791).
    case ipv4 = 4
    /// Internet Protocol version 6 (RFC 8200).
    case ipv6 = 6
}

/// An IPv4 or IPv6 address, held as an integer.
///
/// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is an IPv6 address and differs from the IPv4 address it maps.
public struct Address: Hashable, Sendable, BitwiseCopyable {
    /// The upper 64 bits of an IPv6 address, 0 for IPv4.
    public var high: UInt64
    /// The lower 64 bits of an IPv6 address; an IPv4 address is in the lower 32 of them.
    public var low: UInt64
    /// Which of the two kinds of address this is.
    public var family: AddressFamily

    /// An IPv4 address from its integer: 192.0.2.1 is 0xc0000201.
    @inlinable
    public init(ipv4: UInt32) {
        high = 0
        low = UInt64(ipv4)
        family = .ipv4
    }

    /// An IPv6 address from the two halves of its integer.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
        family = .ipv6
    }
}

extension Address: Comparable {
    /// IPv4 addresses come before IPv6 ones, those of a family in numeric order.
    @inlinable
    public static func < (lhs: Address, rhs: Address) -> Bool {
        if lhs.family != rhs.family { return lhs.family == .ipv4 }
        return lhs.high == rhs.high ? lhs.low < rhs.low : lhs.high < rhs.high
    }
}
