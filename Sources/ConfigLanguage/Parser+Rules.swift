extension Parser {
    /// The words after a rule's action, in the order in which they stand.
    private static let ruleWords = [
        "in", "out", "final", "quick", "on", "family", "proto", "all", "from", "to", "apply",
    ]

    /// Parses `ACTION [in|out] [final] [on IF] [family F] [proto P] FILTER [apply "PROCEDURE"]`.
    mutating func parseRule() throws(Diagnostic) -> Configuration.Rule {
        let location = token.location
        var rule = Configuration.Rule(action: try parseAction(), location: location)
        try refuseRuleWords()
        rule.direction = try parseDirection()
        if try accept(word: "final") { rule.isFinal = true } else { rule.isFinal = try accept(word: "quick") }
        rule.interface = try parseInterface()
        rule.family = try parseFamily()
        if try accept(word: "proto") { rule.protocols = try parseProtocols() }
        try refuseRuleWords()
        try parseFilter(&rule)
        if try accept(word: "apply") { rule.procedure = try parseApplied() }
        guard isAtSeparator || isAt("}") || token.kind == .end else {
            try refuseRuleWords()
            throw outOfPlace("the end of the line")
        }
        return rule
    }

    private mutating func parseAction() throws(Diagnostic) -> Configuration.Action {
        if try accept(word: "pass") { return .pass }
        try advance()
        if try accept(word: "return") { return .block(.both) }
        if try accept(word: "return-rst") { return .block(.rst) }
        if try accept(word: "return-icmp") { return .block(.icmp) }
        return .block(.none)
    }

    /// Throws at a word that begins a part of a rule which is not supported.
    private func refuseRuleWords() throws(Diagnostic) {
        let words = ["stateful", "stateful-all", "pcap-filter", "ether", "user", "group"]
        if case .word(let word) = token.kind, words.contains(word) { throw notInThisVersion }
    }

    private mutating func parseFamily() throws(Diagnostic) -> Configuration.Family? {
        guard try accept(word: "family") else { return nil }
        guard case .word(let word) = token.kind, let family = Configuration.Family(rawValue: word) else {
            throw unexpected("`inet4` or `inet6`", words: ["inet4", "inet6"])
        }
        try advance()
        return family
    }

    private mutating func parseFilter(_ rule: inout Configuration.Rule) throws(Diagnostic) {
        if try accept(word: "all") { return }
        var family = rule.family
        let isFrom = try accept(word: "from")
        if isFrom { rule.source = try parseEndpoint(of: rule.protocols, family: &family) }
        let isTo = try accept(word: "to")
        if isTo { rule.destination = try parseEndpoint(of: rule.protocols, family: &family) }
        if isFrom || isTo { return }
        if isAtSeparator || isAt("}") || isAt(word: "apply") {
            throw Diagnostic(
                at: token.location,
                "a rule needs `all`, `from` or `to` before \(token.quoted); `all` takes every packet")
        }
        throw outOfPlace("`all`, `from` or `to`")
    }

    /// The error that something else than the token at hand is expected, which may be a word of another place.
    private func outOfPlace(_ expected: String) -> Diagnostic {
        guard case .word(let word) = token.kind else { return unexpected(expected) }
        let message: String
        switch word {
        case _ where Self.ruleWords.contains(word):
            message =
                "`\(word)` is out of place: a rule says its action, `in` or `out`, `final`, `on`, `family`, `proto`, "
                + "`all` or `from` and `to`, and `apply`, in this order and each once"
        case "return", "return-rst", "return-icmp":
            message = "`\(word)` follows `block`"
        case "flags":
            message = "`flags` goes with `proto tcp` alone"
        case "icmp-type":
            message = "`icmp-type` goes with `proto icmp` or `proto ipv6-icmp` alone"
        case "port":
            message = "`port` follows an address, as in `to any port 22`"
        default:
            return unexpected(expected, words: Self.ruleWords)
        }
        return Diagnostic(at: token.location, message)
    }

    /// Parses `"PROCEDURE"`.
    private mutating func parseApplied() throws(Diagnostic) -> String {
        guard case .string(let name) = token.kind else { throw unexpected("a procedure's name in quotes") }
        guard procedureNames.contains(name) else {
            let near = closest(to: name, among: procedureNames.sorted()).map { "; did you mean `\"\($0)\"`?" }
            throw Diagnostic(
                at: token.location, "the procedure \(token.quoted) is not defined before this\(near ?? "")")
        }
        try advance()
        return name
    }
}

// MARK: Protocols

