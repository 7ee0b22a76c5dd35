extension Parser {
    static let maximumDepth = 16

    /// Parses `group "NAME" [in|out] [on INTERFACE] { … }` or `group default { … }`.
    ///
    /// After a mistake in its header its members are parsed all the same, to find theirs.
    mutating func parseGroup(depth: Int) throws(Diagnostic) -> Configuration.Group {
        var group = Configuration.Group(location: token.location)
        var mistake: Diagnostic?
        do throws(Diagnostic) {
            try parseHeader(of: &group, depth: depth)
            try expect("{")
        } catch {
            note(error)
            mistake = error
            let isOurBlock = skipToBlock()
            guard isOurBlock, depth <= Self.maximumDepth, !isLayer2(error) else {
                if isOurBlock { skipBlock() }
                throw error
            }
        }
        parseItems(of: &group, depth: depth)
        guard accept("}") else {
            throw Diagnostic(
                at: token.location,
                "the group of line \(group.location.line) has no `}`, and here is the end of the file")
        }
        if let mistake { throw mistake }
        return group
    }

    private mutating func parseHeader(of group: inout Configuration.Group, depth: Int) throws(Diagnostic) {
        guard depth <= Self.maximumDepth else {
            throw Diagnostic(at: token.location, "groups nest at most \(Self.maximumDepth) levels deep")
        }
        advance()
        let location = token.location
        switch token.kind {
        case .string:
            group.name = try parseQuotedName("a group's name")
            group.direction = try parseDirection()
            group.interface = try parseInterface()
        case .word("default"):
            guard depth == 1 else {
                throw Diagnostic(at: location, "the default group stands at the top level, not inside a group")
            }
            guard !sawDefaultGroup else {
                throw Diagnostic(at: location, "there is a default group already, and only one can be")
            }
            sawDefaultGroup = true
            advance()
        default:
            throw unexpected("`default` or a name in quotes")
        }
        if isAt(word: "layer-2") { throw layer2 }
    }

    /// Goes on behind the statement's `{`, if there is one on its line or at the beginning of the next.
    mutating func skipToBlock() -> Bool {
        while !isAt("{") && !isAtEndOfItem { advance() }
        while token.kind == .newline { advance() }
        return accept("{")
    }

    /// Parses rules, groups and rulesets up to a `}` or the end of the file.
    private mutating func parseItems(of group: inout Configuration.Group, depth: Int) {
        while startStatement(), !isAt("}"), token.kind != .end {
            attempt(inGroup: true) { parser throws(Diagnostic) in
                try parser.parseItem(of: &group, depth: depth)
                guard parser.isAtEndOfItem else { throw parser.unexpected("the end of the line or `}`") }
            }
        }
    }

    private mutating func parseItem(of group: inout Configuration.Group, depth: Int) throws(Diagnostic) {
        switch token.kind {
        case .word("pass"), .word("block"):
            group.items.append(.rule(try parseRule()))
        case .word("group"):
            group.items.append(.group(try parseGroup(depth: depth + 1)))
        case .word("ruleset"):
            group.items.append(.ruleset(try parseRuleset()))
        case .word("include"):
            try parseInclude { $0.parseItems(of: &group, depth: depth) }
        case .word("set"), .word("procedure"), .word("table"), .word("alg"), .word("map"), .variable:
            throw Diagnostic(at: token.location, "\(token.quoted) stands outside of groups")
        default:
            throw unexpected(
                "`pass`, `block`, `group`, `ruleset`, `include` or `}`",
                words: ["pass", "block", "group", "ruleset", "include"])
        }
    }

    /// Parses `ruleset "NAME" [in|out] [on INTERFACE]`.
    private mutating func parseRuleset() throws(Diagnostic) -> Configuration.DynamicRuleset {
        var ruleset = Configuration.DynamicRuleset(name: "", location: token.location)
        advance()
        let location = token.location
        ruleset.name = try parseQuotedName("a ruleset's name")
        guard !rulesets.contains(ruleset.name) else {
            throw Diagnostic(
                at: location, "there is a ruleset `\"\(ruleset.name)\"` already; give this one another name")
        }
        guard !ruleset.name.hasPrefix("map:") else {
            throw Diagnostic(
                at: location,
                "names that begin with `map:` are for rulesets of address translation, which the kernel does")
        }
        rulesets.declare(ruleset.name, at: location)
        ruleset.direction = try parseDirection()
        ruleset.interface = try parseInterface()
        return ruleset
    }

    /// Parses `[in|out]`.
    mutating func parseDirection() throws(Diagnostic) -> Configuration.Direction? {
        if isAt(word: "forw") {
            throw Diagnostic(
                at: token.location,
                "`forw`: a forwarded packet is decided `in` on one interface and `out` on another; write one of these")
        }
        guard case .word(let word) = token.kind, let direction = Configuration.Direction(rawValue: word) else {
            return nil
        }
        advance()
        return direction
    }

    // MARK: Layer 2

    private var layer2: Diagnostic { layer2Refusal(at: token.location, "layer-2") }

    /// The refusal of `word` and of all that stands in a block behind it.
    func layer2Refusal(at location: SourceLocation, _ word: String) -> Diagnostic {
        Diagnostic(
            at: location,
            "`\(word)`: only IP packets come here; filter frames with a table of nftables for `bridge` or `netdev`")
    }

    private func isLayer2(_ error: Diagnostic) -> Bool {
        error == layer2Refusal(at: error.location, "layer-2")
    }
}
