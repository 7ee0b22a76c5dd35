#if canImport(LuaRuntime)
    import LuaRuntime
#endif

/// A pattern and a subject, divided by the first NUL, in slices whose size the first byte says.
@c(LLVMFuzzerTestOneInput)
func fuzzPatterns(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard size > 1 else { return 0 }
    let input = unsafe UnsafeBufferPointer(start: data, count: size)
    let slice = unsafe Int(input[0]) + 1
    let divide = unsafe input.dropFirst().firstIndex(of: 0) ?? size
    // Copies of their own, so that the sanitizer sees every byte beyond them.
    let pattern = unsafe [UInt8](input[1..<divide])
    let subject = unsafe [UInt8](input[divide...].dropFirst())
    if let whole = search(pattern, subject, slice: 20_000), let sliced = search(pattern, subject, slice: slice) {
        precondition(whole == sliced, "a search comes to the same end in slices of any size")
    }
    return 0
}

private enum Ending: Equatable {
    case outcome(PatternMatcher.Outcome)
    case match(Range<Int>, [PatternMatcher.Capture])
}

/// How a search ends; nil if it takes too long.
private func search(_ pattern: [UInt8], _ subject: [UInt8], slice: Int) -> Ending? {
    let frames = UnsafeMutablePointer<PatternMatcher.Frame>.allocate(capacity: PatternMatcher.maximumDepth)
    defer { unsafe frames.deallocate() }
    return unsafe pattern.withUnsafeBufferPointer { patternBytes in
        unsafe subject.withUnsafeBufferPointer { subjectBytes in
            var matcher = unsafe PatternMatcher(pattern: patternBytes, subject: subjectBytes)
            var taken = 0
            while taken < 20_000 {
                var steps = slice
                let outcome = unsafe matcher.resume(steps: &steps, frames: frames)
                precondition(steps < slice || outcome == .noMatch, "a slice makes progress")
                precondition(steps >= -(2 * pattern.count + subject.count), "a slice ends when its steps are used up")
                taken += slice - steps
                switch outcome {
                case .exhausted: continue
                case .matched:
                    let captures = (0..<matcher.captureCount).map { matcher.capture(at: $0) }
                    check(matcher.match, captures, subject.count)
                    return .match(matcher.match, captures)
                case .noMatch, .failed: return .outcome(outcome)
                }
            }
            return nil
        }
    }
}

/// A match and its captures lie within the subject.
private func check(_ match: Range<Int>, _ captures: [PatternMatcher.Capture], _ count: Int) {
    precondition(match.lowerBound >= 0 && match.upperBound <= count)
    for capture in captures {
        switch capture {
        case .bytes(let range): precondition(match.contains(range) || range.isEmpty)
        case .position(let position): precondition(match.lowerBound <= position && position <= match.upperBound)
        case .unfinished: break
        }
    }
}
