/// One search for a Lua 5.4 pattern (reference manual, section 6.4.1) in a run of bytes.
///
/// Same results and errors as Lua's for every pattern and subject, but metered: a search is run in slices of a given
/// number of steps and goes on where it stopped. Nothing is allocated and nothing recurses: the choices still open
/// stand in frames that the caller lends.
///
///     var matcher = unsafe PatternMatcher(pattern: pattern, subject: payload)
///     var steps = 10_000
///     switch unsafe matcher.resume(steps: &steps, frames: frames) { … }
///
/// A step is about the work on one byte or one pattern item, a few nanoseconds.
///
/// - Important: Pattern and subject are borrowed: both must stay in place and unchanged while the matcher is used.
@safe
public struct PatternMatcher {
    /// How many captures a pattern can have (Lua's `LUA_MAXCAPTURES`).
    public static var maximumCaptures: Int { 32 }
    /// How many choices can be open at once: Lua's `MAXCCALLS` nested matches without the outermost.
    public static var maximumDepth: Int { 199 }

    /// How many bytes the C library compares or skips in the time of one step.
    static var bytesPerStep: Int { 16 }

    /// How a slice of a search ended.
    public enum Outcome: Hashable, Sendable {
        /// Found: ``PatternMatcher/match`` and the captures are valid.
        case matched
        /// The pattern is nowhere in the rest of the subject.
        case noMatch
        /// The steps are used up; the search goes on at the next ``PatternMatcher/resume(steps:frames:)``.
        case exhausted
        /// The match came upon a mistake in the pattern.
        case failed(PatternError)
    }

    /// What a capture of a match holds; offsets count bytes from the subject's first.
    public enum Capture: Hashable, Sendable {
        /// A piece of the subject.
        case bytes(Range<Int>)
        /// The position capture `()`.
        case position(Int)
        /// A `(` without its `)`: an error only where the capture is asked for.
        case unfinished
    }

    /// An open choice: where a match goes on when what was tried after it has failed.
    public struct Frame {
        enum Kind { case openCapture, closeCapture, optional, greedy, lazy }
        let kind: Kind
        /// The subject's position at which the choice stands.
        var subject: Int
        /// Repetitions now taken (`greedy`), or the capture's index (`closeCapture`).
        var count: Int
        /// The pattern's position of the repeated item, and of what follows its repetition sign.
        let item: Int
        let next: Int
    }

    struct OpenCapture {
        static let unfinished = -1
        static let position = -2
        var start = 0
        var length = 0
    }

    /// Where the machine of one attempt stands (`PatternMatcher+Attempt.swift`).
    enum Phase {
        /// Between two attempts.
        case idle
        /// About to match the pattern's next item.
        case item
        /// Counting the repetitions of the uppermost frame.
        case count
        /// In the middle of a `%b`.
        case balance
        /// Falling back to the uppermost frame.
        case backtrack
        case matched
        case unmatched
        /// The pattern is at fault: `error` says how.
        case failed
    }

    let text: PatternText
    private let isAnchored: Bool
    /// Where the pattern's first item and the first item after the literal prefix stand.
    private let firstItem: Int
    private let prefixEnd: Int
    private let excludedEnd: Int
    private var attemptStart: Int

    var phase = Phase.idle
    var error = PatternError.tooComplex
    var subjectPosition = 0
    var patternPosition = 0
    var nesting = 0
    var frameCount = 0
    var openCaptures = [32 of OpenCapture](repeating: OpenCapture())

    /// How many captures the match has; zero for a pattern without any.
    public internal(set) var captureCount = 0
    /// The part of the subject that the pattern matched.
    public var match: Range<Int> { attemptStart..<subjectPosition }

    /// A search at and after `start`.
    ///
    /// - Parameters:
    ///   - start: The first position to try, from 0 to the subject's length; outside, nothing is found.
    ///   - excludedEnd: A match that ends here is passed over. `gmatch` and `gsub` name the end of the match
    ///     before, so that no empty match follows directly.
    ///   - anchors: Whether a leading `^` holds the match to `start`; `gmatch` takes it for a plain character.
    public init(
        pattern: UnsafeBufferPointer<UInt8>, subject: UnsafeBufferPointer<UInt8>, from start: Int = 0,
        excludingEnd excludedEnd: Int = -1, anchors: Bool = true
    ) {
        text = unsafe PatternText(pattern: PatternBytes(pattern), subject: PatternBytes(subject))
        self.excludedEnd = excludedEnd
        attemptStart = start
        isAnchored = anchors && text.pattern[0] == UInt8(ascii: "^")
        firstItem = isAnchored ? 1 : 0
        prefixEnd = isAnchored ? firstItem : text.pattern.literalPrefixEnd
    }

    /// Runs the search for at most about `steps` steps.
    ///
    /// - Parameters:
    ///   - steps: Counted down by the work done. Below zero when one item cost more than was left: by the length of
    ///     a set at most, or by a 16th of the subject's where bytes were skipped or compared in one go.
    ///   - frames: Room for ``maximumDepth`` frames, uninitialised; the same memory, untouched, until the search
    ///     ends with another outcome than ``Outcome/exhausted``.
    public mutating func resume(steps: inout Int, frames: UnsafeMutablePointer<Frame>) -> Outcome {
        while steps > 0 {
            if case .idle = phase, let outcome = beginAttempt(&steps) { return outcome }
            unsafe runAttempt(steps: &steps, frames: frames)
            switch phase {
            case .matched where subjectPosition != excludedEnd: return .matched
            case .failed: return .failed(error)
            case .matched, .unmatched:
                if isAnchored { return .noMatch }
                attemptStart &+= 1
                phase = .idle
            case .idle, .item, .count, .balance, .backtrack: return .exhausted
            }
        }
        return .exhausted
    }

    /// Puts the machine at the next start that the literal prefix allows; else says how the slice ends.
    private mutating func beginAttempt(_ steps: inout Int) -> Outcome? {
        let prefixLength = prefixEnd &- firstItem
        while steps > 0 {
            guard attemptStart >= 0, attemptStart <= text.subject.count else { return .noMatch }
            steps &-= 1
            if prefixLength > 0 {
                let candidate =
                    text.subject.firstIndex(of: text.pattern[firstItem], from: attemptStart) ?? text.subject.count
                steps &-= (candidate &- attemptStart &+ prefixLength) / Self.bytesPerStep
                attemptStart = candidate
                guard text.subject.hasBytes(at: candidate, equalTo: text.pattern, at: firstItem, length: prefixLength)
                else {
                    attemptStart &+= 1
                    continue
                }
            }
            subjectPosition = attemptStart &+ prefixLength
            patternPosition = prefixEnd
            captureCount = 0
            frameCount = 0
            phase = .item
            return nil
        }
        return .exhausted
    }

    /// The capture at `index` of the match found, from 0 below ``captureCount``.
    public func capture(at index: Int) -> Capture {
        let capture = openCaptures[index]
        return switch capture.length {
        case OpenCapture.unfinished: .unfinished
        case OpenCapture.position: .position(capture.start)
        default: .bytes(capture.start..<capture.start &+ capture.length)
        }
    }
}
