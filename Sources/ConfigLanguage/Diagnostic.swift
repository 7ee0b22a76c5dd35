/// A place in a configuration file.
public struct SourceLocation: Sendable, Hashable, CustomStringConvertible {
    private let source: SourceFile
    /// The line, counted from 1.
    public let line: Int
    /// The column in bytes, counted from 1.
    public let column: Int

    /// A place in `file`, whose text is not at hand; `line` and `column` count from 1.
    public init(file: String, line: Int, column: Int) {
        self.init(SourceFile(name: file, text: []), line: line, column: column)
    }

    init(_ source: SourceFile, line: Int, column: Int) {
        self.source = source
        self.line = line
        self.column = column
    }

    /// The file's name as it was given to the parser, or as an `include` made it.
    public var file: String { source.name }

    /// `file:line:column`.
    public var description: String { "\(file):\(line):\(column)" }

    /// The line and below it a caret under the place, each after a tab; nil where the text is not at hand, or too long
    /// to help.
    fileprivate var excerpt: String? {
        guard !source.text.isEmpty else { return nil }
        let lines = source.text.split(separator: UInt8(ascii: "\n"), maxSplits: line, omittingEmptySubsequences: false)
        guard lines.indices.contains(line - 1), lines[line - 1].count <= 160, column <= lines[line - 1].count + 1 else {
            return nil
        }
        let before = String(decoding: lines[line - 1].prefix(column - 1), as: UTF8.self)
        let blanks = before.map { $0 == "\t" ? "\t" : " " }.joined()
        return "\t\(withoutControls(String(decoding: lines[line - 1], as: UTF8.self)))\n\t\(blanks)^"
    }
}

/// A file that a configuration is read from; two of one name are the same.
final class SourceFile: Sendable, Hashable {
    let name: String
    let text: [UInt8]

    init(name: String, text: [UInt8]) {
        self.name = name
        self.text = text
    }

    static func == (lhs: SourceFile, rhs: SourceFile) -> Bool { lhs.name == rhs.name }

    func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// What is wrong at one place of a configuration, and what would be right.
public struct Diagnostic: Error, Sendable, Hashable, CustomStringConvertible {
    /// What follows from it.
    public enum Severity: String, Sendable, Hashable {
        /// The configuration cannot be used.
        case error
        /// The configuration means what it says, which is hardly what is meant.
        case warning
    }

    /// The place.
    public let location: SourceLocation
    /// One sentence without a full stop.
    public let message: String
    /// What follows from it.
    public let severity: Severity

    /// The file's name as it was given to the parser.
    public var file: String { location.file }
    /// The line, counted from 1.
    public var line: Int { location.line }
    /// The column in bytes, counted from 1.
    public var column: Int { location.column }

    /// A mistake at `location`; control characters that `message` quotes from the file become U+FFFD.
    public init(at location: SourceLocation, _ message: String, severity: Severity = .error) {
        self.location = location
        self.message = withoutControls(message)
        self.severity = severity
    }

    /// `file:line:column: message` on one line; a warning has its name before the message.
    public var description: String {
        "\(location): \(severity == .warning ? "warning: " : "")\(message)"
    }

    /// The description, and below it the line with a caret under the place, where there is one; no newline at the end.
    public var report: String { location.excerpt.map { "\(description)\n\($0)" } ?? description }
}

/// The errors that keep a configuration from being used; never empty.
public struct ConfigurationErrors: Error, Sendable, Hashable, CustomStringConvertible {
    /// At least one error, in the order in which they were found.
    public let diagnostics: [Diagnostic]

    /// The one error `diagnostic`.
    public init(_ diagnostic: Diagnostic) {
        diagnostics = [diagnostic]
    }

    /// - Precondition: there is an error.
    package init(_ diagnostics: [Diagnostic]) {
        precondition(!diagnostics.isEmpty)
        self.diagnostics = diagnostics
    }

    /// The reports, without a newline at the end.
    public var description: String {
        diagnostics.map(\.report).joined(separator: "\n")
    }
}

private func withoutControls(_ text: String) -> String {
    let scalars = text.unicodeScalars.map { $0.value < 0x20 && $0 != "\t" || $0.value == 0x7f ? "\u{fffd}" : $0 }
    return String(String.UnicodeScalarView(scalars))
}
