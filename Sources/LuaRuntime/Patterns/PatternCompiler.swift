/// Makes a program of a pattern, in slices of a given number of steps like the search.
///
/// The pattern is read twice: `measure` says how large the program will be, `compile` writes it.
///
/// - Important: The pattern is borrowed, also by the program: its literals stand there.
@safe
package struct PatternCompiler {
    /// What is to be made of the text.
    package enum Mode: Int, Sendable {
        /// A pattern.
        case pattern
        /// A pattern in which a leading `^` is a plain character, as `gmatch` takes it.
        case unanchored
        /// As `find` takes it: text in which nothing has a special meaning is plain, and a `)` has none by itself.
        case find
        /// No pattern, but the text to look for.
        case plain
    }

    private enum Phase {
        case specials
        case items
        /// In a set: looking for its end, reading its members.
        case setEnd, setMembers
        case linking
    }

    /// The longest literal of one item, so that comparing it takes no time to speak of.
    private static var longestLiteral: Int { 1 << 15 }

    private let text: UnsafePointer<UInt8>
    private let count: Int
    private var isPlain: Bool
    private var isAnchored = false
    private var phase: Phase
    private var position = 0

    /// The set at hand: where its `[` stands, where its end is looked for, and what is in it.
    private var setStart = 0
    private var setPosition = 0
    private var set = ByteSet()
    private var isFrontier = false

    private var captureCount = 0
    private var openCaptures: UInt32 = 0
    private var positionCaptures: UInt32 = 0
    private var captureSigns = 0
    /// Where the text of the literal item made last ends, and how long it is.
    private var literalEnd = -1
    private var literalLength = 0

    // What has been measured, or written.
    private var itemCount = 0
    private var setCount = 0
    private var repetitionCount = 0
    private var hasBackReferences = false
    /// More choices than can be open at once.
    private var isDeep = false

    private var program: UnsafeMutablePointer<PatternProgram>?
    private var items: UnsafeMutablePointer<PatternItem>?
    private var sets: UnsafeMutablePointer<ByteSet>?
    private var linker: PatternLinker?

    package init(_ pattern: UnsafeBufferPointer<UInt8>, _ mode: Mode) {
        unsafe text = pattern.baseAddress ?? UnsafePointer(bitPattern: 1)!
        count = pattern.count
        isPlain = mode == .plain
        phase = mode == .find ? .specials : .items
        if mode != .find { begin(anchors: mode == .pattern) }
    }

    /// Reads the pattern once more from its begin.
    private mutating func begin(anchors: Bool) {
        phase = .items
        isAnchored = anchors && self[0] == UInt8(ascii: "^")
        position = isAnchored ? 1 : 0
        captureCount = 0
        openCaptures = 0
        positionCaptures = 0
        captureSigns = 0
        literalEnd = -1
        itemCount = 0
        setCount = 0
    }

    /// How many bytes the program takes, aligned to 8; nil when the steps are used up, then it is to be called again.
    package mutating func measure(steps: inout Int) -> Int? {
        guard read(&steps) else { return nil }
        isDeep = captureSigns + repetitionCount > PatternMatcher.maximumDepth
        return MemoryLayout<PatternProgram>.stride + itemCount * MemoryLayout<PatternItem>.stride
            + (setCount + (isDeep ? 0 : repetitionCount)) * MemoryLayout<ByteSet>.stride
    }

    /// Writes the program that has been measured; false when the steps are used up, then it is to be called again.
    package mutating func compile(into memory: UnsafeMutableRawPointer, steps: inout Int) -> Bool {
        if unsafe items == nil {
            let header = MemoryLayout<PatternProgram>.stride
            unsafe program = memory.bindMemory(to: PatternProgram.self, capacity: 1)
            unsafe items = (memory + header).bindMemory(to: PatternItem.self, capacity: itemCount)
            unsafe sets = (memory + header + itemCount * MemoryLayout<PatternItem>.stride)
                .bindMemory(to: ByteSet.self, capacity: setCount + repetitionCount)
            begin(anchors: isAnchored)
        }
        if phase != .linking {
            guard read(&steps), let items = unsafe items, let sets = unsafe sets else { return false }
            phase = .linking
            linker = unsafe PatternLinker(items: items, count: itemCount, sets: sets + setCount, isDeep: isDeep)
        }
        guard linker?.run(&steps) == true, let program = unsafe program, let linker else { return false }
        unsafe program.initialize(
            to: linker.program(
                captureCount: captureCount, isAnchored: isAnchored, hasBackReferences: hasBackReferences))
        return true
    }

    @inline(__always)
    private subscript(index: Int) -> UInt8 {
        UInt(bitPattern: index) < UInt(bitPattern: count) ? unsafe text[index] : 0
    }

    /// Goes on reading; true at the end of the pattern or of what is well-formed of it.
    private mutating func read(_ steps: inout Int) -> Bool {
        while steps > 0 {
            switch phase {
            case .specials: findSpecials(&steps)
            case .items:
                steps &-= 1
                if readItem() { return true }
            case .setEnd: if findSetEnd(&steps) { return true }
            case .setMembers: readMembers(&steps)
            case .linking: return true
            }
        }
        return false
    }

    private mutating func findSpecials(_ steps: inout Int) {
        while position < count {
            guard steps > 0 else { return }
            steps &-= 1
            switch self[position] {
            case UInt8(ascii: "^"), UInt8(ascii: "$"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"),
                UInt8(ascii: "."), UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "%"), UInt8(ascii: "-"):
                return begin(anchors: true)
            default: position &+= 1
            }
        }
        isPlain = true
        begin(anchors: false)
    }
}

