import CLuaShim

/// What a script's message says about itself, in the words of `npf.log`; the least first.
public enum LogLevel: UInt8, Sendable, Hashable, Comparable, CaseIterable, CustomStringConvertible {
    /// For whoever writes the script.
    case debug
    /// Something that happened.
    case info
    /// Something worth notice.
    case notice
    /// Something that may be wrong.
    case warning
    /// Something that is wrong.
    case error

    /// Bytes that a message has at most; longer ones are cut.
    public static let longestMessage = Int(LS_LONGEST_MESSAGE)

    /// The level's name.
    public var description: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .notice: "notice"
        case .warning: "warning"
        case .error: "error"
        }
    }

    /// Less is said first.
    public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}
