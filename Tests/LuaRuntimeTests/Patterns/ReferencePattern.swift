/// Lua's pattern matching as the manual and its error messages describe it, written for no speed at all: it tries each
/// way by calling itself, on arrays, and keeps the captures of each way apart.
struct ReferencePattern {
    enum Capture: Equatable {
        case open(Int)
        case text(Range<Int>)
        case position(Int)
    }

    struct Failure: Error {
        var message: String
    }

    /// More ways than are worth trying.
    struct TooLong: Error {}

    private static let mostSteps = 20_000
    private let pattern: [UInt8]
    private let subject: [UInt8]
    private var steps = 0

    init(_ pattern: [UInt8], _ subject: [UInt8]) {
        self.pattern = pattern
        self.subject = subject
    }

    /// The first match, trying one start after the other.
    mutating func search() throws -> (match: Range<Int>, captures: [Capture])? {
        let isAnchored = pattern.first == UInt8(ascii: "^")
        for start in 0...(isAnchored ? 0 : subject.count) {
            if let (end, captures) = try match(start, isAnchored ? 1 : 0, []) { return (start..<end, captures) }
        }
        return nil
    }

    private mutating func match(_ s: Int, _ p: Int, _ captures: [Capture]) throws -> (Int, [Capture])? {
        steps += 1
        guard steps < Self.mostSteps else { throw TooLong() }
        guard p < pattern.count else { return (s, captures) }
        switch (pattern[p], at(p + 1)) {
        case (UInt8(ascii: "("), let next):
            guard captures.count < 32 else { throw Failure(message: "too many captures") }
            return next == UInt8(ascii: ")")
                ? try match(s, p + 2, captures + [.position(s)]) : try match(s, p + 1, captures + [.open(s)])
        case (UInt8(ascii: ")"), _):
            for index in captures.indices.reversed() {
                guard case .open(let start) = captures[index] else { continue }
                var closed = captures
                closed[index] = .text(start..<s)
                return try match(s, p + 1, closed)
            }
            throw Failure(message: "invalid pattern capture")
        case (UInt8(ascii: "$"), _) where p + 1 == pattern.count:
            return s == subject.count ? (s, captures) : nil
        case (UInt8(ascii: "%"), UInt8(ascii: "b")?):
            guard p + 3 < pattern.count else {
                throw Failure(message: "malformed pattern (missing arguments to '%b')")
            }
            guard let end = balanced(s, pattern[p + 2], pattern[p + 3]) else { return nil }
            return try match(end, p + 4, captures)
        case (UInt8(ascii: "%"), UInt8(ascii: "f")?):
            guard at(p + 2) == UInt8(ascii: "[") else {
                throw Failure(message: "missing '[' after '%f' in pattern")
            }
            let end = try itemEnd(p + 2)
            let (before, here) = (s == 0 ? 0 : subject[s - 1], s < subject.count ? subject[s] : 0)
            guard !item(p + 2, end, holds: before), item(p + 2, end, holds: here) else { return nil }
            return try match(s, end, captures)
        case (UInt8(ascii: "%"), let digit?) where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit):
            let index = Int(digit) - Int(UInt8(ascii: "1"))
            guard captures.indices.contains(index) else {
                throw Failure(message: "invalid capture index %\(index + 1)")
            }
            switch captures[index] {
            case .open: throw Failure(message: "invalid capture index %\(index + 1)")
            case .position: return nil
            case .text(let range):
                guard subject[s...].starts(with: subject[range]) else { return nil }
                return try match(s + range.count, p + 2, captures)
            }
        default:
            return try repeated(s, p, captures)
        }
    }

    /// An item for one character, with what may stand behind it.
    private mutating func repeated(_ s: Int, _ p: Int, _ captures: [Capture]) throws -> (Int, [Capture])? {
        let end = try itemEnd(p)
        func holds(_ place: Int) -> Bool { place < subject.count && item(p, end, holds: subject[place]) }
        var most = 0
        switch at(end) {
        case UInt8(ascii: "?"): most = holds(s) ? 1 : 0
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"):
            while holds(s + most) { most += 1 }
        default: return holds(s) ? try match(s + 1, end, captures) : nil
        }
        let least = at(end) == UInt8(ascii: "+") ? 1 : 0
        guard most >= least else { return nil }
        let counts = Array(least...most)
        for count in at(end) == UInt8(ascii: "-") ? counts : counts.reversed() {
            if let found = try match(s + count, end + 1, captures) { return found }
        }
        return nil
    }

    private func at(_ p: Int) -> UInt8? { p < pattern.count ? pattern[p] : nil }

    private func itemEnd(_ p: Int) throws -> Int {
        switch pattern[p] {
        case UInt8(ascii: "%"):
            guard p + 1 < pattern.count else { throw Failure(message: "malformed pattern (ends with '%')") }
            return p + 2
        case UInt8(ascii: "["):
            var end = at(p + 1) == UInt8(ascii: "^") ? p + 2 : p + 1
            repeat {
                guard let byte = at(end) else { throw Failure(message: "malformed pattern (missing ']')") }
                end += byte == UInt8(ascii: "%") && end + 1 < pattern.count ? 2 : 1
            } while at(end) != UInt8(ascii: "]")
            return end + 1
        default: return p + 1
        }
    }

    private func item(_ p: Int, _ end: Int, holds byte: UInt8) -> Bool {
        switch pattern[p] {
        case UInt8(ascii: "."): return true
        case UInt8(ascii: "%"): return Self.isOfClass(byte, pattern[p + 1])
        case UInt8(ascii: "["):
            let isNegated = pattern[p + 1] == UInt8(ascii: "^")
            var members = pattern[(isNegated ? p + 2 : p + 1)..<(end - 1)]
            while let first = members.popFirst() {
                if first == UInt8(ascii: "%") {
                    // A `%` before the set's end stands for that end.
                    if Self.isOfClass(byte, members.popFirst() ?? UInt8(ascii: "]")) { return !isNegated }
                } else if members.first == UInt8(ascii: "-"), members.count >= 2 {
                    members.removeFirst()
                    if let last = members.popFirst(), first <= last, (first...last).contains(byte) { return !isNegated }
                } else if first == byte {
                    return !isNegated
                }
            }
            return isNegated
        default: return pattern[p] == byte
        }
    }

    private func balanced(_ s: Int, _ open: UInt8, _ close: UInt8) -> Int? {
        guard s < subject.count, subject[s] == open else { return nil }
        var depth = 1
        for place in (s + 1)..<max(subject.count, s + 1) {
            if subject[place] == close {
                depth -= 1
                if depth == 0 { return place + 1 }
            } else if subject[place] == open {
                depth += 1
            }
        }
        return nil
    }

    private static func isOfClass(_ byte: UInt8, _ name: UInt8) -> Bool {
        let character = Character(UnicodeScalar(byte))
        let isASCII = byte < 128
        let isGraphic = (33...126).contains(byte)
        let isAlphanumeric = isASCII && (character.isLetter || character.isNumber)
        let holds: Bool
        switch Character(UnicodeScalar(name | 0x20)) {
        case "a": holds = isASCII && character.isLetter
        case "c": holds = byte < 32 || byte == 127
        case "d": holds = isASCII && character.isNumber
        case "g": holds = isGraphic
        case "l": holds = isASCII && character.isLowercase
        case "p": holds = isGraphic && !isAlphanumeric
        case "s": holds = byte == 32 || (9...13).contains(byte)
        case "u": holds = isASCII && character.isUppercase
        case "w": holds = isAlphanumeric
        case "x": holds = isASCII && character.isHexDigit
        case "z": holds = byte == 0
        default: return name == byte
        }
        guard Character(UnicodeScalar(name)).isLetter else { return name == byte }
        return Character(UnicodeScalar(name)).isUppercase ? !holds : holds
    }
}
