private import Glibc

/// One search for a compiled Lua 5.4 pattern (reference manual, section 6.4.1) in a run of bytes.
///
/// Same results and errors as Lua's for every pattern and subject, but metered: a search is run in slices of a given
/// number of steps and goes on where it stopped. Nothing is allocated and nothing recurses: the choices still open
/// stand in frames that the caller lends.
///
///     var matcher = unsafe PatternMatcher(program: program, subject: payload)
///     var steps = 10_000
///     switch unsafe matcher.resume(steps: &steps, frames: frames, captures: captures) { … }
///
/// A step is about the work on one pattern item, or on a few bytes of a run: a few nanoseconds.
///
/// - Important: Program and subject are borrowed: both must stay in place and unchanged while the matcher is used.
@safe
package struct PatternMatcher {
    /// How many captures a pattern can have (Lua's `LUA_MAXCAPTURES`).
    package static var maximumCaptures: Int { 32 }
    /// How many choices can be open at once: Lua's `MAXCCALLS` nested matches without the outermost.
    package static var maximumDepth: Int { 199 }

    /// How many bytes the C library compares or skips in the time of one step, and how many a loop over a set does.
    static var bytesPerStep: Int { 16 }
    static var runBytesPerStep: Int { 4 }

    /// How a slice of a search ended.
    package enum Outcome: Hashable, Sendable {
        /// Found: ``PatternMatcher/match`` and the captures are valid.
        case matched
        /// The pattern is nowhere in the rest of the subject.
        case noMatch
        /// The steps are used up; the search goes on at the next ``PatternMatcher/resume(steps:frames:captures:)``.
        case exhausted
        /// The match came upon a mistake in the pattern.
        case failed(PatternError)
    }

    /// What a capture of a match holds, in bytes; the start counts from the subject's first.
    package struct Capture: Hashable, Sendable {
        /// The length of a `(` without its `)`: an error only where the capture is asked for.
        package static var unfinished: Int { -1 }
        /// The length of the position capture `()`.
        package static var position: Int { -2 }

        package var start: Int
        package var length: Int
    }

    /// A choice that is still open: the item that offered it and where it now stands.
    @safe
    package struct Frame {
        let item: UnsafePointer<PatternItem>
        var position: Int
        /// The shortest run of a greedy item ends here.
        let floor: Int
    }

    /// How an attempt at one start ended, or where a slice of it did.
    enum Phase {
        /// Between two attempts.
        case idle
        /// After an attempt that failed, in the run that cannot be the begin of a match either.
        case skipping
        /// Before an item, or in the middle of one.
        case item
        /// Falling back to the uppermost frame.
        case backtrack
        case matched
        case unmatched
        /// At the item that is at fault.
        case malformed
        case tooComplex
    }

    let program: UnsafePointer<PatternProgram>
    let subject: UnsafePointer<UInt8>
    let count: Int
    private let excludedEnd: Int
    var attemptStart: Int
    /// Where the required literal is next, if not before `attemptStart`; all before has been searched for it.
    var requiredPosition = -1
    var isRequiredFound = false

    var phase = Phase.idle
    var item: UnsafePointer<PatternItem>
    var position = 0
    /// What is done of the item: bytes of a run or a comparison, the nesting of a `%b`, whether a lazy run has begun.
    var progress = 0
    var frameCount = 0

    /// The part of the subject that the pattern matched.
    package var match: Range<Int> { attemptStart..<position }
    /// How many captures the match has; zero for a pattern without any.
    package var captureCount: Int { unsafe program.pointee.captureCount }

    /// A search at and after `start`.
    ///
    /// - Parameters:
    ///   - start: The first position to try, from 0 to the subject's length; outside, nothing is found.
    ///   - excludedEnd: A match that ends here is passed over. `gmatch` and `gsub` name the end of the match
    ///     before, so that no empty match follows directly.
    @inline(__always)
    package init(
        program: UnsafePointer<PatternProgram>, subject: UnsafeBufferPointer<UInt8>, from start: Int = 0,
        excludingEnd excludedEnd: Int = -1
    ) {
        unsafe self.program = unsafe program
        unsafe self.subject = subject.baseAddress ?? UnsafePointer(bitPattern: 1)!
        count = subject.count
        self.excludedEnd = excludedEnd
        attemptStart = start
        unsafe item = program.pointee.items
    }

    /// Runs the search for at most about `steps` steps.
    ///
    /// - Parameters:
    ///   - steps: Counted down by the work done, a little below zero when one piece of it cost more than was left.
    ///   - frames: Room for ``maximumDepth`` frames, uninitialised; the same memory, untouched, until the search
    ///     ends with another outcome than ``Outcome/exhausted``.
    ///   - captures: Likewise for ``maximumCaptures`` captures; after a match the first ``captureCount`` are valid.
    package mutating func resume(
        steps: inout Int, frames: UnsafeMutablePointer<Frame>, captures: UnsafeMutablePointer<Capture>
    ) -> Outcome {
        while steps > 0 {
            if phase == .idle || phase == .skipping, let outcome = beginAttempt(&steps) { return outcome }
            unsafe runAttempt(&steps, frames, captures)
            switch phase {
            case .matched where position != excludedEnd: return .matched
            case .malformed: return .failed(unsafe item.pointee.error)
            case .tooComplex: return .failed(PatternError(.tooComplex))
            case .matched, .unmatched:
                if unsafe program.pointee.isAnchored { return .noMatch }
                if phase == .unmatched, unsafe program.pointee.run != nil {
                    phase = .skipping
                } else {
                    attemptStart &+= 1
                    phase = .idle
                }
            case .idle, .skipping, .item, .backtrack: return .exhausted
            }
        }
        return .exhausted
    }
}
