extension Address {
    /// Reads an address: four decimal numbers without leading zeros for IPv4, the text of RFC 4291 section 2.2 for IPv6.
    ///
    /// Nil for anything else: short forms of IPv4 (`10.1`), octal or hexadecimal octets, zones (`fe80::1%eth0`), blanks.
    public init?(_ text: some StringProtocol) {
        let characters = Array(text.utf8)
        if characters.contains(UInt8(ascii: ":")) {
            self.init(ipv6Text: characters[...])
        } else {
            guard let address = Self.ipv4Integer(characters[...]) else { return nil }
            self.init(ipv4: address)
        }
    }

    private static func ipv4Integer(_ text: ArraySlice<UInt8>) -> UInt32? {
        let octets = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard octets.count == 4 else { return nil }
        var address: UInt32 = 0
        for octet in octets {
            guard (1...3).contains(octet.count), octet.count == 1 || octet.first != UInt8(ascii: "0") else {
                return nil
            }
            var value: UInt32 = 0
            for character in octet {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character) else { return nil }
                value = value * 10 + UInt32(character - UInt8(ascii: "0"))
            }
            guard value <= 255 else { return nil }
            address = address << 8 | value
        }
        return address
    }

    private init?(ipv6Text text: ArraySlice<UInt8>) {
        guard let gap = Self.firstDoubleColon(in: text) else {
            guard let groups = Self.groups(text, mayEndInIPv4: true), groups.count == 8 else { return nil }
            self.init(groups: groups)
            return
        }
        guard let front = Self.groups(text[..<gap], mayEndInIPv4: false),
            let back = Self.groups(text[(gap + 2)...], mayEndInIPv4: true),
            front.count + back.count < 8
        else { return nil }
        self.init(groups: front + Array(repeating: 0, count: 8 - front.count - back.count) + back)
    }

    private static func firstDoubleColon(in text: ArraySlice<UInt8>) -> Int? {
        text.indices.dropLast().first { text[$0] == UInt8(ascii: ":") && text[$0 + 1] == UInt8(ascii: ":") }
    }

    /// The 16-bit groups of text without `::`; an IPv4 address at its end counts as two.
    private static func groups(_ text: ArraySlice<UInt8>, mayEndInIPv4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if mayEndInIPv4, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard let address = ipv4Integer(part) else { return nil }
                groups += [UInt16(address >> 16), UInt16(truncatingIfNeeded: address)]
            } else {
                // Only the digits: the integer's own parser would let a sign through.
                guard (1...4).contains(part.count), part.first != UInt8(ascii: "+"), part.first != UInt8(ascii: "-"),
                    let group = UInt16(String(decoding: part, as: UTF8.self), radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups
    }

    private init(groups: [UInt16]) {
        func half(_ groups: ArraySlice<UInt16>) -> UInt64 { groups.reduce(0) { $0 << 16 | UInt64($1) } }
        self.init(high: half(groups[..<4]), low: half(groups[4...]))
    }
}

extension Address: CustomStringConvertible {
    /// The address in the one text RFC 5952 recommends: `192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1`.
    public var description: String {
        switch family {
        case .ipv4: Self.dottedQuad(low)
        case .ipv6 where high == 0 && low >> 32 == 0xffff: "::ffff:" + Self.dottedQuad(low)
        case .ipv6: ipv6Text
        }
    }

    private static func dottedQuad(_ bits: UInt64) -> String {
        [24, 16, 8, 0].map { String(bits >> UInt64($0) & 0xff) }.joined(separator: ".")
    }

    private var ipv6Text: String {
        let groups = [high, low].flatMap { half in [48, 32, 16, 0].map { UInt16(truncatingIfNeeded: half >> $0) } }
        let zeros = Self.longestZeroRun(in: groups)
        func text(_ groups: ArraySlice<UInt16>) -> String {
            groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        // A single zero group is written out (RFC 5952 section 4.2.2).
        guard zeros.count > 1 else { return text(groups[...]) }
        return text(groups[..<zeros.lowerBound]) + "::" + text(groups[zeros.upperBound...])
    }

    /// The first of the longest runs of zero groups (RFC 5952 section 4.2.3), empty if there is none.
    private static func longestZeroRun(in groups: [UInt16]) -> Range<Int> {
        var longest = 0..<0
        var start = 0
        for (index, group) in groups.enumerated() {
            if group != 0 {
                start = index + 1
            } else if index + 1 - start > longest.count {
                longest = start..<(index + 1)
            }
        }
        return longest
    }
}
