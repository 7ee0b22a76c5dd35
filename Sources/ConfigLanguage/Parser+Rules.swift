extension Configuration.Rule {
    /// The bytes that a rule of a dynamic ruleset takes at most.
    public static let maximumDynamicLength = 1024

    /// Parses a rule for a dynamic ruleset, as `npfctl rule NAME add` takes it.
    ///
    /// It refers to nothing in the configuration but its tables.
    ///
    /// - Throws: The errors, whose file is `rule`.
    public init(parsingDynamic text: String, tables: [String]) throws(ConfigurationErrors) {
        self = try Parser.parseDynamicRule(text, tables: tables)
    }
}

extension Parser {
    /// The words after a rule's action, in the order in which they stand.
    private static let ruleWords = [
        "stateful", "stateful-all", "in", "out", "final", "quick", "on", "family", "proto", "pcap-filter", "all",
        "from", "to", "lua-filter", "apply",
    ]

    static func parseDynamicRule(
        _ text: String, tables: [String]
    ) throws(ConfigurationErrors) -> Configuration.Rule {
        var parser = Parser(Array(text.utf8), file: "rule") { _ in [] }
        parser.isDynamicRule = true
        for table in tables { parser.tables.declare(table, at: parser.token.location) }
        let start = parser.token.location
        var parsed: Configuration.Rule?
        if text.utf8.count > Configuration.Rule.maximumDynamicLength {
            let limit = Configuration.Rule.maximumDynamicLength
            parser.note(Diagnostic(at: start, "a rule of a dynamic ruleset has at most \(limit) bytes"))
        }
        parser.attempt(inGroup: true) { parser throws(Diagnostic) in
            guard parser.isAt(word: "pass") || parser.isAt(word: "block") else {
                throw parser.unexpected("`pass` or `block`", words: ["pass", "block"])
            }
            let rule = try parser.parseRule()
            guard parser.token.kind == .end else { throw parser.unexpected("the end of the rule") }
            parsed = rule
        }
        guard let parsed, parser.errors.isEmpty else { throw ConfigurationErrors(parser.errors) }
        return parsed
    }

    /// Parses `ACTION [stateful] [in|out] [final] [on IF] FILTER [lua-filter "FILE"] [apply "PROCEDURE"]`.
    mutating func parseRule() throws(Diagnostic) -> Configuration.Rule {
        let location = token.location
        var rule = Configuration.Rule(action: parseAction(), location: location)
        if isAt(word: "ether") { throw layer2Refusal(at: token.location, "ether") }
        rule.state = try parseState(of: rule)
        rule.direction = try parseDirection()
        if accept(word: "final") { rule.isFinal = true } else { rule.isFinal = accept(word: "quick") }
        rule.interface = try parseInterface()
        if isAt(word: "pcap-filter") {
            rule.packetFilter = try parsePacketFilter()
        } else {
            rule.family = try parseFamily()
            if accept(word: "proto") { rule.protocols = try parseProtocols() }
            try parseFilter(&rule)
        }
        try refuseOwners()
        if isAt(word: "lua-filter") { rule.scriptFilter = try parseScriptFilter() }
        if isAt(word: "apply") { rule.procedure = try parseApplied() }
        guard isAtEndOfItem else { throw outOfPlace("the end of the line") }
        warnAboutProcedure(of: rule)
        return rule
    }

    private mutating func parseAction() -> Configuration.Action {
        if accept(word: "pass") { return .pass }
        advance()
        if accept(word: "return") { return .block(.both) }
        if accept(word: "return-rst") { return .block(.rst) }
        if accept(word: "return-icmp") { return .block(.icmp) }
        return .block(.none)
    }

    private mutating func parseState(of rule: Configuration.Rule) throws(Diagnostic) -> StateKind {
        let location = token.location
        let kind: StateKind
        if accept(word: "stateful") {
            kind = .stateful
        } else if accept(word: "stateful-all") {
            kind = .statefulAll
        } else {
            return .none
        }
        if rule.action != .pass { warn(at: location, "a packet that is blocked makes no state") }
        return kind
    }

    private mutating func parseFamily() throws(Diagnostic) -> Configuration.Family? {
        guard accept(word: "family") else { return nil }
        guard case .word(let word) = token.kind, let family = Configuration.Family(rawValue: word) else {
            throw unexpected("`inet4` or `inet6`", words: ["inet4", "inet6"])
        }
        advance()
        return family
    }

    private mutating func parsePacketFilter() throws(Diagnostic) -> Configuration.PacketFilter {
        advance()
        let location = token.location
        return Configuration.PacketFilter(
            expression: try parseQuotedName("an expression of pcap-filter(7)"), location: location)
    }