/// Items.
extension PatternCompiler {
    private mutating func emit(_ item: PatternItem) {
        if let items = unsafe items {
            var item = item
            if item.kind != .malformed, item.kind != .balance {
                item.other = UInt8(truncatingIfNeeded: captureSigns)
            }
            unsafe (items + itemCount).initialize(to: item)
        }
        itemCount &+= 1
    }

    private static func item(_ kind: PatternItem.Kind, _ byte: Int = 0) -> PatternItem {
        var item = unsafe PatternItem(kind, set: SharedSets.all.none)
        item.byte = UInt8(truncatingIfNeeded: byte)
        return item
    }

    private mutating func fail(_ reason: PatternError.Reason, digit: UInt8 = 0) -> Bool {
        emit(PatternItem(PatternError(reason, digit: digit)))
        return true
    }

    /// Reads one item; true if it is the last.
    private mutating func readItem() -> Bool {
        guard position < count else {
            emit(Self.item(.end))
            return true
        }
        let character = self[position]
        if isPlain {
            addLiteral(at: position)
            position &+= 1
            return false
        }
        let next = self[position &+ 1]
        switch character {
        case UInt8(ascii: "("): return openCapture(isPosition: next == UInt8(ascii: ")"))
        case UInt8(ascii: ")"): return closeCapture()
        case UInt8(ascii: "$") where position &+ 1 == count:
            emit(Self.item(.subjectEnd))
            position &+= 1
        case UInt8(ascii: "%"): return readEscape(next)
        case UInt8(ascii: "["): beginSet(at: position)
        case UInt8(ascii: "."): unsafe addSingle(.any, SharedSets.all.every, end: position &+ 1)
        default: unsafe addSingle(.byte, SharedSets.all.single(character), end: position &+ 1)
        }
        return false
    }

    private mutating func openCapture(isPosition: Bool) -> Bool {
        guard captureCount < PatternMatcher.maximumCaptures else { return fail(.tooManyCaptures) }
        emit(Self.item(isPosition ? .positionCapture : .openCapture, captureCount))
        if isPosition {
            positionCaptures |= 1 << UInt32(captureCount)
        } else {
            openCaptures |= 1 << UInt32(captureCount)
        }
        captureCount &+= 1
        captureSigns &+= 1
        position &+= isPosition ? 2 : 1
        return false
    }

    private mutating func closeCapture() -> Bool {
        guard openCaptures != 0 else { return fail(.invalidPatternCapture) }
        let index = 31 &- openCaptures.leadingZeroBitCount
        emit(Self.item(.closeCapture, index))
        openCaptures &= ~(1 << UInt32(index))
        captureSigns &+= 1
        position &+= 1
        return false
    }

    private mutating func readEscape(_ letter: UInt8) -> Bool {
        switch letter {
        case UInt8(ascii: "b"):
            guard position &+ 3 < count else { return fail(.missingBalanceArguments) }
            var balance = Self.item(.balance, Int(self[position &+ 2]))
            balance.other = self[position &+ 3]
            emit(balance)
            position &+= 4
        case UInt8(ascii: "f"):
            guard self[position &+ 2] == UInt8(ascii: "[") else { return fail(.missingFrontierSet) }
            beginSet(at: position &+ 2, isFrontier: true)
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            let index = Int(letter) &- Int(UInt8(ascii: "1"))
            guard index >= 0, index < captureCount, openCaptures & 1 << UInt32(index) == 0 else {
                return fail(.invalidCaptureIndex, digit: letter &- UInt8(ascii: "0"))
            }
            if positionCaptures & 1 << UInt32(index) != 0 {
                // A position has no text that could follow again.
                emit(unsafe PatternItem(.set, set: SharedSets.all.none))
            } else {
                hasBackReferences = true
                emit(Self.item(.backReference, index))
            }
            position &+= 2
        default:
            guard position &+ 1 < count else { return fail(.endsWithEscape) }
            unsafe addSingle(
                SharedSets.all.isClass(letter) ? .set : .byte, SharedSets.all.escaped(letter),
                end: position &+ 2)
        }
        return false
    }

