internal import CLuaShim

/// The pattern matcher's side of Lua's `string` library (`strings.c` is the other).
public enum LuaStrings {
    /// Gives the library its matcher.
    ///
    /// Must have been called before the first Lua state is made; repeating it does no harm.
    public static func register() {
        registered
    }

    private static let registered: Void = {
        precondition(MatcherStorage.framesOffset + MatcherStorage.framesSize <= Int(LS_MATCHER_SIZE))
        precondition(PatternMatcher.maximumCaptures == Int(LS_MAX_CAPTURES))
        unsafe ls_set_string_operations(ls_string_operations(begin: beginSearch, resume: resumeSearch))
    }()
}

/// How the C side's storage is used: the matcher, then its frames.
private enum MatcherStorage {
    static var framesOffset: Int { (MemoryLayout<PatternMatcher>.size + 15) & ~15 }
    static var framesSize: Int { PatternMatcher.maximumDepth * MemoryLayout<PatternMatcher.Frame>.stride }
}

@c(ls_begin_search)
func beginSearch(_ search: UnsafePointer<ls_search>?, _ storage: UnsafeMutableRawPointer?) {
    guard let search = unsafe search, let storage = unsafe storage else { return }
    let pattern = unsafe UnsafeBufferPointer(start: search.pointee.pattern, count: search.pointee.pattern_length)
    let subject = unsafe UnsafeBufferPointer(start: search.pointee.subject, count: search.pointee.subject_length)
    unsafe storage.initializeMemory(
        as: PatternMatcher.self,
        to: PatternMatcher(
            pattern: pattern, subject: subject, from: search.pointee.from,
            excludingEnd: search.pointee.excluded_end, anchors: search.pointee.anchors))
}

@c(ls_resume_search)
func resumeSearch(
    _ search: UnsafeMutablePointer<ls_search>?, _ storage: UnsafeMutableRawPointer?, _ steps: UnsafeMutablePointer<Int>?
) -> ls_outcome {
    guard let search = unsafe search, let storage = unsafe storage, let steps = unsafe steps else {
        return LS_NO_MATCH
    }
    let matcher = unsafe storage.assumingMemoryBound(to: PatternMatcher.self)
    let frames = unsafe (storage + MatcherStorage.framesOffset).assumingMemoryBound(to: PatternMatcher.Frame.self)
    switch unsafe matcher.pointee.resume(steps: &steps.pointee, frames: frames) {
    case .matched:
        unsafe report(matcher, to: search)
        return LS_MATCHED
    case .noMatch:
        return LS_NO_MATCH
    case .exhausted:
        return LS_EXHAUSTED
    case .failed(let error):
        unsafe search.pointee.message = UnsafeRawPointer(error.message.utf8Start)
            .assumingMemoryBound(to: CChar.self)
        unsafe search.pointee.message_number = error.captureIndex.map(CInt.init(truncatingIfNeeded:)) ?? -1
        return LS_MALFORMED
    }
}

/// Writes what was found where the C side reads it; through pointers, because a matcher is large to copy.
private func report(_ matcher: UnsafePointer<PatternMatcher>, to search: UnsafeMutablePointer<ls_search>) {
    let match = unsafe matcher.pointee.match
    let captureCount = unsafe matcher.pointee.captureCount
    unsafe search.pointee.start = match.lowerBound
    unsafe search.pointee.end = match.upperBound
    unsafe search.pointee.capture_count = CInt(truncatingIfNeeded: captureCount)
    guard let captures = unsafe ls_search_captures(search) else { return }
    for index in 0..<captureCount {
        let capture = unsafe matcher.pointee.openCaptures[index]
        unsafe captures[index] = ls_capture(start: capture.start, length: capture.length)
    }
}
