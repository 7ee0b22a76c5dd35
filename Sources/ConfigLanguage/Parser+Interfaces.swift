extension Parser {
    /// Parses `[on INTERFACE]`.
    mutating func parseInterface() throws(Diagnostic) -> String? {
        guard accept(word: "on") else { return nil }
        if isAtInterfaceFunction { return try parseInterfaceFunction().name }
        return try parseInterfaceName(allowsAddresses: true)
    }

    /// Parses an interface's name, which may stand in a variable.
    ///
    /// - Parameter allowsAddresses: Whether the variable may hold the interface's addresses, as in `inet4(lo)`.
    private mutating func parseInterfaceName(allowsAddresses: Bool) throws(Diagnostic) -> String {
        rescanName()
        let name: String
        switch token.kind {
        case .string(let text):
            name = text
        case .word(let word):
            try throwIfKeyword()
            name = word
        case .variable(let variable):
            let values = try expand(variable, at: token.location)
            switch values.first?.value {
            case .name(let text)? where values.count == 1: name = text
            case .interface(let text, _)? where values.count == 1 && allowsAddresses: name = text
            default:
                throw Diagnostic(at: token.location, "one interface stands here, which \(token.quoted) is not")
            }
        default:
            throw unexpected("an interface")
        }
        guard Self.isInterfaceName(name) else { throw notAnInterface(name) }
        advance()
        return name
    }

    /// Whether the token at hand is `inet4`, `inet6` or `ifaddrs`.
    var isAtInterfaceFunction: Bool { isAt(word: "inet4") || isAt(word: "inet6") || isAt(word: "ifaddrs") }

    /// Parses `inet4(INTERFACE)` and its like.
    mutating func parseInterfaceFunction() throws(Diagnostic) -> (name: String, family: Configuration.Family?) {
        guard case .word(let word) = token.kind else { throw unexpected("`inet4`, `inet6` or `ifaddrs`") }
        if isDynamicRule {
            throw Diagnostic(at: token.location, "`\(word)`: a rule of a dynamic ruleset names addresses or a table")
        }
        advance()
        try expect("(")
        let name = try parseInterfaceName(allowsAddresses: false)
        try expect(")")
        return (name, Configuration.Family(rawValue: word))
    }

    func notAnInterface(_ name: String) -> Diagnostic {
        Diagnostic(
            at: token.location,
            "`\(name)` is no interface name: at most 15 bytes without blanks, quotes, `/` and `:`")
    }

    /// Linux's own rule (`dev_valid_name` in net/core/dev.c), and no quotes, which the language could not write.
    static func isInterfaceName(_ name: String) -> Bool {
        1...15 ~= name.utf8.count && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && !"/:\"".utf8.contains($0) }
    }
}
