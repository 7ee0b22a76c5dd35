#if canImport(LuaRuntime)
    import LuaRuntime
#endif

/// A pattern and a subject, divided by the first NUL, in slices whose size the first byte says.
@c(LLVMFuzzerTestOneInput)
func fuzzPatterns(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard size > 1 else { return 0 }
    let input = unsafe UnsafeBufferPointer(start: data, count: size)
    let slice = unsafe Int(input[0] / 4) + 1
    let mode = unsafe PatternCompiler.Mode(rawValue: Int(input[0] % 4))!
    let divide = unsafe input.dropFirst().firstIndex(of: 0) ?? size
    // Copies of their own, so that the sanitizer sees every byte beyond them.
    let pattern = unsafe [UInt8](input[1..<divide])
    let subject = unsafe [UInt8](input[divide...].dropFirst())
    if let whole = search(pattern, subject, mode, slice: 20_000),
        let sliced = search(pattern, subject, mode, slice: slice)
    {
        precondition(whole == sliced, "a search comes to the same end in slices of any size")
    }
    return 0
}

private enum Ending: Equatable {
    case outcome(PatternMatcher.Outcome)
    case match(Range<Int>, [PatternMatcher.Capture])
}

/// How a search ends; nil if it takes too long.
private func search(
    _ pattern: [UInt8], _ subject: [UInt8], _ mode: PatternCompiler.Mode, slice: Int
) -> Ending? {
    unsafe pattern.withUnsafeBufferPointer { pattern in
        let memory = unsafe compile(pattern, mode, slice: slice)
        defer { unsafe memory.deallocate() }
        let program = unsafe UnsafePointer(memory.assumingMemoryBound(to: PatternProgram.self))
        return unsafe search(program, subject, slice: slice)
    }
}

private func compile(
    _ pattern: UnsafeBufferPointer<UInt8>, _ mode: PatternCompiler.Mode, slice: Int
) -> UnsafeMutableRawPointer {
    var compiler = unsafe PatternCompiler(pattern, mode)
    var size: Int?
    repeat {
        var steps = slice
        size = compiler.measure(steps: &steps)
        precondition(size != nil || steps <= 0, "measuring ends when its steps are used up")
    } while size == nil
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size!, alignment: 16)
    var isDone = false
    repeat {
        var steps = slice
        isDone = unsafe compiler.compile(into: memory, steps: &steps)
        precondition(isDone || steps <= 0, "compiling ends when its steps are used up")
    } while !isDone
    return unsafe memory
}

private func search(_ program: UnsafePointer<PatternProgram>, _ subject: [UInt8], slice: Int) -> Ending? {
    let frames = UnsafeMutablePointer<PatternMatcher.Frame>.allocate(capacity: PatternMatcher.maximumDepth)
    let captures = UnsafeMutablePointer<PatternMatcher.Capture>.allocate(capacity: PatternMatcher.maximumCaptures)
    defer {
        unsafe frames.deallocate()
        unsafe captures.deallocate()
    }
    return unsafe subject.withUnsafeBufferPointer { bytes in
        var matcher = unsafe PatternMatcher(program: program, subject: bytes)
        var taken = 0
        while taken < 20_000 {
            var steps = slice
            let outcome = unsafe matcher.resume(steps: &steps, frames: frames, captures: captures)
            precondition(outcome != .exhausted || steps <= 0, "a slice ends when its steps are used up")
            precondition(steps >= -(subject.count / 16 + 20), "a slice takes no more than it has")
            taken += slice - steps
            switch outcome {
            case .exhausted: continue
            case .matched:
                let found = (0..<matcher.captureCount).map { unsafe captures[$0] }
                check(matcher.match, found, subject.count)
                return .match(matcher.match, found)
            case .noMatch, .failed: return .outcome(outcome)
            }
        }
        return nil
    }
}

/// A match and its captures lie within the subject.
private func check(_ match: Range<Int>, _ captures: [PatternMatcher.Capture], _ count: Int) {
    precondition(match.lowerBound >= 0 && match.upperBound <= count)
    for capture in captures {
        precondition(match.lowerBound <= capture.start && capture.start <= match.upperBound)
        precondition(capture.length >= PatternMatcher.Capture.position)
        precondition(capture.start + max(0, capture.length) <= match.upperBound)
    }
}
