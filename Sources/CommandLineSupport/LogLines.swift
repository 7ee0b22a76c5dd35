/// The lines of a message for a log or a terminal, each behind a prefix, those after the first indented.
///
/// What a script says may hold anything: no line of it passes for another message, and no character controls a terminal.
public func logLines(_ message: String, prefix: String) -> String {
    let lines = message.split(separator: "\n", omittingEmptySubsequences: true)
    return lines.enumerated().map { number, line in
        let printable = String(String.UnicodeScalarView(line.unicodeScalars.map { $0.isPrintable ? $0 : "?" }))
        return prefix + (number == 0 ? "" : "    ") + printable + "\n"
    }.joined()
}

extension Unicode.Scalar {
    fileprivate var isPrintable: Bool {
        switch properties.generalCategory {
        case .control where self != "\t", .format, .lineSeparator, .paragraphSeparator, .surrogate: false
        default: true
        }
    }
}