    /// Adds a single-character item that ends at `end`, with the repetition sign that stands there.
    private mutating func addSingle(_ kind: PatternItem.Kind, _ set: UnsafePointer<ByteSet>, end: Int) {
        let repetition: (kind: PatternItem.Kind, minimum: Int)
        switch self[end] {
        case UInt8(ascii: "*"): repetition = (.greedy, 0)
        case UInt8(ascii: "+"): repetition = (.greedy, 1)
        case UInt8(ascii: "-"): repetition = (.lazy, 0)
        case UInt8(ascii: "?"): repetition = (.optional, 0)
        default:
            if kind == .byte { addLiteral(at: end &- 1) } else { emit(unsafe PatternItem(kind, set: set)) }
            position = end
            return
        }
        var item = unsafe PatternItem(repetition.kind, set: set)
        item.byte = UInt8(repetition.minimum)
        item.takesAny = kind == .any
        emit(item)
        if unsafe items == nil { repetitionCount &+= 1 }
        position = end &+ 1
    }

    /// Adds a byte that stands for itself, to the literal before it if they follow each other in the text.
    private mutating func addLiteral(at index: Int) {
        if literalEnd == index, literalLength < Self.longestLiteral {
            literalLength &+= 1
            if let items = unsafe items {
                unsafe items[itemCount &- 1].kind = .literal
                unsafe items[itemCount &- 1].length = UInt16(literalLength)
            }
        } else {
            literalLength = 1
            emit(unsafe PatternItem(text: text + index))
        }
        literalEnd = index &+ 1
    }
}

/// Sets.
extension PatternCompiler {
    private mutating func beginSet(at start: Int, isFrontier: Bool = false) {
        setStart = start
        self.isFrontier = isFrontier
        setPosition = start &+ (self[start &+ 1] == UInt8(ascii: "^") ? 2 : 1)
        phase = .setEnd
    }

    /// Goes on looking for the set's `]`; true if there is none.
    private mutating func findSetEnd(_ steps: inout Int) -> Bool {
        // The first character of a set is never its end: "[]]" is the set of one bracket.
        repeat {
            guard steps > 0 else { return false }
            steps &-= 1
            guard setPosition < count else { return fail(.missingSetEnd) }
            setPosition &+= self[setPosition] == UInt8(ascii: "%") ? 2 : 1
        } while setPosition >= count || self[setPosition] != UInt8(ascii: "]")
        guard unsafe sets != nil else {
            endSet(end: setPosition)
            return false
        }
        position = setStart &+ (self[setStart &+ 1] == UInt8(ascii: "^") ? 2 : 1)
        set = ByteSet()
        phase = .setMembers
        return false
    }

    /// Reads the members before the `]` at `setPosition`.
    private mutating func readMembers(_ steps: inout Int) {
        let end = setPosition
        while position < end {
            guard steps > 0 else { return }
            steps &-= 1
            let character = self[position]
            if character == UInt8(ascii: "%") {
                unsafe set.formUnion(SharedSets.all.escaped(self[position &+ 1]).pointee)
                position &+= 2
            } else if self[position &+ 1] == UInt8(ascii: "-"), position &+ 2 < end {
                let last = self[position &+ 2]
                if character <= last {
                    for byte in character...last { set.insert(byte) }
                }
                steps &-= Int(last >= character ? last &- character : 0) / 4
                position &+= 3
            } else {
                set.insert(character)
                position &+= 1
            }
        }
        if self[setStart &+ 1] == UInt8(ascii: "^") { set.formComplement() }
        endSet(end: end)
    }

    /// Adds the item of the set whose `]` stands at `end`.
    private mutating func endSet(end: Int) {
        phase = .items
        // While measuring nothing is written that could point to the set.
        var pointer = unsafe SharedSets.all.none
        if let sets = unsafe sets {
            unsafe (sets + setCount).initialize(to: set)
            unsafe pointer = UnsafePointer(sets + setCount)
        }
        setCount &+= 1
        if isFrontier {
            emit(unsafe PatternItem(.frontier, set: pointer))
            position = end &+ 1
        } else {
            unsafe addSingle(.set, pointer, end: end &+ 1)
        }
    }
}
