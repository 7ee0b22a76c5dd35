/// The machine that matches at one start: Lua's recursive matcher with its recursion turned into frames. A frame is
/// open while Lua's nested match would be running, so both come to "pattern too complex" at the same text.pattern.
extension PatternMatcher {
    /// Runs until the attempt is decided or the steps are used up.
    mutating func runAttempt(steps: inout Int, frames: UnsafeMutablePointer<Frame>) {
        while steps > 0 {
            switch phase {
            case .item: phase = unsafe matchItems(&steps, frames)
            case .count: phase = unsafe countRepetitions(&steps, frames)
            case .balance: phase = balance(&steps)
            case .backtrack: phase = unsafe backtrack(&steps, frames)
            case .idle, .matched, .unmatched, .failed: return
            }
        }
    }

    /// Takes pattern items from the present position on, as long as there is nothing to choose.
    private mutating func matchItems(_ steps: inout Int, _ frames: UnsafeMutablePointer<Frame>) -> Phase {
        while steps > 0 {
            steps &-= 1
            guard patternPosition < text.pattern.count else { return .matched }
            let next = text.pattern[patternPosition &+ 1]
            switch text.pattern[patternPosition] {
            case UInt8(ascii: "("):
                return unsafe openCapture(isPosition: next == UInt8(ascii: ")"), frames)
            case UInt8(ascii: ")"):
                return unsafe closeCapture(frames)
            case UInt8(ascii: "$") where patternPosition &+ 1 == text.pattern.count:
                return subjectPosition == text.subject.count ? .matched : .backtrack
            case UInt8(ascii: "%") where next == UInt8(ascii: "b"):
                return beginBalance()
            case UInt8(ascii: "%") where next == UInt8(ascii: "f"):
                if let phase = matchFrontier(&steps) { return phase }
            case UInt8(ascii: "%") where next >= UInt8(ascii: "0") && next <= UInt8(ascii: "9"):
                if let phase = matchBackReference(Int(next), &steps) { return phase }
            default:
                if let phase = unsafe matchSingle(&steps, frames) { return phase }
            }
        }
        return .item
    }

    /// Matches a single-character item with its repetition sign; nil goes on with the next item.
    private mutating func matchSingle(_ steps: inout Int, _ frames: UnsafeMutablePointer<Frame>) -> Phase? {
        let item = patternPosition
        guard let end = text.itemEnd(at: item, &steps) else {
            return fail(text.pattern[item] == UInt8(ascii: "%") ? .endsWithEscape : .missingSetEnd)
        }
        let sign = text.pattern[end]
        guard text.matchesItem(at: subjectPosition, item, end, &steps) else {
            switch sign {
            case UInt8(ascii: "*"), UInt8(ascii: "-"), UInt8(ascii: "?"):
                patternPosition = end &+ 1
                return nil
            default:
                return .backtrack
            }
        }
        switch sign {
        case UInt8(ascii: "*"):
            return unsafe push(.greedy, item: item, next: end &+ 1, frames) ?? .count
        case UInt8(ascii: "+"):
            subjectPosition &+= 1
            return unsafe push(.greedy, item: item, next: end &+ 1, frames) ?? .count
        case UInt8(ascii: "-"):
            patternPosition = end &+ 1
            return unsafe push(.lazy, item: item, next: end &+ 1, frames)
        case UInt8(ascii: "?"):
            if let failure = unsafe push(.optional, item: item, next: end &+ 1, frames) { return failure }
            patternPosition = end &+ 1
            subjectPosition &+= 1
            return nil
        default:
            patternPosition = end
            subjectPosition &+= 1
            return nil
        }
    }

    /// Opens a choice at the present subject position; the phase of a failure when there are too many.
    private mutating func push(
        _ kind: Frame.Kind, count: Int = 0, item: Int = 0, next: Int = 0, _ frames: UnsafeMutablePointer<Frame>
    ) -> Phase? {
        guard frameCount < Self.maximumDepth else { return fail(.tooComplex) }
        unsafe (frames + frameCount).initialize(
            to: Frame(kind: kind, subject: subjectPosition, count: count, item: item, next: next))
        frameCount &+= 1
        return nil
    }

    /// Takes as many repetitions as there are, then tries what follows.
    private mutating func countRepetitions(_ steps: inout Int, _ frames: UnsafeMutablePointer<Frame>) -> Phase {
        var frame = unsafe frames[frameCount &- 1]
        let end = frame.next &- 1
        while steps > 0 {
            guard text.matchesItem(at: frame.subject &+ frame.count, frame.item, end, &steps) else {
                unsafe frames[frameCount &- 1] = frame
                subjectPosition = frame.subject &+ frame.count
                patternPosition = frame.next
                return .item
            }
            steps &-= 1
            frame.count &+= 1
        }
        unsafe frames[frameCount &- 1] = frame
        return .count
    }

