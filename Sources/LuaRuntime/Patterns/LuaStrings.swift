internal import CLuaShim

/// The pattern matcher's side of Lua's `string` library (`patterns.c` is the other).
public enum LuaStrings {
    /// Gives the library its matcher.
    ///
    /// Must have been called before the first Lua state is made; repeating it does no harm.
    public static func register() {
        registered
    }

    private static let registered: Void = {
        precondition(MemoryLayout<PatternCompiler>.size <= Int(LS_COMPILER_SIZE))
        precondition(MatcherStorage.framesOffset + MatcherStorage.framesSize <= Int(LS_MATCHER_SIZE))
        precondition(PatternMatcher.maximumCaptures == Int(LS_MAX_CAPTURES))
        precondition(MemoryLayout<PatternMatcher.Capture>.stride == MemoryLayout<ls_capture>.stride)
        precondition(PatternMatcher.Capture.position == Int(LS_CAPTURE_POSITION))
        precondition(PatternMatcher.Capture.unfinished == Int(LS_CAPTURE_UNFINISHED))
        // Made here, or the first packet that meets a pattern would wait for them.
        _ = SharedSets.all
        unsafe ls_set_pattern_operations(
            ls_pattern_operations(
                begin: beginCompiling, measure: measurePattern, compile: compilePattern, match: matchPattern))
    }()
}

@c private func beginCompiling(
    _ storage: UnsafeMutableRawPointer?, _ pattern: UnsafePointer<UInt8>?, _ length: Int, _ mode: ls_pattern_mode
) {
    let text = unsafe UnsafeBufferPointer(start: pattern, count: length)
    unsafe storage?.initializeMemory(
        as: PatternCompiler.self,
        to: PatternCompiler(text, PatternCompiler.Mode(rawValue: Int(mode.rawValue)) ?? .pattern))
}

@c private func measurePattern(_ storage: UnsafeMutableRawPointer?, _ steps: UnsafeMutablePointer<Int>?) -> Int {
    guard let storage = unsafe storage, let steps = unsafe steps else { return 0 }
    return unsafe storage.assumingMemoryBound(to: PatternCompiler.self).pointee.measure(steps: &steps.pointee) ?? 0
}

@c private func compilePattern(
    _ storage: UnsafeMutableRawPointer?, _ program: UnsafeMutableRawPointer?, _ steps: UnsafeMutablePointer<Int>?
) -> Bool {
    guard let storage = unsafe storage, let program = unsafe program, let steps = unsafe steps else { return true }
    return unsafe storage.assumingMemoryBound(to: PatternCompiler.self)
        .pointee.compile(into: program, steps: &steps.pointee)
}

/// How the C side's storage is used: the matcher, then its frames.
private enum MatcherStorage {
    static var framesOffset: Int { (MemoryLayout<PatternMatcher>.size + 15) & ~15 }
    static var framesSize: Int { PatternMatcher.maximumDepth * MemoryLayout<PatternMatcher.Frame>.stride }
}

/// On the packet path: a search that ends within its first slice is one call.
@c private func matchPattern(
    _ search: UnsafeMutablePointer<ls_search>?, _ storage: UnsafeMutableRawPointer?, _ begins: Bool,
    _ steps: UnsafeMutablePointer<Int>?
) -> ls_outcome {
    guard let search = unsafe search, let storage = unsafe storage, let steps = unsafe steps,
        let captures = unsafe ls_search_captures(search)
    else { return LS_NO_MATCH }
    let matcher = unsafe storage.assumingMemoryBound(to: PatternMatcher.self)
    if begins {
        unsafe matcher.initialize(
            to: PatternMatcher(
                program: search.pointee.program.assumingMemoryBound(to: PatternProgram.self),
                subject: UnsafeBufferPointer(start: search.pointee.subject, count: search.pointee.subject_length),
                from: search.pointee.from, excludingEnd: search.pointee.excluded_end))
    }
    let outcome = unsafe matcher.pointee.resume(
        steps: &steps.pointee,
        frames: (storage + MatcherStorage.framesOffset).assumingMemoryBound(to: PatternMatcher.Frame.self),
        captures: UnsafeMutableRawPointer(captures).assumingMemoryBound(to: PatternMatcher.Capture.self))
    switch outcome {
    case .matched:
        let match = unsafe matcher.pointee.match
        unsafe search.pointee.start = match.lowerBound
        unsafe search.pointee.end = match.upperBound
        unsafe search.pointee.capture_count = CInt(truncatingIfNeeded: matcher.pointee.captureCount)
        return LS_MATCHED
    case .noMatch:
        return LS_NO_MATCH
    case .exhausted:
        return LS_EXHAUSTED
    case .failed(let error):
        unsafe search.pointee.message = UnsafeRawPointer(error.message.utf8Start).assumingMemoryBound(to: CChar.self)
        unsafe search.pointee.message_number = error.captureIndex ?? -1
        return LS_MALFORMED
    }
}
