extension Configuration {
    /// Parses `text`, the contents of the file `file`, which includes no other.
    ///
    /// - Throws: The errors, with their places and what would be right there.
    public init(parsing text: [UInt8], file: String) throws(ConfigurationErrors) {
        self = try Self.parse(text, file: file) { path throws in
            throw UnknownFile(path: path)
        }.configuration
    }

    /// Parses `text`, the contents of the file `file`, and the files that it includes.
    ///
    /// - Parameter read: Gives the contents of a file that is included; a relative path goes from the folder of the file
    ///   that includes it. What it throws is described by one sentence that names the file.
    /// - Returns: The configuration, and what of it is hardly meant as it is written.
    /// - Throws: The errors, with their places and what would be right there.
    public static func parse(
        _ text: [UInt8], file: String, reading read: @escaping (String) throws -> [UInt8]
    ) throws(ConfigurationErrors) -> (configuration: Configuration, warnings: [Diagnostic]) {
        var parser = Parser(text, file: file, reading: read)
        return try parser.parseConfiguration()
    }
}

/// A recursive-descent parser with one token of lookahead; it recurses only into groups, which nest 16 levels, and into
/// included files, which nest 16 levels too.
///
/// A mistake is noted and the rest of its statement passed over. What is named in a definition with a mistake is known
/// thereafter, so that its uses are none.
struct Parser {
    var lexer: Lexer
    /// The first token that is not consumed.
    var token: Token
    /// The consumed token before it; nil at the beginning of a statement.
    private var previous: Token?
    /// The braces of lists that are open in the statement at hand.
    private var openLists = 0

    private(set) var errors: [Diagnostic] = []
    private var errorPlaces: Set<SourceLocation> = []
    var warnings: [Diagnostic] = []

    var variables: [String: [VariableElement]] = [:]
    /// The values that variables may still expand to in this file.
    var expansionBudget = 1_048_576
    var configuration = Configuration()
    /// The declared names, with their places and whether they are used.
    var procedures = Declarations()
    var tables = Declarations()
    var variableUses = Declarations()
    var rulesets = Declarations()
    var defaultGroup: Configuration.Group?
    var sawDefaultGroup = false
    var inclusion: Inclusion
    /// Whether the text is one rule for a dynamic ruleset, which refers to nothing but tables.
    var isDynamicRule = false
    /// The network of all addresses that the rule at hand names, with its place.
    var wholeFamily: (prefix: AddressPrefix, location: SourceLocation)?

    init(_ text: [UInt8], file: String, reading read: @escaping (String) throws -> [UInt8]) {
        lexer = Lexer(SourceFile(name: file, text: text))
        inclusion = Inclusion(path: [file], read: read)
        token = lexer.next()
        noteInvalidToken()
    }

    mutating func parseConfiguration() throws(ConfigurationErrors) -> (Configuration, [Diagnostic]) {
        parseStatements()
        if let defaultGroup {
            configuration.groups.append(defaultGroup)
        } else if !sawDefaultGroup && errors.isEmpty {
            note(
                Diagnostic(
                    at: token.location, "there is no default group; end the file with `group default { block all }`"))
        }
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
        warnAboutUnused()
        warnings += configuration.warnings
        return (configuration, warnings)
    }

    /// Parses statements up to the end of the file.
    mutating func parseStatements() {
        while startStatement(), token.kind != .end {
            attempt(inGroup: false) { parser throws(Diagnostic) in
                try parser.parseStatement()
                guard parser.isAtSeparator || parser.token.kind == .end else {
                    throw parser.unexpected("the end of the line")
                }
            }
        }
    }

    private mutating func parseStatement() throws(Diagnostic) {
        switch token.kind {
        case .variable(let name): try parseVariable(name)
        case .word("set"): try parseSetting()
        case .word("alg"): try parseAlgorithm()
        case .word("table"): try parseTable()
        case .word("procedure"): try parseProcedure()
        case .word("include"): try parseInclude { $0.parseStatements() }
        case .word("group"):
            let group = try parseGroup(depth: 1)
            if group.name == nil { defaultGroup = group } else { configuration.groups.append(group) }
        case .word("map"):
            throw Diagnostic(
                at: token.location,
                "`map`: addresses are translated by the kernel, not here; use a nat chain of nftables, with `masquerade`, "
                    + "`snat to` or `dnat to`")
        case .word("pass"), .word("block"):
            throw Diagnostic(at: token.location, "a rule stands inside a group, as in `group default { … }`")
        case .word("ruleset"):
            throw Diagnostic(at: token.location, "a ruleset stands inside a group, as in `group default { … }`")
        default:
            throw unexpected(
                "`$variable =`, `set`, `alg`, `table`, `procedure`, `include` or `group`",
                words: ["set", "alg", "table", "procedure", "include", "group", "map"])
        }
    }
}

// MARK: Tokens

extension Parser {
    /// Consumes the token.
    mutating func advance() {
        previous = token
        token = lexer.next()
        noteInvalidToken()
    }

    private mutating func noteInvalidToken() {
        if case .invalid(let message) = token.kind { note(Diagnostic(at: token.location, message)) }
    }

    /// Skips separators; true, to be a part of a loop's condition.
    mutating func startStatement() -> Bool {
        _ = skipSeparators()
        previous = nil
        openLists = 0
        return true
    }

    /// Skips separators inside a statement; true, to be a part of a loop's condition.
    mutating func skipSeparators() -> Bool {
        while isAtSeparator { advance() }
        return true
    }

    /// Notes that a brace of the statement was consumed, so that a mistake behind it skips what it encloses.
    mutating func openBrace() { openLists += 1 }

    /// Notes that the brace is closed.
    mutating func closeBrace() { openLists -= 1 }

