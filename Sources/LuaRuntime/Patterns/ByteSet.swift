/// A set of byte values, a bit each.
struct ByteSet: Hashable {
    private var words: [4 of UInt64] = [0, 0, 0, 0]

    static func == (a: ByteSet, b: ByteSet) -> Bool {
        (0..<4).allSatisfy { a.words[$0] == b.words[$0] }
    }

    func hash(into hasher: inout Hasher) {
        for index in 0..<4 { hasher.combine(words[index]) }
    }

    func contains(_ byte: UInt8) -> Bool {
        words[Int(byte &>> 6)] &>> UInt64(byte & 63) & 1 != 0
    }

    mutating func insert(_ byte: UInt8) {
        words[Int(byte &>> 6)] |= 1 &<< UInt64(byte & 63)
    }

    mutating func formUnion(_ other: ByteSet) {
        for index in 0..<4 { words[index] |= other.words[index] }
    }

    mutating func formComplement() {
        for index in 0..<4 { words[index] = ~words[index] }
    }

    func isDisjoint(with other: ByteSet) -> Bool {
        (0..<4).allSatisfy { words[$0] & other.words[$0] == 0 }
    }
}

extension UnsafePointer where Pointee == ByteSet {
    /// Tests one bit where it stands: the set is not copied.
    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let word = unsafe UnsafeRawPointer(self).load(fromByteOffset: Int(byte &>> 6) &<< 3, as: UInt64.self)
        return word &>> UInt64(byte & 63) & 1 != 0
    }
}

/// The sets that every pattern shares, made once and never freed, so that items can point to them.
@safe
struct SharedSets: @unchecked Sendable {
    static let all = SharedSets()

    /// What takes no byte, and what takes every byte (`.`).
    let none: UnsafePointer<ByteSet>
    let every: UnsafePointer<ByteSet>
    private let singles: UnsafePointer<ByteSet>
    private let classes: UnsafePointer<ByteSet>

    private init() {
        let sets = UnsafeMutablePointer<ByteSet>.allocate(capacity: 2 + 256 + 256)
        unsafe sets.initialize(repeating: ByteSet(), count: 2 + 256 + 256)
        for value in 0...UInt8.max {
            unsafe sets[1].insert(value)
            unsafe sets[2 + Int(value)].insert(value)
            for letter in 0...UInt8.max where isInClass(value, letter) {
                unsafe sets[2 + 256 + Int(letter)].insert(value)
            }
        }
        unsafe none = unsafe UnsafePointer(sets)
        unsafe every = unsafe UnsafePointer(sets + 1)
        unsafe singles = unsafe UnsafePointer(sets + 2)
        unsafe classes = unsafe UnsafePointer(sets + 2 + 256)
    }

    /// The set of one byte.
    func single(_ byte: UInt8) -> UnsafePointer<ByteSet> { unsafe singles + Int(byte) }

    /// What `%` and a letter take.
    func escaped(_ letter: UInt8) -> UnsafePointer<ByteSet> { unsafe classes + Int(letter) }

    /// Whether `%` and this letter name a class, and not the letter itself.
    func isClass(_ letter: UInt8) -> Bool {
        unsafe classes[Int(letter)] != singles[Int(letter)]
    }
}

/// Whether `byte` is in the class that `letter` names after a `%`; any other character stands for itself.
///
/// As in the "C" locale: bytes from 128 on are in no class but the complements.
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
