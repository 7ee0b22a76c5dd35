/// A place in a configuration file.
public struct SourceLocation: Sendable, Hashable, CustomStringConvertible {
    /// The file's name as it was given to the parser.
    public let file: String
    /// The line, counted from 1.
    public let line: Int
    /// The column in bytes, counted from 1.
    public let column: Int

    /// A place in `file`; `line` and `column` count from 1.
    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `file:line:column`.
    public var description: String { "\(file):\(line):\(column)" }
}

/// What is wrong at one place of a configuration, and what would be right.
public struct Diagnostic: Error, Sendable, Hashable, CustomStringConvertible {
    /// The place of the error.
    public let location: SourceLocation
    /// One sentence without a full stop.
    public let message: String

    /// The file's name as it was given to the parser.
    public var file: String { location.file }
    /// The line, counted from 1.
    public var line: Int { location.line }
    /// The column in bytes, counted from 1.
    public var column: Int { location.column }

    /// An error at `location`; control characters that `message` quotes from the file become U+FFFD.
    public init(at location: SourceLocation, _ message: String) {
        self.location = location
        let scalars = message.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? "\u{fffd}" : $0 }
        self.message = String(String.UnicodeScalarView(scalars))
    }

    /// `file:line:column: message`.
    public var description: String { "\(location): \(message)" }
}

/// The errors that keep a configuration from being used; never empty.
public struct ConfigurationErrors: Error, Sendable, Hashable, CustomStringConvertible {
    /// At least one error, in the order of the file.
    public let diagnostics: [Diagnostic]

    /// The one error `diagnostic`.
    public init(_ diagnostic: Diagnostic) {
        diagnostics = [diagnostic]
    }

    /// A line per error, without a newline at the end.
    public var description: String {
        diagnostics.map(\.description).joined(separator: "\n")
    }
}
