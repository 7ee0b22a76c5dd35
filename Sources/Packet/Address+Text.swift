// Scripts read and print addresses while they decide packets, so nothing here allocates but what makes a String.
extension Address {
    /// Bytes of the longest text that `append` writes, and of the longest that it reads.
    public static let longestText = 45

    /// Reads an address: four decimal numbers without leading zeros for IPv4, the text of RFC 4291 section 2.2 for IPv6.
    ///
    /// Nil for anything else: short forms of IPv4 (`10.1`), octal or hexadecimal octets, zones (`fe80::1%eth0`), blanks.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(text: bytes.span)
    }

    /// Reads an address from its text's bytes, as above.
    public init?(text: borrowing Span<UInt8>) {
        for index in text.indices where text[index] == UInt8(ascii: ":") {
            self.init(ipv6Text: text)
            return
        }
        guard let address = Self.ipv4Integer(text, from: 0) else { return nil }
        self.init(ipv4: address)
    }

    /// The IPv4 address that the text is from a place on.
    private static func ipv4Integer(_ text: borrowing Span<UInt8>, from start: Int) -> UInt32? {
        var address: UInt32 = 0
        var octet: UInt32 = 0
        var digits = 0
        var octets = 1
        for index in start..<text.count {
            switch text[index] {
            case UInt8(ascii: ".") where digits > 0 && octets < 4:
                address = address << 8 | octet
                (octet, digits, octets) = (0, 0, octets + 1)
            case let character where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character):
                // No more than three digits, and no digit behind a leading zero.
                guard digits < 3, digits == 0 || octet != 0 else { return nil }
                octet = octet * 10 + UInt32(character - UInt8(ascii: "0"))
                guard octet <= 255 else { return nil }
                digits += 1
            default: return nil
            }
        }
        guard octets == 4, digits > 0 else { return nil }
        return address << 8 | octet
    }

    private init?(ipv6Text text: borrowing Span<UInt8>) {
        let colon = UInt8(ascii: ":")
        var groups = InlineArray<8, UInt16>(repeating: 0)
        var count = 0
        var gap: Int?
        var place = 0
        if text.count >= 2, text[0] == colon, text[1] == colon { (gap, place) = (0, 2) }
        while place < text.count {
            guard count < 8 else { return nil }
            let start = place
            var group: UInt16 = 0
            while place < text.count, let digit = Self.hexadecimalDigit(text[place]) {
                guard place - start < 4 else { return nil }
                group = group << 4 | digit
                place += 1
            }
            if place < text.count, text[place] == UInt8(ascii: ".") {
                guard count <= 6, let address = Self.ipv4Integer(text, from: start) else { return nil }
                groups[count] = UInt16(address >> 16)
                groups[count + 1] = UInt16(truncatingIfNeeded: address)
                count += 2
                break
            }
            guard place > start else { return nil }
            groups[count] = group
            count += 1
            guard place < text.count else { break }
            // A colon, and behind it a group, or the one gap.
            guard text[place] == colon, place + 1 < text.count else { return nil }
            place += 1
            if text[place] == colon {
                guard gap == nil else { return nil }
                gap = count
                place += 1
            }
        }
        guard gap == nil ? count == 8 : count < 8 else { return nil }
        self.init(groups: groups, count: count, gap: gap ?? count)
    }

    private static func hexadecimalDigit(_ character: UInt8) -> UInt16? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(character - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(character - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(character - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    /// The address of the first `count` groups, with zeros at the gap for those that are missing.
    private init(groups: InlineArray<8, UInt16>, count: Int, gap: Int) {
        self.init(high: 0, low: 0)
        for index in 0..<8 {
            let place = index < gap ? index : index - (8 - count)
            low = low << 16 | UInt64(place < gap && index >= gap ? 0 : groups[place])
            if index == 3 { (high, low) = (low, 0) }
        }
    }
}

extension Address: CustomStringConvertible {
    /// The address in the one text RFC 5952 recommends: `192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1`.
    public var description: String {
        unsafe String(unsafeUninitializedCapacity: Self.longestText) { buffer in
            var text = unsafe OutputSpan(buffer: buffer, initializedCount: 0)
            append(to: &text)
            return unsafe text.finalize(for: buffer)
        }
    }

    /// Appends `description`, at most `longestText` bytes, for which there must be room.
    public func append(to text: inout OutputSpan<UInt8>) {
        switch family {
        case .ipv4: Self.appendDottedQuad(low, to: &text)
        case .ipv6 where high == 0 && low >> 32 == 0xffff:
            for character in "::ffff:".utf8 { text.append(character) }
            Self.appendDottedQuad(low, to: &text)
        case .ipv6: appendGroups(to: &text)
        }
    }

    private static func appendDottedQuad(_ bits: UInt64, to text: inout OutputSpan<UInt8>) {
        for shift in stride(from: 24 as UInt64, through: 0, by: -8) {
            let octet = UInt8(truncatingIfNeeded: bits >> shift)
            if octet >= 100 { text.append(UInt8(ascii: "0") + octet / 100) }
            if octet >= 10 { text.append(UInt8(ascii: "0") + octet / 10 % 10) }
            text.append(UInt8(ascii: "0") + octet % 10)
            if shift > 0 { text.append(UInt8(ascii: ".")) }
        }
    }

    private func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index & 3)))
    }

    private func appendGroups(to text: inout OutputSpan<UInt8>) {
        // A single zero group is written out (RFC 5952 section 4.2.2).
        let zeros = longestZeroRun
        var index = 0
        while index < 8 {
            if index == zeros.lowerBound && zeros.count > 1 {
                text.append(UInt8(ascii: ":"))
                text.append(UInt8(ascii: ":"))
                index = zeros.upperBound
                continue
            }
            if index > 0 && !(zeros.count > 1 && index == zeros.upperBound) { text.append(UInt8(ascii: ":")) }
            let group = group(index)
            for shift in stride(from: 12 as UInt16, through: 0, by: -4) where shift == 0 || group >> shift > 0 {
                let digit = UInt8(truncatingIfNeeded: group >> shift & 0xf)
                text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
            index += 1
        }
    }

    /// The first of the longest runs of zero groups (RFC 5952 section 4.2.3), empty if there is none.
    private var longestZeroRun: Range<Int> {
        var longest = 0..<0
        var start = 0
        for index in 0..<8 {
            if group(index) != 0 {
                start = index + 1
            } else if index + 1 - start > longest.count {
                longest = start..<(index + 1)
            }
        }
        return longest
    }
}