extension Parser {
    /// Parses `PROTOCOL` or `{ PROTOCOL, … }`, after `proto`.
    private mutating func parseProtocols() throws(Diagnostic) -> [Configuration.ProtocolMatch] {
        var protocols: [Configuration.ProtocolMatch] = []
        var options: SourceLocation?
        try parseList { parser throws(Diagnostic) in
            var match = Configuration.ProtocolMatch(number: try parser.parseProtocol())
            let location = parser.token.location
            match.options = try parser.parseOptions(of: match.number)
            if match.options != .none { options = location }
            protocols.append(match)
        }
        if let options, protocols.count > 1 {
            throw Diagnostic(at: options, "a list of protocols cannot have options; write a rule for each protocol")
        }
        return protocols
    }

    private mutating func parseProtocol() throws(Diagnostic) -> UInt8 {
        if case .number(let value) = token.kind {
            guard let number = UInt8(exactly: value) else {
                throw Diagnostic(at: token.location, "protocol numbers go from 0 to 255")
            }
            try advance()
            return number
        }
        guard let name = text else { throw unexpected("a protocol's name or number") }
        guard let number = WellKnown.protocols[name] else {
            let isICMPv6 = name == "icmp6" || name == "icmpv6"
            let known = isICMPv6 ? "ipv6-icmp" : closest(to: name, among: WellKnown.protocols.keys.sorted())
            let hint = known.map { "did you mean `\($0)`?" } ?? "write its number"
            throw Diagnostic(at: token.location, "the protocol `\(name)` is unknown; \(hint)")
        }
        try advance()
        return number
    }

    /// Parses `[flags MATCH/MASK]` for TCP, `[icmp-type TYPE [code CODE]]` for ICMP.
    private mutating func parseOptions(of number: UInt8) throws(Diagnostic) -> Configuration.ProtocolOptions {
        if number == 6, try accept(word: "flags") {
            let location = token.location
            let match = try parseFlags()
            guard try accept("/") else { throw unexpected("`/` and a mask, as in `flags S/SAFR`,") }
            let mask = try parseFlags()
            guard match & ~mask == 0 else {
                throw Diagnostic(
                    at: location, "no packet matches these flags: those before `/` must be among those after it")
            }
            return .flags(match: match, mask: mask)
        }
        guard let names = WellKnown.icmpTypes[number], try accept(word: "icmp-type") else { return .none }
        let type = try parseOctet(names, what: "an ICMP type")
        guard try accept(word: "code") else { return .icmp(type: type, code: nil) }
        let codes = WellKnown.icmpCodes[number]?[type] ?? [:]
        return .icmp(type: type, code: try parseOctet(codes, what: "a code of ICMP type \(type)"))
    }

    private mutating func parseFlags() throws(Diagnostic) -> UInt8 {
        guard case .word(let word) = token.kind else { throw unexpected("TCP flags out of `FSRPAUEW`") }
        var flags: UInt8 = 0
        for letter in word.utf8 {
            guard let bit = WellKnown.tcpFlags.utf8.firstIndex(of: letter) else {
                throw Diagnostic(
                    at: token.location,
                    "`\(Character(Unicode.Scalar(letter)))` is no TCP flag; the flags are `FSRPAUEW`")
            }
            flags |= 1 << UInt8(WellKnown.tcpFlags.utf8.distance(from: WellKnown.tcpFlags.startIndex, to: bit))
        }
        try advance()
        return flags
    }

    /// Parses a number below 256, one of `names`, or a variable that holds one of the two.
    private mutating func parseOctet(_ names: [String: UInt8], what: String) throws(Diagnostic) -> UInt8 {
        rescanName()
        let token = token
        var value: VariableElement.Value
        switch token.kind {
        case .number(let number): value = .number(number)
        case .word(let name), .string(let name): value = .name(name)
        case .variable(let name):
            let values = try expand(name, at: token.location)
            guard values.count == 1 else {
                throw Diagnostic(at: token.location, "`$\(name)` holds \(values.count) values, not \(what)")
            }
            value = values[0].value
        default: throw unexpected(what)
        }
        if case .name(let name) = value, let number = names[name] { value = .number(UInt64(number)) }
        switch value {
        case .number(let number):
            guard let octet = UInt8(exactly: number) else {
                throw Diagnostic(at: token.location, "\(number) is not \(what): these go from 0 to 255")
            }
            try advance()
            return octet
        case .name(let name):
            let hint = closest(to: name, among: names.keys.sorted()).map { "did you mean `\($0)`?" }
            throw Diagnostic(
                at: token.location, "`\(name)` is not \(what); \(hint ?? "write the number")")
        case .range, .prefix, .variable:
            throw Diagnostic(at: token.location, "\(token.quoted) does not hold \(what)")
        }
    }
}
