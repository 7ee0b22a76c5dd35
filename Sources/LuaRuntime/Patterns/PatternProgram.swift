/// A compiled pattern: a line of items, which is walked from the first to the last.
///
/// Whatever a match has chosen, what follows an item of a pattern is always the same item. So which capture a `)`
/// closes, which captures `%1` may name and where the pattern is malformed is known before any match; a malformed part
/// is an item that raises when it is reached, and the last one.
///
/// The items and the sets that are not shared stand behind this header in the same block, and literals in the
/// pattern's text, so block and text must stay where they are as long as the program is used.
@safe
package struct PatternProgram {
    /// What is known of the places where a match can begin.
    enum Start: UInt8 {
        case anywhere
        /// At the text of the first item.
        case literal
        /// At `firstByte`.
        case byte
        /// At one of the bytes in `first`.
        case set
    }

    var items: UnsafePointer<PatternItem>
    var first: UnsafePointer<ByteSet>
    /// When an attempt has failed none succeeds in the rest of the run of these bytes.
    ///
    /// The pattern begins with a repetition, so what follows it has been tried wherever it could begin.
    var run: UnsafePointer<ByteSet>?
    /// The longest literal of a pattern that does not begin with one: where it is not, there is no match.
    var required: UnsafePointer<PatternItem>?
    var captureCount: Int
    var start: Start
    var firstByte: UInt8
    /// With `byte` and `set`: whether a match can also begin at the subject's end.
    var startsAtEnd: Bool
    /// A match begins at the first position tried or nowhere.
    var isAnchored: Bool
}

/// One item of a pattern; see ``PatternProgram``.
@safe
struct PatternItem {
    enum Kind: UInt8 {
        /// The pattern has matched.
        case end
        /// The pattern is at fault: `error`.
        case malformed
        /// One given byte, several, any one, one of a set.
        case byte, literal, any, set
        /// `*` or `+` (`minimum`): the longest run, then ever shorter ones.
        case greedy
        /// The same where a shorter run cannot succeed.
        case possessive
        /// `-`: the shortest run, then ever longer ones.
        case lazy
        /// `?`, and the same where going on without the byte cannot succeed.
        case optional, possessiveOptional
        case openCapture, positionCapture, closeCapture, backReference
        case balance, frontier
        /// A `$` at the pattern's end.
        case subjectEnd
    }

    var kind: Kind
    /// The byte of `byte`, of a literal the first, the opening one of `balance`; the capture's index; the minimum of a
    /// run; with `lazy`, if `followIsByte`, the only byte that can follow.
    var byte: UInt8 = 0
    /// The closing byte of `balance`; else how many captures the pattern has opened and closed before this item, as
    /// each is a nested match of Lua's.
    var other: UInt8 = 0
    /// Runs of any byte.
    var takesAny = false
    /// What follows a run can match at the subject's end.
    var followsAtEnd = false
    var followIsByte = false
    /// Of a literal, in bytes.
    var length: UInt16 = 0
    /// The literal's text, or the set of what the item takes.
    private var operand: UnsafeRawPointer
    /// What follows a run begins with one of these bytes; nil if that is not known.
    var follow: UnsafePointer<ByteSet>?

    init(_ kind: Kind, set: UnsafePointer<ByteSet>) {
        self.kind = kind
        unsafe operand = UnsafeRawPointer(set)
    }

    init(text: UnsafePointer<UInt8>) {
        kind = .byte
        unsafe byte = text.pointee
        length = 1
        unsafe operand = UnsafeRawPointer(text)
    }

    init(_ error: PatternError) {
        unsafe self.init(.malformed, set: SharedSets.all.none)
        byte = error.reason.rawValue
        other = UInt8(error.captureIndex ?? 0)
    }

    @inline(__always)
    var set: UnsafePointer<ByteSet> { unsafe operand.assumingMemoryBound(to: ByteSet.self) }
    @inline(__always)
    var literal: UnsafePointer<UInt8> { unsafe operand.assumingMemoryBound(to: UInt8.self) }
    var minimum: Int { Int(byte) }
    var error: PatternError { PatternError(PatternError.Reason(rawValue: byte) ?? .tooComplex, digit: other) }
}
