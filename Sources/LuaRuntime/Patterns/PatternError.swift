/// Why a pattern cannot be matched, in Lua 5.4's words.
///
/// Lua checks a pattern only as far as a match walks it, so the same malformed pattern may fail on one subject and
/// pass on another. That is kept.
package struct PatternError: Error, Hashable, Sendable {
    enum Reason: UInt8 {
        /// The pattern ends in a lone `%`.
        case endsWithEscape
        /// A set has no closing `]`.
        case missingSetEnd
        /// `%b` is not followed by two characters.
        case missingBalanceArguments
        /// `%f` is not followed by a set.
        case missingFrontierSet
        /// A `)` closes nothing.
        case invalidPatternCapture
        /// `%0` to `%9` name a capture that does not exist or is still open.
        case invalidCaptureIndex
        /// More than ``PatternMatcher/maximumCaptures`` captures.
        case tooManyCaptures
        /// More than ``PatternMatcher/maximumDepth`` choices pending at once.
        case tooComplex
    }

    let reason: Reason
    /// The capture as written; of an invalid capture index only.
    private let digit: UInt8

    init(_ reason: Reason, digit: UInt8 = 0) {
        self.reason = reason
        self.digit = digit
    }

    /// The number that ends the message of an invalid capture index.
    var captureIndex: CInt? { reason == .invalidCaptureIndex ? CInt(digit) : nil }

    /// Lua's message; that of an invalid capture index lacks the number.
    var message: StaticString {
        switch reason {
        case .endsWithEscape: "malformed pattern (ends with '%')"
        case .missingSetEnd: "malformed pattern (missing ']')"
        case .missingBalanceArguments: "malformed pattern (missing arguments to '%b')"
        case .missingFrontierSet: "missing '[' after '%f' in pattern"
        case .invalidPatternCapture: "invalid pattern capture"
        case .invalidCaptureIndex: "invalid capture index %"
        case .tooManyCaptures: "too many captures"
        case .tooComplex: "pattern too complex"
        }
    }
}

extension PatternError: CustomStringConvertible {
    /// Lua's whole message.
    package var description: String {
        captureIndex.map { "\(message)\($0)" } ?? "\(message)"
    }
}
