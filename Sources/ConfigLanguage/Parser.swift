extension Configuration {
    /// Parses `text`, the contents of the file `file`.
    ///
    /// - Throws: The first error, with its place and what would be right there.
    public init(parsing text: [UInt8], file: String) throws(ConfigurationErrors) {
        do throws(Diagnostic) {
            var parser = try Parser(text, file: file)
            self = try parser.parseConfiguration()
        } catch {
            throw ConfigurationErrors(error)
        }
    }
}

/// A recursive-descent parser with one token of lookahead; it recurses only into groups, which nest 16 levels.
struct Parser {
    private var lexer: Lexer
    /// The first token that is not consumed.
    private(set) var token: Token
    /// The consumed token before it as messages call it; empty at the beginning of a statement.
    private var previous = ""

    var variables: [String: [VariableElement]] = [:]
    /// The values that variables may still expand to in this file.
    var expansionBudget = 1_048_576
    private var settings: [Configuration.Setting] = []
    private var procedures: [Configuration.Procedure] = []
    private(set) var procedureNames: Set<String> = []
    private var groups: [Configuration.Group] = []
    private var defaultGroup: Configuration.Group?

    init(_ text: [UInt8], file: String) throws(Diagnostic) {
        lexer = Lexer(text, file: file)
        token = try lexer.next()
    }

    mutating func parseConfiguration() throws(Diagnostic) -> Configuration {
        while try startStatement(), token.kind != .end {
            try parseStatement()
            guard isAtSeparator || token.kind == .end else { throw unexpected("the end of the line") }
        }
        guard let defaultGroup else {
            throw Diagnostic(
                at: token.location, "there is no default group; end the file with `group default { block all }`")
        }
        return Configuration(settings: settings, procedures: procedures, groups: groups + [defaultGroup])
    }

    private mutating func parseStatement() throws(Diagnostic) {
        switch token.kind {
        case .variable(let name):
            try parseVariable(name)
        case .word("set"):
            settings.append(try parseSetting())
        case .word("procedure"):
            let procedure = try parseProcedure()
            procedureNames.insert(procedure.name)
            procedures.append(procedure)
        case .word("group"):
            let group = try parseGroup(depth: 1)
            if group.name == nil { defaultGroup = group } else { groups.append(group) }
        case .word("pass"), .word("block"):
            throw Diagnostic(at: token.location, "a rule stands inside a group, as in `group default { … }`")
        case .word("table"), .word("alg"), .word("map"), .word("include"):
            throw notInThisVersion
        case .word("ruleset"):
            throw Diagnostic(at: token.location, "`ruleset` stands inside a group, and is not in this version")
        default:
            throw unexpected("`$variable =`, `set`, `procedure` or `group`", words: ["set", "procedure", "group"])
        }
    }
}

// MARK: Groups

extension Parser {
    static let maximumDepth = 16

    private mutating func parseGroup(depth: Int) throws(Diagnostic) -> Configuration.Group {
        var group = Configuration.Group(items: [], location: token.location)
        guard depth <= Self.maximumDepth else {
            throw Diagnostic(at: token.location, "groups nest at most \(Self.maximumDepth) levels deep")
        }
        try advance()
        let name = token
        switch name.kind {
        case .string(let text):
            try refuseControlCharacters(in: text)
            group.name = text
            try advance()
            group.direction = try parseDirection()
            group.interface = try parseInterface()
        case .word("default"):
            guard depth == 1 else {
                throw Diagnostic(at: name.location, "the default group stands at the top level, not inside a group")
            }
            guard defaultGroup == nil else {
                throw Diagnostic(at: name.location, "there is a default group already, and only one can be")
            }
            try advance()
        default:
            throw unexpected("`default` or a name in quotes")
        }
        if isAt(word: "layer-2") { throw notInThisVersion }
        try expect("{")
        while try startStatement(), !isAt("}") {
            group.items.append(try parseItem(depth: depth))
            guard isAtSeparator || isAt("}") else { throw unexpected("the end of the line or `}`") }
        }
        try advance()
        return group
    }

    private mutating func parseItem(depth: Int) throws(Diagnostic) -> Configuration.Item {
        switch token.kind {
        case .word("pass"), .word("block"):
            return .rule(try parseRule())
        case .word("group"):
            return .group(try parseGroup(depth: depth + 1))
        case .word("ruleset"):
            throw notInThisVersion
        case .word("set"), .word("procedure"), .word("table"), .word("alg"), .word("map"), .word("include"), .variable:
            throw Diagnostic(at: token.location, "\(token.quoted) stands outside of groups")
        default:
            throw unexpected("`pass`, `block`, `group` or `}`", words: ["pass", "block", "group"])
        }
    }

    /// Parses `[in|out]`.
    mutating func parseDirection() throws(Diagnostic) -> Configuration.Direction? {
        if isAt(word: "forw") { throw notInThisVersion }
        guard case .word(let word) = token.kind, let direction = Configuration.Direction(rawValue: word) else {
            return nil
        }
        try advance()
        return direction
    }

