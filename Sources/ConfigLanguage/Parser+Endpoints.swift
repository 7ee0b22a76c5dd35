extension Parser {
    /// Parses `[!] ADDRESSES [port PORTS]`.
    ///
    /// - Parameters:
    ///   - protocols: The rule's protocols, which must have ports if the rule names some.
    ///   - family: The family that the rule is about so far; a literal address states it where nothing did.
    mutating func parseEndpoint(
        of protocols: [Configuration.ProtocolMatch], family: inout Configuration.Family?
    ) throws(Diagnostic) -> Configuration.Endpoint {
        var endpoint = Configuration.Endpoint()
        let location = token.location
        endpoint.isNegated = accept("!")
        endpoint.addresses = try parseAddresses(family: &family)
        if endpoint.isNegated && endpoint.addresses.isEmpty {
            throw Diagnostic(at: location, "nothing matches `!` with all addresses; write `any` or other addresses")
        }
        guard isAt(word: "port") else { return endpoint }
        if let other = protocols.first(where: { $0.number != 6 && $0.number != 17 }) {
            throw Diagnostic(
                at: token.location,
                "`port` goes with `proto tcp`, `proto udp` or `proto { tcp, udp }`, not with protocol \(other.number)")
        }
        advance()
        endpoint.ports = try parsePorts()
        return endpoint
    }

    /// Parses `any`, `ADDRESS` or `{ ADDRESS, … }`; empty where all addresses match.
    private mutating func parseAddresses(
        family: inout Configuration.Family?
    ) throws(Diagnostic) -> [Configuration.AddressElement] {
        if accept(word: "any") { return [] }
        let location = token.location
        var addresses: [Configuration.AddressElement] = []
        var sharedFamily = family
        try parseList { parser throws(Diagnostic) in
            let start = parser.token.location
            for element in try parser.parseAddressElement() {
                if let family = element.family {
                    guard sharedFamily == nil || sharedFamily == family else {
                        throw Diagnostic(
                            at: start,
                            "`\(element.text)` is \(family == .inet4 ? "IPv4" : "IPv6"), and the rule is about the other "
                                + "family; write a rule for each")
                    }
                    sharedFamily = family
                }
                addresses.append(element)
            }
        }
        // As in NPF the network of all addresses is `any`, which is no criterion and leaves the family open.
        for case .prefix(let prefix) in addresses where prefix.length == 0 {
            wholeFamily = (prefix, location)
            return []
        }
        family = sharedFamily
        return addresses
    }

    private mutating func parseAddressElement() throws(Diagnostic) -> [Configuration.AddressElement] {
        let location = token.location
        switch token.kind {
        case .table(let name):
            try use(table: name, at: location)
            advance()
            return [.table(name)]
        case .variable(let name):
            let elements = try expand(name, at: location).map { element throws(Diagnostic) in
                try addressElement(element, of: name, at: location)
            }
            advance()
            return elements
        case .word where isAtInterfaceFunction:
            let (name, family) = try parseInterfaceFunction()
            return [.interface(name, family: family)]
        default:
            return [.prefix(try parsePrefix())]
        }
    }

    private func addressElement(
        _ element: VariableElement, of name: String, at location: SourceLocation
    ) throws(Diagnostic) -> Configuration.AddressElement {
        switch element.value {
        case .prefix(let prefix): return .prefix(prefix)
        case .table(let table): return .table(table)
        case .interface(let interface, let family): return .interface(interface, family: family)
        // As in NPF an interface's name stands for its addresses; those of both families, so nothing is left out.
        case .name(let interface) where Self.isInterfaceName(interface): return .interface(interface, family: nil)
        case .name, .number, .range, .variable, .unknown:
            throw Diagnostic(at: location, "`$\(name)` holds something else than addresses")
        }
    }

    /// Notes that the table `name` is used.
    mutating func use(table name: String, at location: SourceLocation) throws(Diagnostic) {
        guard tables.contains(name) else {
            throw undefined(
                "table", name, among: tables.places.keys, written: { "<\($0)>" }, by: "table <\(name)> type ipset",
                at: location)
        }
        tables.use(name)
    }

    /// Parses `ADDRESS [/ LENGTH|MASK]`.
    mutating func parsePrefix() throws(Diagnostic) -> AddressPrefix {
        let location = token.location
        guard case .address(let text) = token.kind else {
            if isAt("!") { throw Diagnostic(at: location, "`!` stands before a whole list, not inside it") }
            if isAt(word: "port") {
                throw Diagnostic(
                    at: location, "expected an address before `port`; `any port …` takes those of every address")
            }
            if case .word = token.kind, !isAt(word: "any") {
                rescanName()
                throw Diagnostic(
                    at: location, "expected an address, not \(token.quoted); names of hosts are not resolved")
            }
            throw unexpected("an address")
        }
        guard let (family, address) = parseAddress(text.utf8) else { throw malformedAddress(text) }
        advance()
        guard accept("/") else {
            return AddressPrefix(family: family, address: address, length: family.bitWidth)
        }
        let length = try parsePrefixLength(family)
        let prefix = AddressPrefix(family: family, address: address, length: length)
        guard prefix.address == address else {
            throw Diagnostic(
                at: location, "`\(text)/\(length)` has bits behind its prefix; the network is `\(prefix)`")
        }
        return prefix
    }

    private mutating func parsePrefixLength(_ family: Configuration.Family) throws(Diagnostic) -> Int {
        let location = token.location
        switch token.kind {
        case .number(let value):
            guard value <= family.bitWidth else {
                let name = family == .inet4 ? "IPv4" : "IPv6"
                throw Diagnostic(at: location, "an \(name) prefix has at most \(family.bitWidth) bits, not \(value)")
            }
            advance()
            return Int(value)
        case .address(let text):
            guard family == .inet4, let (maskFamily, mask) = parseAddress(text.utf8), maskFamily == .inet4 else {
                throw Diagnostic(at: location, "expected a prefix's length after `/`, not `\(text)`")
            }
            let length = (~UInt32(truncatingIfNeeded: mask)).leadingZeroBitCount
            guard AddressPrefix(family: .inet4, address: .max >> 96, length: length).address == mask else {
                throw Diagnostic(at: location, "the mask `\(text)` has gaps; write a prefix's length, such as `/24`")
            }
            advance()
            return length
        default:
            throw unexpected("a prefix's length")
        }
    }

    private func malformedAddress(_ text: String) -> Diagnostic {
        let groups = text.split(separator: ":", omittingEmptySubsequences: false)
        if groups.count == 6, groups.allSatisfy({ $0.utf8.count == 2 }) {
            return layer2Refusal(at: token.location, text)
        }
        let form =
            text.utf8.contains(UInt8(ascii: ":"))
            ? "it has eight groups of hexadecimal digits, or `::` for the groups of zeros"
            : "it has four numbers up to 255 without leading zeros"
        return Diagnostic(at: token.location, "`\(text)` is no address: \(form)")
    }
}

