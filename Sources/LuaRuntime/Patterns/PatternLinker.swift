/// Looks from each item of a program to what follows it, from the last item to the first.
///
/// A run need only be tried at lengths where what follows can begin. That is exact: where it cannot begin, Lua's
/// matcher comes back from there without a match and without an error.
@safe
struct PatternLinker {
    /// How a match of an item and all that follow it can begin.
    private enum Beginning {
        case unknown
        /// It succeeds everywhere: what is left only notes where captures are.
        case certain
        /// With one of the bytes in `first`, or at the subject's end if `atEnd`.
        case known
    }

    private let items: UnsafeMutablePointer<PatternItem>
    private let count: Int
    private var freeSets: UnsafeMutablePointer<ByteSet>
    private let isDeep: Bool
    private var index: Int

    private var beginning = Beginning.unknown
    private var first: UnsafePointer<ByteSet>
    /// The byte in `first` if that is the set of one, else -1.
    private var firstByte = -1
    private var atEnd = false
    private var required: UnsafePointer<PatternItem>?

    /// For the `count` items of a program; `sets` has room for one for each repetition, unless the program `isDeep`.
    init(items: UnsafeMutablePointer<PatternItem>, count: Int, sets: UnsafeMutablePointer<ByteSet>, isDeep: Bool) {
        unsafe self.items = unsafe items
        self.count = count
        unsafe freeSets = unsafe sets
        self.isDeep = isDeep
        index = count
        unsafe first = unsafe SharedSets.all.none
    }

    /// Goes on; false when the steps are used up.
    mutating func run(_ steps: inout Int) -> Bool {
        while index > 0 {
            guard steps > 0 else { return false }
            steps &-= 2
            index &-= 1
            unsafe link(items + index)
        }
        return true
    }

    private mutating func link(_ item: UnsafeMutablePointer<PatternItem>) {
        switch unsafe item.pointee.kind {
        case .end:
            // Where choices can be too many, going on is never certain.
            beginning = isDeep ? .unknown : .certain
        case .malformed, .backReference:
            beginning = .unknown
        case .subjectEnd:
            unsafe begin(SharedSets.all.none, atEnd: true)
        case .byte, .literal:
            unsafe begin(at: item.pointee.byte)
            if unsafe required == nil || required!.pointee.length <= item.pointee.length {
                unsafe required = UnsafePointer(item)
            }
        case .balance:
            unsafe begin(at: item.pointee.byte)
        case .any, .set:
            unsafe begin(item.pointee.kind == .any ? SharedSets.all.every : item.pointee.set)
        case .frontier:
            // The subject's end reads as NUL.
            unsafe begin(item.pointee.set, atEnd: item.pointee.set.contains(0))
        case .openCapture, .positionCapture, .closeCapture:
            break
        case .greedy, .possessive, .lazy, .optional, .possessiveOptional:
            unsafe linkRepetition(item)
        }
    }

    private mutating func begin(_ set: UnsafePointer<ByteSet>, atEnd: Bool = false) {
        beginning = .known
        unsafe first = unsafe set
        firstByte = -1
        self.atEnd = atEnd
    }

    private mutating func begin(at byte: UInt8) {
        unsafe begin(SharedSets.all.single(byte))
        firstByte = Int(byte)
    }

    private mutating func linkRepetition(_ item: UnsafeMutablePointer<PatternItem>) {
        let set = unsafe item.pointee.set
        if !isDeep {
            let isPossessive: Bool
            switch beginning {
            case .unknown: isPossessive = false
            case .certain: isPossessive = true
            case .known:
                isPossessive = unsafe set.pointee.isDisjoint(with: first.pointee)
                unsafe item.pointee.follow = unsafe first
                unsafe item.pointee.followsAtEnd = atEnd
            }
            switch unsafe item.pointee.kind {
            case .greedy where isPossessive: unsafe item.pointee.kind = .possessive
            case .optional where isPossessive: unsafe item.pointee.kind = .possessiveOptional
            case .lazy where unsafe item.pointee.takesAny && beginning == .known && firstByte >= 0 && !atEnd:
                unsafe item.pointee.followIsByte = true
                unsafe item.pointee.byte = UInt8(firstByte)
            default: break
            }
        }
        let canBeEmpty = unsafe item.pointee.kind == .lazy || item.pointee.minimum == 0
        if !canBeEmpty {
            unsafe begin(set)
        } else if beginning == .known, !isDeep {
            var union = unsafe first.pointee
            unsafe union.formUnion(set.pointee)
            unsafe freeSets.initialize(to: union)
            unsafe first = UnsafePointer(freeSets)
            unsafe freeSets += 1
            firstByte = -1
        } else if beginning == .known {
            beginning = .unknown
        }
    }
}

extension PatternLinker {
    /// The program of the linked items.
    func program(captureCount: Int, isAnchored: Bool, hasBackReferences: Bool) -> PatternProgram {
        var firstItem = unsafe UnsafePointer(items)
        let startsWithLiteral = unsafe firstItem.pointee.kind == .byte || firstItem.pointee.kind == .literal
        while unsafe firstItem.pointee.kind == .openCapture || firstItem.pointee.kind == .positionCapture {
            unsafe firstItem += 1
        }
        // A back reference can make a later start succeed where an earlier one has failed.
        let beginsWithRun =
            switch unsafe firstItem.pointee.kind {
            case .greedy, .possessive, .lazy: !isDeep && !hasBackReferences
            default: false
            }
        let start: PatternProgram.Start
        if unsafe isAnchored || beginning != .known || first.pointee == SharedSets.all.every.pointee {
            start = .anywhere
        } else if startsWithLiteral {
            start = .literal
        } else {
            start = firstByte >= 0 ? .byte : .set
        }
        return unsafe PatternProgram(
            items: UnsafePointer(items), first: first, run: beginsWithRun ? firstItem.pointee.set : nil,
            required: start == .literal || isAnchored || isDeep ? nil : required, captureCount: captureCount,
            start: start, firstByte: UInt8(truncatingIfNeeded: firstByte), startsAtEnd: atEnd, isAnchored: isAnchored)
    }
}
