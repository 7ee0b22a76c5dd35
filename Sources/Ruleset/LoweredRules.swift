import ConfigLanguage
import Packet

/// Rules on their way to the packet path's memory: flat arrays, in which equal lists stand once.
struct LoweredRules {
    private(set) var entries: [Entry] = []
    private(set) var lists: [EndpointLists] = []
    private(set) var rests: [RestTest] = []
    private(set) var addresses: [NumberRange<UInt128>] = []
    private(set) var hashes: [UInt128] = []
    private(set) var ports: [NumberRange<UInt16>] = []
    private(set) var protocols: [NumberRange<UInt8>] = []
    private(set) var tables: [Int32] = []
    private(set) var instructions: [BPFInstruction] = []

    private var knownLists: [Configuration.Endpoint: EndpointTest] = [:]

    /// What an entry refers to by name, as indices.
    struct Names {
        var interface: (String) -> UInt16
        var table: (Configuration.AddressElement) -> Int32
    }

    mutating func append(_ entry: Entry) { entries.append(entry) }

    /// Ends the group whose header is the entry at `index`: it has all the entries behind it.
    mutating func endGroup(at index: Int) { entries[index].target = Int32(entries.count) }

    /// Appends a rule that refers to the procedure and the script of the indices given, -1 for none.
    mutating func append(
        _ rule: Configuration.Rule, procedure: Int32, script: Int32, packetFilter: [BPFInstruction], names: Names
    ) {
        var entry = Entry()
        var rest = RestTest()
        entry.procedure = procedure
        entry.state = rule.state
        var blocks = false
        if case .block(let returnPolicy) = rule.action {
            blocks = true
            entry.returnPolicy = returnPolicy
        }
        entry.decision = Entry.Decision(isFinal: rule.isFinal, blocks: blocks)
        require(rule.direction, rule.interface, in: &entry, names: names)
        if let family = rule.effectiveFamily {
            entry.key.require(.isIPv6, family == .inet6 ? 1 : 0, mask: 1)
        }
        entry.source = endpointTest(rule.source, family: rule.effectiveFamily, names: names)
        entry.destination = endpointTest(rule.destination, family: rule.effectiveFamily, names: names)
        requireProtocols(of: rule, in: &entry, &rest)
        rest.script = script
        if !packetFilter.isEmpty {
            rest.firstInstruction = Int32(instructions.count)
            rest.instructionCount = Int32(packetFilter.count)
            instructions += packetFilter
        }
        if rest.protocolCount > 0 || rest.script >= 0 || rest.instructionCount > 0 {
            entry.rest = Int32(rests.count)
            rests.append(rest)
        }
        entries.append(entry)
    }

    /// Demands the direction and the interface in the key of `entry`.
    func require(
        _ direction: Configuration.Direction?, _ interface: String?, in entry: inout Entry, names: Names
    ) {
        if let direction {
            let packetDirection: Direction = direction == .in ? .in : .out
            entry.key.require(.direction, packetDirection.rawValue, mask: 1)
        }
        if let interface { entry.key.require(.interface, names.interface(interface), mask: UInt16.max) }
    }

