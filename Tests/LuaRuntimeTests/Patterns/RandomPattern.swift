import TestSupport

/// A pattern made by Lua's grammar, and a subject in which some way through the pattern is followed, so that most match.
struct RandomPattern {
    private(set) var pattern: [UInt8] = []
    private(set) var subject: [UInt8] = []
    private var random: SplitMix64
    /// Where in the subject the captures so far begin and end; nil while they are open.
    private var captures: [(start: Int, end: Int?)] = []
    private var signs = 0

    private static let letters = Array("abcxy01 -.,=()%]\"".utf8) + [0, 0xE9, 0xFF]
    private static let classes = Array("acdglpsuwxzACDGLPSUWXZ".utf8)

    init(seed: UInt64) {
        random = SplitMix64(state: seed)
        junk(upTo: 6)
        if chance(6) {
            pattern.append(UInt8(ascii: "^"))
            if !chance(4) { subject.removeAll() }
        }
        for _ in 0..<below(7) { piece() }
        while let open = captures.lastIndex(where: { $0.end == nil }), !chance(20) { close(open) }
        if chance(6) { pattern.append(UInt8(ascii: "$")) } else { junk(upTo: 8) }
        if chance(12) { damagePattern() }
        if chance(5), !subject.isEmpty { subject[below(subject.count)] = letter() }
    }

    private mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    private mutating func chance(_ oneIn: Int) -> Bool { below(oneIn) == 0 }
    private mutating func letter() -> UInt8 { Self.letters[below(Self.letters.count)] }

    private mutating func junk(upTo most: Int) {
        for _ in 0..<below(most + 1) { subject.append(letter()) }
    }

    private mutating func piece() {
        switch below(30) {
        case 0...2:
            pattern.append(UInt8(ascii: "("))
            captures.append((subject.count, nil))
        case 3...5:
            if let open = captures.lastIndex(where: { $0.end == nil }) { close(open) } else { single() }
        case 6:
            pattern += Array("()".utf8)
            captures.append((-1, -1))
        case 7: backReference()
        case 8: balance()
        case 9:
            pattern += Array("%f".utf8)
            let (text, _) = set()
            pattern += text
        case 10 where chance(3): pattern.append(UInt8(ascii: "$"))
        default: single()
        }
    }

    private mutating func close(_ index: Int) {
        pattern.append(UInt8(ascii: ")"))
        captures[index].end = subject.count
    }

    private mutating func backReference() {
        guard let index = captures.lastIndex(where: { $0.end ?? -1 >= 0 }), !chance(8) else {
            if chance(3) { pattern += [UInt8(ascii: "%"), UInt8(ascii: "0") + UInt8(below(4))] }
            return
        }
        pattern += [UInt8(ascii: "%"), UInt8(ascii: "1") + UInt8(index)]
        subject += Array(subject[captures[index].start..<captures[index].end!])
    }

    private mutating func balance() {
        let pairs = ["()", "xy", "aa", "(%", "\0\u{1}"]
        let pair = Array(pairs[below(pairs.count)].utf8)
        pattern += Array("%b".utf8) + pair
        subject += [pair[0]] + (chance(2) ? [letter()] : []) + [pair[0], pair[1], pair[1]]
    }

    /// An item for one character, perhaps repeated, and what it takes.
    private mutating func single() {
        let (text, taken): ([UInt8], [UInt8])
        switch below(10) {
        case 0...3:
            let letter = letter()
            let isSpecial = "-.()%".utf8.contains(letter)
            (text, taken) = (isSpecial ? [UInt8(ascii: "%"), letter] : [letter], [letter])
        case 4, 5:
            let letter = Self.classes[below(Self.classes.count)]
            (text, taken) = ([UInt8(ascii: "%"), letter], Array("a1 X.\0".utf8))
        case 6, 7: (text, taken) = set()
        default: (text, taken) = ([UInt8(ascii: ".")], Self.letters)
        }
        pattern += text
        var times = 1
        if signs < 4, chance(2) {
            signs += 1
            switch below(4) {
            case 0: (times, _) = (below(4), pattern.append(UInt8(ascii: "*")))
            case 1: (times, _) = (1 + below(4), pattern.append(UInt8(ascii: "+")))
            case 2: (times, _) = (below(4), pattern.append(UInt8(ascii: "-")))
            default: (times, _) = (below(2), pattern.append(UInt8(ascii: "?")))
            }
        }
        for _ in 0..<times { subject.append(taken[below(taken.count)]) }
    }

    private mutating func set() -> (text: [UInt8], taken: [UInt8]) {
        let members = [
            "a-c", "0-9", "x", "y", "%d", "%s", "%a", "%-", "%]", "^", "-", ",=", "%W", "\0", "%", "a-", "]",
        ]
        var text: [UInt8] = [UInt8(ascii: "[")]
        if chance(4) { text.append(UInt8(ascii: "^")) }
        for _ in 0...below(3) { text += Array(members[below(chance(6) ? members.count : 14)].utf8) }
        if chance(10) { text += [0xE0, UInt8(ascii: "-"), 0xFF] }
        return (text + [UInt8(ascii: "]")], Array("ab0x1 -,\0".utf8) + [0xE9])
    }

    private mutating func damagePattern() {
        switch below(3) {
        case 0 where !pattern.isEmpty: pattern.remove(at: below(pattern.count))
        case 1 where !pattern.isEmpty: pattern.removeLast(1 + below(min(3, pattern.count)))
        default: pattern.insert(Array("%[]()-^$*".utf8)[below(9)], at: below(pattern.count + 1))
        }
    }
}
