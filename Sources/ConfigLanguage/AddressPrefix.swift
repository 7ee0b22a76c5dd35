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

/// The address that `text` writes in ASCII, with its family, as a number in host order; nil where it writes none.
///
/// IPv4 has four decimal parts without leading zeros, IPv6 the forms of RFC 4291, section 2.2.
func parseAddress(_ text: some BidirectionalCollection<UInt8>) -> (family: Configuration.Family, value: UInt128)? {
    if text.contains(UInt8(ascii: ":")) { return parseIPv6Address(text).map { (.inet6, $0) } }
    return parseIPv4Address(text).map { (.inet4, UInt128($0)) }
}

private func parseIPv4Address(_ text: some Collection<UInt8>) -> UInt32? {
    var value: UInt32 = 0
    var part: UInt32 = 0
    var (parts, digits) = (1, 0)
    for byte in text {
        if byte == UInt8(ascii: ".") {
            guard digits > 0, parts < 4 else { return nil }
            value = value << 8 | part
            (part, digits) = (0, 0)
            parts += 1
            continue
        }
        let digit = byte &- UInt8(ascii: "0")
        guard digit < 10, digits == 0 || part > 0 else { return nil }
        part = part * 10 + UInt32(digit)
        guard part <= 255 else { return nil }
        digits += 1
    }
    return parts == 4 && digits > 0 ? value << 8 | part : nil
}

private func parseIPv6Address(_ text: some BidirectionalCollection<UInt8>) -> UInt128? {
    let colon = UInt8(ascii: ":")
    var value: UInt128 = 0
    var groups = 0
    /// The groups before `::`.
    var gap: Int?
    var rest = text[...]
    if rest.starts(with: [colon, colon]) {
        gap = 0
        rest = rest.dropFirst(2)
    }
    while !rest.isEmpty {
        let part = rest.prefix { $0 != colon }
        rest = rest[part.endIndex...]
        if part.contains(UInt8(ascii: ".")) {
            guard rest.isEmpty, let ipv4 = parseIPv4Address(part) else { return nil }
            value = value << 32 | UInt128(ipv4)
            groups += 2
        } else {
            guard let group = parseGroup(part) else { return nil }
            value = value << 16 | UInt128(group)
            groups += 1
        }
        guard groups <= 8 else { return nil }
        guard rest.popFirst() != nil else { break }
        if rest.first == colon {
            guard gap == nil else { return nil }
            gap = groups
            rest = rest.dropFirst()
        } else if rest.isEmpty {
            return nil
        }
    }
    guard let gap else { return groups == 8 ? value : nil }
    guard groups < 8 else { return nil }
    // What stands behind the gap stays at the end; what stands before it moves to the beginning.
    let behind = 16 * UInt128(groups - gap)
    let end = value & ((1 << behind) &- 1)
    return gap == 0 ? end : (value >> behind) << (128 - 16 * UInt128(gap)) | end
}

/// A group of up to four hexadecimal digits.
private func parseGroup(_ digits: some Collection<UInt8>) -> UInt16? {
    var group: UInt16 = 0
    var count = 0
    for byte in digits {
        let digit: UInt8
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
        default: return nil
        }
        count += 1
        guard count <= 4 else { return nil }
        group = group << 4 | UInt16(digit)
    }
    return count > 0 ? group : nil
}