    /// Makes the word at hand one that may hold `-`, `.` and `@`.
    mutating func rescanName() {
        guard case .word = token.kind else { return }
        token = lexer.rescanAsName(token)
    }

    var isAtSeparator: Bool { token.kind == .newline || token.kind == .semicolon }

    /// Whether a statement in a group may end here.
    var isAtEndOfItem: Bool { isAtSeparator || isAt("}") || token.kind == .end }

    func isAt(_ symbol: String) -> Bool { token.kind == .symbol(symbol) }

    func isAt(word: String) -> Bool { token.kind == .word(word) }

    mutating func accept(_ symbol: String) -> Bool {
        guard isAt(symbol) else { return false }
        advance()
        return true
    }

    mutating func accept(word: String) -> Bool {
        guard isAt(word: word) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: String) throws(Diagnostic) {
        guard accept(symbol) else { throw unexpected("`\(symbol)`") }
    }

    /// A word or a string, for which the language makes no difference; nil where there is none.
    var text: String? {
        switch token.kind {
        case .word(let text), .string(let text): text
        default: nil
        }
    }

    /// Parses a name in quotes, on one line.
    mutating func parseQuotedName(_ what: String) throws(Diagnostic) -> String {
        guard case .string(let name) = token.kind else { throw unexpected("\(what) in quotes") }
        guard !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw Diagnostic(at: token.location, "a name is one line of text without control characters")
        }
        advance()
        return name
    }

    /// `{ ELEMENT, … }` or one ELEMENT; in braces it may go over several lines and end in a comma.
    mutating func parseList(
        of element: (inout Parser) throws(Diagnostic) -> Void
    ) throws(Diagnostic) {
        guard accept("{") else { return try element(&self) }
        openBrace()
        repeat {
            skipNewlines()
            try element(&self)
            skipNewlines()
            guard accept(",") else { break }
            skipNewlines()
        } while !isAt("}")
        guard accept("}") else { throw unexpected("`,` or `}`") }
        closeBrace()
    }

    func throwIfKeyword() throws(Diagnostic) {
        guard case .word(let word) = token.kind, Keyword.all.contains(word) else { return }
        throw Diagnostic(
            at: token.location, "\(token.quoted) is a word of the language; as a name it needs quotes")
    }

    private mutating func skipNewlines() {
        while token.kind == .newline { advance() }
    }
}

// MARK: Errors

extension Parser {
    /// More errors than these are not noted: the first ones are to be mended first.
    private static let maximumErrors = 100

    /// Notes an error, but one for a place.
    mutating func note(_ error: Diagnostic) {
        guard errors.count < Self.maximumErrors, errorPlaces.insert(error.location).inserted else { return }
        errors.append(error)
    }

    mutating func warn(at location: SourceLocation, _ message: String) {
        warnings.append(Diagnostic(at: location, message, severity: .warning))
    }

    /// Parses a statement, or notes its mistake and goes on behind it.
    mutating func attempt(
        inGroup: Bool, _ statement: (inout Parser) throws(Diagnostic) -> Void
    ) {
        do throws(Diagnostic) {
            try statement(&self)
        } catch {
            note(error)
            skipStatement(inGroup: inGroup)
        }
    }

    /// Goes on to the end of the statement, or to the word at the beginning of a line that begins another.
    private mutating func skipStatement(inGroup: Bool) {
        var depth = openLists
        if depth > 0, previous?.kind == .newline, isAtStatement(inGroup: inGroup) { return }
        while token.kind != .end {
            if isAtSeparator {
                if depth == 0 { return }
                skipNewlines()
                if isAtStatement(inGroup: inGroup) { return }
                if !isAtSeparator { continue }
            } else if isAt("{") {
                depth += 1
            } else if isAt("}") {
                if depth == 0 && inGroup { return }
                depth = max(depth - 1, 0)
            }
            advance()
        }
    }

    /// Whether the token at hand begins a statement, and nothing else that may begin a line.
    private func isAtStatement(inGroup: Bool) -> Bool {
        switch token.kind {
        case .word(let word):
            return
                (inGroup
                ? ["pass", "block", "group", "ruleset", "include"]
                : ["set", "alg", "table", "procedure", "include", "group", "map"]).contains(word)
        case .variable:
            var ahead = lexer
            return !inGroup && ahead.next().kind == .symbol("=")
        default:
            return false
        }
    }

    /// Passes over what stands between the `{` that was consumed last and its `}`.
    mutating func skipBlock() {
        var depth = 1
        while token.kind != .end {
            if isAt("{") { depth += 1 }
            if isAt("}") { depth -= 1 }
            advance()
            if depth == 0 { return }
        }
    }

    /// The error that something else than the token at hand is expected.
    func unexpected(_ expected: String, words: [String] = []) -> Diagnostic {
        var message = "expected \(expected)"
        if let previous { message += " after \(previous.quoted)" }
        message += ", not \(token.quoted)"
        if case .word(let word) = token.kind, let near = closest(to: word, among: words) {
            message += "; did you mean `\(near)`?"
        }
        return Diagnostic(at: token.location, message)
    }
}

/// Names with the places of their declarations.
struct Declarations {
    private(set) var places: [String: SourceLocation] = [:]
    private var used: Set<String> = []

    func contains(_ name: String) -> Bool { places[name] != nil }

    mutating func declare(_ name: String, at location: SourceLocation) { places[name] = location }

    mutating func use(_ name: String) { used.insert(name) }

    /// In the order of the file.
    var unused: [(name: String, location: SourceLocation)] {
        places.filter { !used.contains($0.key) }
            .map { (name: $0.key, location: $0.value) }
            .sorted {
                ($0.location.line, $0.location.column, $0.name) < ($1.location.line, $1.location.column, $1.name)
            }
    }
}
