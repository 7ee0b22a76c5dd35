extension Parser {
    /// Parses `PROTOCOL` or `{ PROTOCOL, … }`, after `proto`.
    mutating func parseProtocols() throws(Diagnostic) -> [Configuration.ProtocolMatch] {
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
            advance()
            return number
        }
        guard let name = text else { throw unexpected("a protocol's name or number") }
        guard let number = WellKnown.protocols[name] else {
            let isICMPv6 = name == "icmp6" || name == "icmpv6"
            let known = isICMPv6 ? "ipv6-icmp" : closest(to: name, among: WellKnown.protocols.keys.sorted())
            let hint = known.map { "did you mean `\($0)`?" } ?? "write its number"
            throw Diagnostic(at: token.location, "the protocol `\(name)` is unknown; \(hint)")
        }
        advance()
        return number
    }

    /// Parses `[flags MATCH/MASK]` for TCP, `[icmp-type TYPE [code CODE]]` for ICMP.
    private mutating func parseOptions(of number: UInt8) throws(Diagnostic) -> Configuration.ProtocolOptions {
        if number == 6, accept(word: "flags") {
            let location = token.location
            let match = try parseFlags()
            guard accept("/") else { throw unexpected("`/` and a mask, as in `flags S/SAFR`,") }
            let mask = try parseFlags()
            guard match & ~mask == 0 else {
                throw Diagnostic(
                    at: location, "no packet matches these flags: those before `/` must be among those after it")
            }
            return .flags(match: match, mask: mask)
        }
        guard let names = WellKnown.icmpTypes[number], accept(word: "icmp-type") else { return .none }
        let type = try parseOctet(names, what: "an ICMP type")
        guard accept(word: "code") else { return .icmp(type: type, code: nil) }
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
        advance()
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
            advance()
            return octet
        case .name(let name):
            let hint = closest(to: name, among: names.keys.sorted()).map { "did you mean `\($0)`?" }
            throw Diagnostic(
                at: token.location, "`\(name)` is not \(what); \(hint ?? "write the number")")
        case .range, .prefix, .table, .interface, .variable, .unknown:
            throw Diagnostic(at: token.location, "\(token.quoted) does not hold \(what)")
        }
    }
}
