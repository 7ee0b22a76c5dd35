import ConfigLanguage
import Packet

/// Lowers a configuration to the flat arrays of the packet path.
struct RulesetCompiler {
    let parameters: Parameters
    private(set) var procedures: [Procedure] = []
    private(set) var descriptions: [RuleDescription]
    private(set) var interfaceNames: [String] = []
    private(set) var entries: [Entry] = []
    private(set) var addresses: [NumberRange<UInt128>] = []
    private(set) var ports: [NumberRange<UInt16>] = []
    private(set) var protocols: [NumberRange<UInt8>] = []

    private var interfaceIDs: [String: UInt16] = [:]
    private var procedureIndices: [String: Int32] = [:]

    init(_ configuration: Configuration) throws(Diagnostic) {
        parameters = Parameters(configuration.settings)
        descriptions = [RuleDescription(kind: .noMatch, text: "no rule matched", location: nil, depth: 0)]
        for procedure in configuration.procedures {
            procedureIndices[procedure.name] = Int32(procedures.count)
            procedures.append(Procedure(name: procedure.name, call: try ScriptCall(procedure.call, within: parameters)))
        }
        for group in configuration.groups {
            try append(group, depth: 0)
        }
    }

    /// Appends a group and its members, at most 16 levels deep.
    private mutating func append(_ group: Configuration.Group, depth: Int) throws(Diagnostic) {
        var header = Entry()
        header.isGroup = true
        require(group.direction, in: &header)
        try require(group.interface, at: group.location, in: &header)
        let index = entries.count
        append(header, RuleDescription(kind: .group, text: group.headerText, location: group.location, depth: depth))
        for item in group.items {
            switch item {
            case .group(let group): try append(group, depth: depth + 1)
            case .rule(let rule): try append(rule, depth: depth + 1)
            }
        }
        entries[index].end = Int32(entries.count)
    }

    private mutating func append(_ rule: Configuration.Rule, depth: Int) throws(Diagnostic) {
        var entry = Entry()
        if case .block(let returnPolicy) = rule.action {
            entry.blocks = true
            entry.returnPolicy = returnPolicy
        }
        require(rule.direction, in: &entry)
        entry.isFinal = rule.isFinal
        try require(rule.interface, at: rule.location, in: &entry)
        if let family = rule.family ?? rule.impliedFamily {
            entry.key.require(.isIPv6, family == .inet6 ? 1 : 0, mask: 1)
        }
        if let name = rule.procedure { entry.procedure = procedureIndices[name] ?? -1 }
        entry.source = endpointTest(rule.source)
        entry.destination = endpointTest(rule.destination)
        requireProtocols(of: rule, in: &entry)
        append(entry, RuleDescription(kind: .rule, text: rule.text, location: rule.location, depth: depth))
    }

    private mutating func append(_ entry: Entry, _ description: RuleDescription) {
        var description = description
        if entry.procedure >= 0 { description.procedure = Int(entry.procedure) }
        entries.append(entry)
        descriptions.append(description)
    }

    private mutating func requireProtocols(of rule: Configuration.Rule, in entry: inout Entry) {
        let hasPorts = entry.source.portCount > 0 || entry.destination.portCount > 0
        // A later fragment has no header of layer 4 to compare.
        if hasPorts { entry.key.require(.isLaterFragment, 0, mask: 1) }
        guard let first = rule.protocols.first, rule.protocols.count == 1 else {
            var numbers = rule.protocols.map(\.number)
            if numbers.isEmpty && hasPorts { numbers = [IPProtocol.tcp.rawValue, IPProtocol.udp.rawValue] }
            let ranges = NumberRange.merged(numbers.map { NumberRange(first: $0, last: $0) })
            entry.firstProtocol = Int32(protocols.count)
            entry.protocolCount = Int32(ranges.count)
            protocols += ranges
            return
        }
        entry.key.require(.transportProtocol, first.number, mask: UInt8.max)
        switch first.options {
        case .none:
            break
        case .flags(let match, let mask):
            entry.key.require(.isLaterFragment, 0, mask: 1)
            entry.key.require(.flags, match, mask: mask)
        case .icmp(let type, let code):
            entry.key.require(.isLaterFragment, 0, mask: 1)
            entry.key.require(
                .icmp, UInt16(type) << 8 | UInt16(code ?? 0), mask: code == nil ? 0xff00 : UInt16.max)
        }
    }

    private mutating func endpointTest(_ endpoint: Configuration.Endpoint) -> EndpointTest {
        let addressRanges = NumberRange.merged(
            endpoint.addresses.map {
                switch $0 {
                case .prefix(let prefix): NumberRange(first: prefix.address, last: prefix.lastAddress)
                }
            })
        let portRanges = NumberRange.merged(endpoint.ports.map { NumberRange(first: $0.first, last: $0.last) })
        let test = EndpointTest(
            firstAddress: Int32(addresses.count), addressCount: Int32(addressRanges.count),
            firstPort: Int32(ports.count), portCount: Int32(portRanges.count), isNegated: endpoint.isNegated)
        addresses += addressRanges
        ports += portRanges
        return test
    }

    private func require(_ direction: Configuration.Direction?, in entry: inout Entry) {
        guard let direction else { return }
        let packetDirection: Direction = direction == .in ? .in : .out
        entry.key.require(.direction, packetDirection.rawValue, mask: 1)
    }

    private mutating func require(
        _ interface: String?, at location: SourceLocation, in entry: inout Entry
    ) throws(Diagnostic) {
        guard let interface else { return }
        if interfaceIDs[interface] == nil {
            guard let id = UInt16(exactly: interfaceNames.count + 1) else {
                throw Diagnostic(at: location, "a configuration names at most 65535 interfaces")
            }
            interfaceNames.append(interface)
            interfaceIDs[interface] = id
        }
        entry.key.require(.interface, interfaceIDs[interface] ?? 0, mask: UInt16.max)
    }
}

extension Configuration.Rule {
    /// The family that the rule's addresses are of; negated ones match packets of their family only, too.
    fileprivate var impliedFamily: Configuration.Family? {
        switch source.addresses.first ?? destination.addresses.first {
        case .prefix(let prefix): prefix.family
        case nil: nil
        }
    }
}
