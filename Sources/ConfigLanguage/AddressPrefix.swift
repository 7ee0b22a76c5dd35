/// An address or a network of one family.
public struct AddressPrefix: Sendable, Hashable {
    /// The family of the address.
    public let family: Configuration.Family
    /// The address as a number in host order, IPv4 in the low 32 bits; the bits behind the prefix are 0.
    public let address: UInt128
    /// The length of the network part in bits.
    public let length: UInt8

    /// The network of the first `length` bits of `address`.
    init(family: Configuration.Family, address: UInt128, length: Int) {
        self.family = family
        self.address = address & ~Self.hostMask(family: family, length: length)
        self.length = UInt8(length)
    }

    /// The last address of the network, as a number like `address`.
    public var lastAddress: UInt128 { address | Self.hostMask(family: family, length: Int(length)) }

    private static func hostMask(family: Configuration.Family, length: Int) -> UInt128 {
        (1 << UInt128(family.bitWidth - length)) &- 1
    }
}

extension AddressPrefix: CustomStringConvertible {
    /// The address in its canonical form (RFC 5952 for IPv6), with the length where that is not the whole address.
    public var description: String {
        let text = family == .inet4 ? ipv4Text(UInt32(truncatingIfNeeded: address)) : ipv6Text
        return Int(length) == family.bitWidth ? text : "\(text)/\(length)"
    }

    private func ipv4Text(_ value: UInt32) -> String {
        "\(value >> 24).\(value >> 16 & 0xff).\(value >> 8 & 0xff).\(value & 0xff)"
    }

    private var ipv6Text: String {
        if address >> 32 == 0xffff { return "::ffff:\(ipv4Text(UInt32(truncatingIfNeeded: address)))" }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: address >> UInt128(112 - 16 * $0)) }
        var zeros = 0..<0
        var start = 0
        for index in 0...8 where index == 8 || groups[index] != 0 {
            if index - start > max(zeros.count, 1) { zeros = start..<index }
            start = index + 1
        }
        func text(_ part: ArraySlice<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        return zeros.isEmpty
            ? text(groups[...]) : "\(text(groups[..<zeros.lowerBound]))::\(text(groups[zeros.upperBound...]))"
    }
}

/// The address that `text` writes, with its family, as a number in host order; nil where it writes none.
///
/// IPv4 has four decimal parts without leading zeros, IPv6 the forms of RFC 4291, section 2.2.
func parseAddress(_ text: some StringProtocol) -> (family: Configuration.Family, value: UInt128)? {
    if text.utf8.contains(UInt8(ascii: ":")) {
        return parseIPv6Address(text).map { (.inet6, $0) }
    }
    return parseIPv4Address(text).map { (.inet4, UInt128($0)) }
}

private func parseIPv4Address(_ text: some StringProtocol) -> UInt32? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
        guard let first = part.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "0") || part == "0",
            let byte = UInt8(part)
        else { return nil }
        value = value << 8 | UInt32(byte)
    }
    return value
}

private func parseIPv6Address(_ text: some StringProtocol) -> UInt128? {
    var groups: [UInt16] = []
    var gap: Int?
    var rest = Substring(text)
    if rest.hasPrefix("::") {
        gap = 0
        rest = rest.dropFirst(2)
    }
    while !rest.isEmpty {
        guard groups.count < 8 else { return nil }
        let part = rest.prefix { $0 != ":" }
        rest = rest.dropFirst(part.count)
        if part.utf8.contains(UInt8(ascii: ".")) {
            guard rest.isEmpty, groups.count <= 6, let ipv4 = parseIPv4Address(part) else { return nil }
            groups.append(UInt16(ipv4 >> 16))
            groups.append(UInt16(ipv4 & 0xffff))
        } else {
            guard 1...4 ~= part.utf8.count, let group = UInt16(part, radix: 16) else { return nil }
            groups.append(group)
        }
        if rest.hasPrefix("::") {
            guard gap == nil else { return nil }
            gap = groups.count
            rest = rest.dropFirst(2)
        } else if rest.hasPrefix(":") {
            rest = rest.dropFirst()
            guard !rest.isEmpty else { return nil }
        }
    }
    if let gap {
        guard groups.count < 8 else { return nil }
        groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
    }
    guard groups.count == 8 else { return nil }
    return groups.reduce(0) { $0 << 16 | UInt128($1) }
}
