public import Packet

/// An address or network in a table, and how long it stays there.
public struct TableEntry: Hashable, Sendable {
    /// The network; one of full length is an address.
    public var prefix: Prefix
    /// When the entry ceases to match, in nanoseconds on the packets' monotonic clock; `never` for one that stays.
    public var expires: Int64

    /// The expiry of an entry that stays.
    public static var never: Int64 { .max }

    /// An entry that matches until the clock shows `expires`.
    public init(_ prefix: Prefix, expires: Int64 = TableEntry.never) {
        self.prefix = prefix
        self.expires = expires
    }

    /// The nanoseconds that are left of the entry's time, 0 once it is over; nil for an entry that stays.
    public func remaining(at now: Int64) -> Int64? {
        expires == Self.never ? nil : max(expires, now) - now
    }
}

extension TableEntry: CustomStringConvertible {
    /// `10.0.0.0/8`, or the address alone where the network is of a single one.
    public var description: String {
        prefix.length == prefix.address.family.width ? prefix.address.description : prefix.description
    }
}

extension AddressFamily {
    /// The bits of an address.
    var width: Int { self == .ipv4 ? 32 : 128 }
}
