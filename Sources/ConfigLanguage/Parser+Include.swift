/// How a parser gets at the files that its file includes.
struct Inclusion {
    /// Files include files to this depth.
    static let maximumDepth = 16
    /// A configuration has at most this many files, counted as often as they are included.
    static let maximumCount = 1_024

    /// The file at hand, after those that include it.
    var path: [String]
    var count = 0
    let read: (String) throws -> [UInt8]

    /// The file that `name` means in the file at hand.
    func resolve(_ name: String) -> String {
        guard !name.hasPrefix("/"), let current = path.last, let slash = current.lastIndex(of: "/") else { return name }
        return current[...slash] + name
    }
}

/// There is no file but the one that is parsed.
struct UnknownFile: Error, CustomStringConvertible {
    let path: String

    var description: String { "cannot read \(path): there are no other files here" }
}

extension Parser {
    /// Parses `include "FILE"`, and by `content` what stands in the file.
    mutating func parseInclude(_ content: (inout Parser) -> Void) throws(Diagnostic) {
        advance()
        let location = token.location
        let name = try parseQuotedName("a file's name")
        guard isAtEndOfItem else { throw unexpected("the end of the line") }
        let file = inclusion.resolve(name)
        guard !inclusion.path.contains(file) else {
            throw Diagnostic(at: location, "`\(file)` includes itself, by way of \(inclusion.path.last ?? file)")
        }
        inclusion.count += 1
        guard inclusion.path.count <= Inclusion.maximumDepth, inclusion.count <= Inclusion.maximumCount else {
            throw Diagnostic(
                at: location,
                "files include files at most \(Inclusion.maximumDepth) deep, and \(Inclusion.maximumCount) in all")
        }
        let text: [UInt8]
        do {
            text = try inclusion.read(file)
        } catch {
            throw Diagnostic(at: location, "\(error)")
        }
        let outside = (lexer, token)
        inclusion.path.append(file)
        lexer = Lexer(SourceFile(name: file, text: text))
        advance()
        content(&self)
        if token.kind != .end { note(unexpected("the end of the file")) }
        inclusion.path.removeLast()
        (lexer, token) = outside
    }
}