// MARK: Ports

extension Parser {
    /// Parses `RANGE` or `{ RANGE, … }`, after `port`.
    private mutating func parsePorts() throws(Diagnostic) -> [Configuration.PortRange] {
        if isAt("!") { throw Diagnostic(at: token.location, "`!` stands before addresses only, not before ports") }
        var ports: [Configuration.PortRange] = []
        try parseList { parser throws(Diagnostic) in ports += try parser.parsePortElement() }
        return ports
    }

    private mutating func parsePortElement() throws(Diagnostic) -> [Configuration.PortRange] {
        let location = token.location
        if case .variable(let name) = token.kind {
            let ranges = try expand(name, at: location).map { element throws(Diagnostic) in
                switch element.value {
                case .number(let port): try portRange(port, port, at: element.location)
                case .range(let first, let last): try portRange(first, last, at: element.location)
                case .name(let name): try namedPort(name, at: element.location)
                case .prefix, .table, .interface, .variable, .unknown:
                    throw Diagnostic(at: location, "`$\(name)` holds something else than ports")
                }
            }
            advance()
            return ranges
        }
        let first = try parsePort()
        guard accept("-") else { return [first] }
        let last = try parsePort()
        return [try portRange(UInt64(first.first), UInt64(last.first), at: location)]
    }

    /// Parses a port's number or name, as a range of one.
    private mutating func parsePort() throws(Diagnostic) -> Configuration.PortRange {
        let location = token.location
        let port: Configuration.PortRange
        if case .number(let number) = token.kind {
            port = try portRange(number, number, at: location)
        } else if let name = text {
            port = try namedPort(name, at: location)
        } else {
            throw unexpected("a port")
        }
        advance()
        return port
    }

    private func portRange(
        _ first: UInt64, _ last: UInt64, at location: SourceLocation
    ) throws(Diagnostic) -> Configuration.PortRange {
        guard let first = UInt16(exactly: first), let last = UInt16(exactly: last) else {
            throw Diagnostic(at: location, "\(max(first, last)) is no port: they go from 0 to 65535")
        }
        guard first <= last else {
            throw Diagnostic(at: location, "no port is in the range \(first)-\(last); write \(last)-\(first)")
        }
        return Configuration.PortRange(first: first, last: last)
    }

    private func namedPort(_ name: String, at location: SourceLocation) throws(Diagnostic) -> Configuration.PortRange {
        guard let port = WellKnown.ports[name] else {
            let near = closest(to: name, among: WellKnown.ports.keys.sorted())
            let hint = near.map { "did you mean `\($0)`?" } ?? "write its number, or quote a name with `-`"
            throw Diagnostic(at: location, "the port name `\(name)` is unknown; \(hint)")
        }
        return Configuration.PortRange(first: port, last: port)
    }
}

extension Configuration.AddressElement {
    /// The family that the element implies.
    fileprivate var family: Configuration.Family? {
        switch self {
        case .prefix(let prefix): prefix.family
        case .interface(_, let family): family
        case .table: nil
        }
    }
}