    /// Goes back to the last open choice and takes its next way; without one the attempt has failed.
    private mutating func backtrack(_ steps: inout Int, _ frames: UnsafeMutablePointer<Frame>) -> Phase {
        while steps > 0 {
            guard frameCount > 0 else { return .unmatched }
            steps &-= 1
            var frame = unsafe frames[frameCount &- 1]
            switch frame.kind {
            case .openCapture:
                captureCount &-= 1
            case .closeCapture:
                openCaptures[frame.count].length = OpenCapture.unfinished
            case .optional:
                frameCount &-= 1
                return resume(frame, at: frame.subject)
            case .greedy where frame.count > 0:
                frame.count &-= 1
                unsafe frames[frameCount &- 1] = frame
                return resume(frame, at: frame.subject &+ frame.count)
            case .lazy where text.matchesItem(at: frame.subject, frame.item, frame.next &- 1, &steps):
                frame.subject &+= 1
                unsafe frames[frameCount &- 1] = frame
                return resume(frame, at: frame.subject)
            case .greedy, .lazy: break
            }
            frameCount &-= 1
        }
        return .backtrack
    }

    private mutating func fail(_ reason: PatternError) -> Phase {
        error = reason
        return .failed
    }

    private mutating func resume(_ frame: Frame, at position: Int) -> Phase {
        subjectPosition = position
        patternPosition = frame.next
        return .item
    }
}

/// Captures and back references.
extension PatternMatcher {
    private mutating func openCapture(isPosition: Bool, _ frames: UnsafeMutablePointer<Frame>) -> Phase {
        guard captureCount < Self.maximumCaptures else { return fail(.tooManyCaptures) }
        openCaptures[captureCount] = OpenCapture(
            start: subjectPosition, length: isPosition ? OpenCapture.position : OpenCapture.unfinished)
        captureCount &+= 1
        patternPosition &+= isPosition ? 2 : 1
        return unsafe push(.openCapture, frames) ?? .item
    }

    private mutating func closeCapture(_ frames: UnsafeMutablePointer<Frame>) -> Phase {
        var index = captureCount &- 1
        while index >= 0, openCaptures[index].length != OpenCapture.unfinished { index &-= 1 }
        guard index >= 0 else { return fail(.invalidPatternCapture) }
        openCaptures[index].length = subjectPosition &- openCaptures[index].start
        patternPosition &+= 1
        return unsafe push(.closeCapture, count: index, frames) ?? .item
    }

    /// Matches what capture `digit` has taken once more; nil goes on with the next item.
    private mutating func matchBackReference(_ digit: Int, _ steps: inout Int) -> Phase? {
        let index = digit &- Int(UInt8(ascii: "1"))
        guard index >= 0, index < captureCount, openCaptures[index].length != OpenCapture.unfinished else {
            return fail(.invalidCaptureIndex(index &+ 1))
        }
        let capture = openCaptures[index]
        // A position capture has no text that could follow again.
        guard capture.length >= 0 else { return .backtrack }
        steps &-= capture.length / Self.bytesPerStep
        guard
            text.subject.hasBytes(at: subjectPosition, equalTo: text.subject, at: capture.start, length: capture.length)
        else {
            return .backtrack
        }
        subjectPosition &+= capture.length
        patternPosition &+= 2
        return nil
    }
}

/// `%b` and `%f`.
extension PatternMatcher {
    private mutating func beginBalance() -> Phase {
        guard patternPosition &+ 3 < text.pattern.count else { return fail(.missingBalanceArguments) }
        guard subjectPosition < text.subject.count, text.subject[subjectPosition] == text.pattern[patternPosition &+ 2]
        else {
            return .backtrack
        }
        subjectPosition &+= 1
        nesting = 1
        return .balance
    }

    private mutating func balance(_ steps: inout Int) -> Phase {
        let open = text.pattern[patternPosition &+ 2]
        let close = text.pattern[patternPosition &+ 3]
        while steps > 0 {
            guard subjectPosition < text.subject.count else { return .backtrack }
            steps &-= 1
            let byte = text.subject[subjectPosition]
            subjectPosition &+= 1
            // The closing character comes first: the two may be the same.
            if byte == close {
                nesting &-= 1
                if nesting == 0 {
                    patternPosition &+= 4
                    return .item
                }
            } else if byte == open {
                nesting &+= 1
            }
        }
        return .balance
    }

    /// Matches the empty string where a set begins to hold; nil goes on with the next item.
    private mutating func matchFrontier(_ steps: inout Int) -> Phase? {
        let set = patternPosition &+ 2
        guard text.pattern[set] == UInt8(ascii: "[") else { return fail(.missingFrontierSet) }
        guard let end = text.itemEnd(at: set, &steps) else { return fail(.missingSetEnd) }
        guard !text.isInSet(text.subject[subjectPosition &- 1], set, end, &steps),
            text.isInSet(text.subject[subjectPosition], set, end, &steps)
        else { return .backtrack }
        patternPosition = end
        return nil
    }
}
