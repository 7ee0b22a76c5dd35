/// Errors or warnings for a terminal, a line each, with the program's name before each of them.
///
/// What a line of a file is quoted with begins with a tab, and belongs to the message above it.
public func errorLines(_ messages: String, program: String) -> String {
    messages.split(separator: "\n", omittingEmptySubsequences: false).map { line in
        line.hasPrefix("\t") ? "\(line)\n" : "\(program): \(line)\n"
    }.joined()
}
