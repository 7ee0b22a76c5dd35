/// A pattern and the subject it is held against, with what a single-character item takes of it: plain characters,
/// `.`, classes and sets.
///
/// Apart from the matcher, because a matcher is too large to hand around.
struct PatternText {
    let pattern: PatternBytes
    let subject: PatternBytes

    /// Where the item that begins at `item` ends, nil if it does not; sets are charged by their length.
    @inline(__always)
    func itemEnd(at item: Int, _ steps: inout Int) -> Int? {
        switch pattern[item] {
        case UInt8(ascii: "%"): item &+ 1 < pattern.count ? item &+ 2 : nil
        case UInt8(ascii: "["): setEnd(at: item, &steps)
        default: item &+ 1
        }
    }

    private func setEnd(at item: Int, _ steps: inout Int) -> Int? {
        var position = item &+ (pattern[item &+ 1] == UInt8(ascii: "^") ? 2 : 1)
        // The first character of a set is never its end: "[]]" is the set of one bracket.
        repeat {
            guard position < pattern.count else { return nil }
            position &+= pattern[position] == UInt8(ascii: "%") ? 2 : 1
        } while position >= pattern.count || pattern[position] != UInt8(ascii: "]")
        steps &-= position &- item
        return position &+ 1
    }

    /// Whether the subject's byte at `position` is one that the item from `item` to `end` takes.
    @inline(__always)
    func matchesItem(at position: Int, _ item: Int, _ end: Int, _ steps: inout Int) -> Bool {
        guard position < subject.count else { return false }
        let byte = subject[position]
        return switch pattern[item] {
        case UInt8(ascii: "."): true
        case UInt8(ascii: "%"): isInClass(byte, pattern[item &+ 1])
        case UInt8(ascii: "["): isInSet(byte, item, end, &steps)
        case let character: character == byte
        }
    }

    /// Whether `byte` is in the set whose `[` stands at `item` and whose `]` stands before `end`.
    func isInSet(_ byte: UInt8, _ item: Int, _ end: Int, _ steps: inout Int) -> Bool {
        let last = end &- 1
        let isComplement = pattern[item &+ 1] == UInt8(ascii: "^")
        let first = item &+ (isComplement ? 2 : 1)
        var position = first
        var isMember = false
        while position < last, !isMember {
            let character = pattern[position]
            if character == UInt8(ascii: "%") {
                isMember = isInClass(byte, pattern[position &+ 1])
                position &+= 2
            } else if pattern[position &+ 1] == UInt8(ascii: "-"), position &+ 2 < last {
                isMember = character <= byte && byte <= pattern[position &+ 2]
                position &+= 3
            } else {
                isMember = character == byte
                position &+= 1
            }
        }
        steps &-= (position &- first) / 2
        return isMember != isComplement
    }
}

extension PatternBytes {
    /// How many of the pattern's first bytes stand for themselves, once each.
    var literalPrefixEnd: Int {
        var end = 0
        while end < count {
            switch self[end] {
            case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "?"):
                // The repetition sign makes an item of the byte before; as first byte it is plain, and left alone.
                return Swift.max(0, end &- 1)
            case UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "."),
                UInt8(ascii: "["):
                return end
            default:
                end &+= 1
            }
        }
        return end
    }
}

/// Whether `byte` is in the class that `letter` names after a `%`; any other character stands for itself.
///
/// As in the "C" locale: bytes from 128 on are in no class but the complements.
@inline(__always)
private func isInClass(_ byte: UInt8, _ letter: UInt8) -> Bool {
    let isLower = byte >= 0x61 && byte <= 0x7A
    let isUpper = byte >= 0x41 && byte <= 0x5A
    let isDigit = byte >= 0x30 && byte <= 0x39
    let isGraphic = byte >= 0x21 && byte <= 0x7E
    let isMember: Bool
    switch letter | 0x20 {
    case UInt8(ascii: "a"): isMember = isLower || isUpper
    case UInt8(ascii: "c"): isMember = byte < 0x20 || byte == 0x7F
    case UInt8(ascii: "d"): isMember = isDigit
    case UInt8(ascii: "g"): isMember = isGraphic
    case UInt8(ascii: "l"): isMember = isLower
    case UInt8(ascii: "p"): isMember = isGraphic && !isLower && !isUpper && !isDigit
    case UInt8(ascii: "s"): isMember = byte == 0x20 || (byte >= 0x09 && byte <= 0x0D)
    case UInt8(ascii: "u"): isMember = isUpper
    case UInt8(ascii: "w"): isMember = isLower || isUpper || isDigit
    case UInt8(ascii: "x"): isMember = isDigit || (byte >= 0x61 && byte <= 0x66) || (byte >= 0x41 && byte <= 0x46)
    // Deprecated, but Lua 5.4 still knows it.
    case UInt8(ascii: "z"): isMember = byte == 0
    default: return letter == byte
    }
    return isMember != (letter & 0x20 == 0)
}
