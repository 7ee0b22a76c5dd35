/// A network: the addresses of a family that begin with the same bits (RFC 4632 section 3.1, RFC 4291 section 2.3).
public struct Prefix: Hashable, Sendable, BitwiseCopyable {
    /// The first address of the network; its host bits are 0.
    public let address: Address
    /// How many leading bits the network's addresses share: 0...32 for IPv4, 0...128 for IPv6.
    public let length: Int

    /// The network of an address, whose host bits are cleared; nil if the family has no prefix of that length.
    public init?(_ address: Address, length: Int) {
        let width = address.family == .ipv4 ? 32 : 128
        guard (0...width).contains(length) else { return nil }
        let hostBits = width - length
        var network = address
        // A shift by the full width or more leaves 0.
        network.low &= ~UInt64(0) << UInt64(hostBits)
        network.high &= ~UInt64(0) << UInt64(max(hostBits - 64, 0))
        self.address = network
        self.length = length
    }

    /// Reads `10.0.0.0/8` or `2001:db8::/32`; an address alone is the network of that one host.
    ///
    /// Host bits are cleared. Nil for anything else, masks written as addresses (`/255.0.0.0`) among it.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(text: bytes.span)
    }

    /// Reads a network from its text's bytes, as above, and allocates nothing.
    public init?(text: borrowing Span<UInt8>) {
        var slash = 0
        while slash < text.count, text[slash] != UInt8(ascii: "/") { slash += 1 }
        guard let address = Address(text: text.extracting(first: slash)) else { return nil }
        guard slash < text.count else {
            self.init(address, length: address.family == .ipv4 ? 32 : 128)
            return
        }
        let digits = text.extracting(droppingFirst: slash + 1)
        guard (1...3).contains(digits.count), digits.count == 1 || digits[0] != UInt8(ascii: "0") else { return nil }
        var length = 0
        for index in digits.indices {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digits[index]) else { return nil }
            length = length * 10 + Int(digits[index] - UInt8(ascii: "0"))
        }
        self.init(address, length: length)
    }

    /// Whether the address lies in this network; never, for an address of the other family.
    @inlinable
    public func contains(_ other: Address) -> Bool {
        guard other.family == address.family else { return false }
        let differingLow = other.low ^ address.low
        switch address.family {
        case .ipv4: return differingLow &>> UInt64(32 &- length) == 0
        case .ipv6:
            let differingHigh = other.high ^ address.high
            if length <= 64 { return differingHigh >> UInt64(64 &- length) == 0 }
            return differingHigh == 0 && differingLow &>> UInt64(128 &- length) == 0
        }
    }
}

extension Prefix: CustomStringConvertible {
    /// The network as `10.0.0.0/8`, always with its length.
    public var description: String { "\(address)/\(length)" }
}