    private mutating func requireProtocols(of rule: Configuration.Rule, in entry: inout Entry, _ rest: inout RestTest) {
        let hasPorts = !rule.source.ports.isEmpty || !rule.destination.ports.isEmpty
        // A later fragment has no header of layer 4 to compare.
        if hasPorts { entry.key.require(.isLaterFragment, 0, mask: 1) }
        if rule.needsOpening { entry.key.require(.isNotOpening, 0, mask: 1) }
        guard let first = rule.protocols.first, rule.protocols.count == 1 else {
            var numbers = rule.protocols.map(\.number)
            if numbers.isEmpty && hasPorts { numbers = [IPProtocol.tcp.rawValue, IPProtocol.udp.rawValue] }
            let ranges = NumberRange.merged(numbers.map { NumberRange(first: $0, last: $0) })
            rest.firstProtocol = Int32(protocols.count)
            rest.protocolCount = Int32(ranges.count)
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

    // MARK: Endpoints

    private mutating func endpointTest(
        _ endpoint: Configuration.Endpoint, family: Configuration.Family?, names: Names
    ) -> EndpointTest {
        if endpoint == .any { return EndpointTest() }
        // The family is a part of neither, but follows from the addresses wherever it matters.
        if let known = knownLists[endpoint] { return known }
        var test = EndpointTest()
        var lists = EndpointLists()
        let portRanges = NumberRange.merged(endpoint.ports.map { NumberRange(first: $0.first, last: $0.last) })
        if let first = portRanges.first, let last = portRanges.last {
            // Of a list the range around it, which is asked first.
            test.firstPort = first.first
            test.portSpan = last.last - first.first
        }
        if portRanges.count > 1 {
            lists.firstPort = Int32(ports.count)
            lists.portCount = Int32(portRanges.count)
            ports += portRanges
        }
        if let (first, span) = endpoint.ipv4Range {
            test.firstAddress = first
            test.addressSpan = span
        } else if !endpoint.addresses.isEmpty {
            lists.hasAddresses = true
            lists.isNegated = endpoint.isNegated
            if let (first, last) = endpoint.ipv4Bounds, !endpoint.isNegated {
                test.firstAddress = first
                test.addressSpan = last - first
            }
            appendAddresses(endpoint.addresses, to: &lists, names: names)
        }
        if lists != EndpointLists() {
            test.lists = Int32(self.lists.count)
            self.lists.append(lists)
        }
        knownLists[endpoint] = test
        return test
    }

    private mutating func appendAddresses(
        _ elements: [Configuration.AddressElement], to lists: inout EndpointLists, names: Names
    ) {
        var ranges: [NumberRange<UInt128>] = []
        lists.firstTable = Int32(tables.count)
        for element in elements {
            if case .prefix(let prefix) = element {
                ranges.append(NumberRange(first: prefix.address, last: prefix.lastAddress))
            } else {
                tables.append(names.table(element))
                lists.tableCount += 1
            }
        }
        ranges = NumberRange.merged(ranges)
        let single = ranges.filter { $0.first == $0.last }
        if single.count >= AddressHash.minimumCount {
            let slots = AddressHash.layOut(single.map(\.first))
            lists.hash = Int32(hashes.count)
            lists.hashMask = Int32(slots.count - 2)
            hashes += slots
            ranges.removeAll { $0.first == $0.last }
        }
        lists.firstRange = Int32(addresses.count)
        lists.rangeCount = Int32(ranges.count)
        addresses += ranges
    }
}

extension Configuration.Endpoint {
    /// The lowest and the highest of addresses that are all of IPv4; nil where they are something else.
    fileprivate var ipv4Bounds: (first: UInt32, last: UInt32)? {
        var bounds: (first: UInt32, last: UInt32)?
        for element in addresses {
            guard case .prefix(let prefix) = element, prefix.family == .inet4 else { return nil }
            let first = UInt32(truncatingIfNeeded: prefix.address)
            let last = UInt32(truncatingIfNeeded: prefix.lastAddress)
            bounds = (min(bounds?.first ?? first, first), max(bounds?.last ?? last, last))
        }
        return bounds
    }

    /// The addresses as one range of IPv4, which may wrap around; nil where they are something else.
    fileprivate var ipv4Range: (first: UInt32, span: UInt32)? {
        var ranges: [NumberRange<UInt32>] = []
        for element in addresses {
            guard case .prefix(let prefix) = element, prefix.family == .inet4 else { return nil }
            ranges.append(
                NumberRange(
                    first: UInt32(truncatingIfNeeded: prefix.address),
                    last: UInt32(truncatingIfNeeded: prefix.lastAddress)))
        }
        ranges = NumberRange.merged(ranges)
        guard ranges.count == 1, ranges[0].last - ranges[0].first < .max else { return nil }
        let range = ranges[0]
        return isNegated ? (range.last &+ 1, range.first &- 2 &- range.last) : (range.first, range.last - range.first)
    }
}

extension Configuration.Rule {
    /// Whether of TCP the rule takes only segments that open a connection: as in NPF for a state, where no flags are
    /// said.
    fileprivate var needsOpening: Bool {
        guard state != .none, packetFilter == nil else { return false }
        if case .flags? = protocols.first?.options { return false }
        return true
    }
}