    private mutating func parseFilter(_ rule: inout Configuration.Rule) throws(Diagnostic) {
        if accept(word: "all") { return }
        wholeFamily = nil
        defer { warnAboutFamily(of: rule) }
        var family = rule.family
        let isFrom = accept(word: "from")
        if isFrom { rule.source = try parseEndpoint(of: rule.protocols, family: &family) }
        let isTo = accept(word: "to")
        if isTo { rule.destination = try parseEndpoint(of: rule.protocols, family: &family) }
        if isFrom || isTo { return }
        if isAtEndOfItem || isAt(word: "apply") || isAt(word: "lua-filter") {
            throw Diagnostic(
                at: token.location,
                "a rule needs `all`, `from` or `to` before \(token.quoted); `all` takes every packet")
        }
        if isAt(word: "pcap-filter") {
            throw Diagnostic(
                at: token.location, "`pcap-filter` stands instead of `family` and `proto`, which its expression can say"
            )
        }
        try refuseOwners()
        throw outOfPlace("`all`, `from` or `to`")
    }

    /// Warns of `0.0.0.0/0` and `::/0` where they do not mean the one family that they look like.
    private mutating func warnAboutFamily(of rule: Configuration.Rule) {
        guard let (prefix, location) = wholeFamily, rule.effectiveFamily == nil else { return }
        warn(
            at: location,
            "`\(prefix)` is `any` as in NPF, of both families; say `family \(prefix.family.rawValue)` for this one alone"
        )
    }

    /// Throws at NetBSD's criteria on the owner of a packet's socket.
    private func refuseOwners() throws(Diagnostic) {
        guard isAt(word: "user") || isAt(word: "group") else { return }
        let key = isAt(word: "user") ? "skuid" : "skgid"
        throw Diagnostic(
            at: token.location,
            "\(token.quoted): who owns a packet's socket is not known here; match it with `meta \(key)` of nftables")
    }

    /// The error that something else than the token at hand is expected, which may be a word of another place.
    private func outOfPlace(_ expected: String) -> Diagnostic {
        guard case .word(let word) = token.kind else { return unexpected(expected) }
        let message: String
        switch word {
        case _ where Self.ruleWords.contains(word):
            message =
                "`\(word)` is out of place: a rule says its action, `stateful`, `in` or `out`, `final`, `on`, `family`, "
                + "`proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and each once"
        case "return", "return-rst", "return-icmp":
            message = "`\(word)` follows `block`"
        case "flags":
            message = "`flags` goes with `proto tcp` alone"
        case "icmp-type":
            message = "`icmp-type` goes with `proto icmp` or `proto ipv6-icmp` alone"
        case "port":
            message = "`port` follows an address, as in `to any port 22`"
        case "log":
            message =
                "`log` is a procedure's call: write `procedure \"log\" { log: npflog0 }`, and `apply \"log\"` at the end"
        case "keep":
            message = "connections are kept by `stateful` behind `pass`"
        default:
            return unexpected(expected, words: Self.ruleWords)
        }
        return Diagnostic(at: token.location, message)
    }

    // MARK: Scripts and procedures

    /// Parses `lua-filter "FILE" [call NAME]`.
    private mutating func parseScriptFilter() throws(Diagnostic) -> Configuration.ScriptFilter {
        try refuseInDynamicRule()
        advance()
        let location = token.location
        var filter = Configuration.ScriptFilter(file: try parseFile(), location: location)
        if accept(word: "call") { filter.function = try parseFunction() }
        return filter
    }

    /// Parses `apply "PROCEDURE"`.
    private mutating func parseApplied() throws(Diagnostic) -> String {
        try refuseInDynamicRule()
        advance()
        let location = token.location
        guard case .string = token.kind else { throw unexpected("a procedure's name in quotes") }
        let name = try parseQuotedName("a procedure's name")
        guard procedures.contains(name) else {
            throw undefined(
                "procedure", name, among: procedures.places.keys, written: { "\"\($0)\"" },
                by: "procedure \"\(name)\" { … }", at: location)
        }
        procedures.use(name)
        return name
    }

    private func refuseInDynamicRule() throws(Diagnostic) {
        guard isDynamicRule else { return }
        throw Diagnostic(
            at: token.location, "\(token.quoted): a rule of a dynamic ruleset has no scripts and procedures")
    }

    private mutating func warnAboutProcedure(of rule: Configuration.Rule) {
        guard rule.action != .pass, let procedure = configuration.procedures.first(where: { $0.name == rule.procedure })
        else { return }
        let runsScript = procedure.calls.contains { if case .lua = $0 { true } else { false } }
        guard runsScript else { return }
        warn(
            at: rule.location,
            "the packet is blocked whatever the script of `\"\(procedure.name)\"` says: scripts turn a pass into a block, "
                + "never the reverse")
    }
}