    /// Parses `[on INTERFACE]`.
    mutating func parseInterface() throws(Diagnostic) -> String? {
        guard try accept(word: "on") else { return nil }
        rescanName()
        let token = token
        let name: String
        switch token.kind {
        case .string(let text):
            name = text
        case .word(let word):
            try refuseInterfaceAddresses()
            try refuseKeyword()
            name = word
        case .variable(let variable):
            let values = try expand(variable, at: token.location)
            guard values.count == 1, case .name(let text) = values[0].value else {
                throw Diagnostic(at: token.location, "`on` takes one interface, which \(token.quoted) is not")
            }
            name = text
        default:
            throw unexpected("an interface")
        }
        guard Self.isInterfaceName(name) else {
            throw Diagnostic(
                at: token.location,
                "`\(name)` is no interface name: at most 15 bytes without blanks, `/` and `:`")
        }
        try advance()
        return name
    }

    /// Linux's own rule (`dev_valid_name` in net/core/dev.c).
    private static func isInterfaceName(_ name: String) -> Bool {
        1...15 ~= name.utf8.count && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
    }
}

// MARK: Tokens

extension Parser {
    /// Consumes the token.
    mutating func advance() throws(Diagnostic) {
        previous = token.quoted
        token = try lexer.next()
    }

    /// Skips separators; true, to be a part of a loop's condition.
    mutating func startStatement() throws(Diagnostic) -> Bool {
        while isAtSeparator { try advance() }
        previous = ""
        return true
    }

    /// Makes the word at hand one that may hold `-`, `.` and `@`.
    mutating func rescanName() {
        guard case .word = token.kind else { return }
        token = lexer.rescanAsName(token)
    }

    var isAtSeparator: Bool { token.kind == .newline || token.kind == .semicolon }

    func isAt(_ symbol: String) -> Bool { token.kind == .symbol(symbol) }

    func isAt(word: String) -> Bool { token.kind == .word(word) }

    mutating func accept(_ symbol: String) throws(Diagnostic) -> Bool {
        guard isAt(symbol) else { return false }
        try advance()
        return true
    }

    mutating func accept(word: String) throws(Diagnostic) -> Bool {
        guard isAt(word: word) else { return false }
        try advance()
        return true
    }

    mutating func expect(_ symbol: String) throws(Diagnostic) {
        guard try accept(symbol) else { throw unexpected("`\(symbol)`") }
    }

    /// A word or a string, for which the language makes no difference; nil where there is none.
    var text: String? {
        switch token.kind {
        case .word(let text), .string(let text): text
        default: nil
        }
    }

    /// `{ ELEMENT, … }` or one ELEMENT; in braces it may go over several lines and end in a comma.
    mutating func parseList(
        of element: (inout Parser) throws(Diagnostic) -> Void
    ) throws(Diagnostic) {
        guard try accept("{") else { return try element(&self) }
        repeat {
            while token.kind == .newline { try advance() }
            try element(&self)
            while token.kind == .newline { try advance() }
            guard try accept(",") else { break }
            while token.kind == .newline { try advance() }
        } while !isAt("}")
        guard try accept("}") else { throw unexpected("`,` or `}`") }
    }
}

// MARK: Errors

extension Parser {
    /// The error that something else than the token at hand is expected.
    func unexpected(_ expected: String, words: [String] = []) -> Diagnostic {
        var message = "expected \(expected)"
        if !previous.isEmpty { message += " after \(previous)" }
        message += ", not \(token.quoted)"
        if case .word(let word) = token.kind, let near = closest(to: word, among: words) {
            message += "; did you mean `\(near)`?"
        }
        return Diagnostic(at: token.location, message)
    }

    /// The error that the word at hand belongs to a part of the language that is not supported.
    var notInThisVersion: Diagnostic {
        Diagnostic(at: token.location, "\(token.quoted) is not in this version")
    }

    /// Throws if the word at hand is a keyword, which as a name needs quotes.
    func refuseKeyword() throws(Diagnostic) {
        guard case .word(let word) = token.kind, Keyword.all.contains(word) else { return }
        throw Diagnostic(
            at: token.location, "\(token.quoted) is a word of the language; as a name it needs quotes")
    }

    /// Throws if a name would not print on one line.
    func refuseControlCharacters(in name: String) throws(Diagnostic) {
        guard name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else { return }
        throw Diagnostic(at: token.location, "a name is one line of text without control characters")
    }

    /// Throws at `inet4(IF)` and its kin.
    func refuseInterfaceAddresses() throws(Diagnostic) {
        guard isAt(word: "inet4") || isAt(word: "inet6") || isAt(word: "ifaddrs") else { return }
        throw Diagnostic(
            at: token.location, "the addresses of an interface, \(token.quoted), are not in this version")
    }
}
