import ConfigLanguage
public import Packet

/// What compiles the expressions of `pcap-filter`, for packets that begin with their IP header.
public typealias PacketFilterCompiler = (_ expression: String) throws -> [BPFInstruction]

/// Lowers a configuration to the flat arrays of the packet path.
struct RulesetCompiler {
    let parameters: Parameters
    private(set) var procedures: [Procedure] = []
    private(set) var scriptFilters: [ScriptCall] = []
    private(set) var descriptions: [RuleDescription]
    private(set) var rulesets: [Configuration.DynamicRuleset] = []
    private(set) var names: NameTable
    private(set) var rules = LoweredRules()

    private var procedureIndices: [String: Int32] = [:]
    private let compilePacketFilter: PacketFilterCompiler

    init(
        _ configuration: Configuration, packetFilter: @escaping PacketFilterCompiler
    ) throws(Diagnostic) {
        compilePacketFilter = packetFilter
        parameters = Parameters(configuration.settings)
        descriptions = [RuleDescription(kind: .noMatch, text: "no rule matched", location: nil, depth: 0)]
        names = NameTable(configuration.tables)
        for procedure in configuration.procedures where !procedure.calls.isEmpty {
            procedureIndices[procedure.name] = Int32(procedures.count)
            procedures.append(try Procedure(procedure, within: parameters))
        }
        for group in configuration.groups {
            try append(group, depth: 0)
        }
    }

    /// Appends a group and its members, at most 16 levels deep.
    private mutating func append(_ group: Configuration.Group, depth: Int) throws(Diagnostic) {
        let index = rules.entries.count
        try appendHeader(.group, group.direction, group.interface, target: 0, at: group.location)
        descriptions.append(
            RuleDescription(kind: .group, text: group.headerText, location: group.location, depth: depth))
        for item in group.items {
            switch item {
            case .group(let group): try append(group, depth: depth + 1)
            case .rule(let rule): try append(rule, depth: depth + 1)
            case .ruleset(let ruleset):
                let target = Int32(rulesets.count)
                rulesets.append(ruleset)
                try appendHeader(.ruleset, ruleset.direction, ruleset.interface, target: target, at: ruleset.location)
                descriptions.append(
                    RuleDescription(kind: .ruleset, text: ruleset.text, location: ruleset.location, depth: depth + 1))
            }
        }
        rules.endGroup(at: index)
    }

    private mutating func appendHeader(
        _ kind: Entry.Kind, _ direction: Configuration.Direction?, _ interface: String?, target: Int32,
        at location: SourceLocation
    ) throws(Diagnostic) {
        try names.note(interface, at: location)
        var header = Entry()
        header.kind = kind
        header.target = target
        rules.require(direction, interface, in: &header, names: names.lookup)
        rules.append(header)
    }

    private mutating func append(_ rule: Configuration.Rule, depth: Int) throws(Diagnostic) {
        try names.note(rule)
        let procedure = rule.procedure.flatMap { procedureIndices[$0] } ?? -1
        var script: Int32 = -1
        if let filter = rule.scriptFilter {
            script = Int32(scriptFilters.count)
            scriptFilters.append(ScriptCall(filter, within: parameters))
        }
        let packetFilter = try rule.packetFilter.map { filter throws(Diagnostic) in
            try compiledPacketFilter(filter, by: compilePacketFilter)
        }
        rules.append(
            rule, procedure: procedure, script: script, packetFilter: packetFilter ?? [], names: names.lookup)
        descriptions.append(
            RuleDescription(
                kind: .rule, text: rule.text, location: rule.location, procedure: procedure < 0 ? nil : Int(procedure),
                scriptFilter: script < 0 ? nil : Int(script), depth: depth))
    }
}

/// The verified program for a packet filter.
func compiledPacketFilter(
    _ filter: Configuration.PacketFilter, by compile: PacketFilterCompiler
) throws(Diagnostic) -> [BPFInstruction] {
    do {
        let program = try compile(filter.expression)
        try BPFProgram.verify(program)
        return program
    } catch {
        throw Diagnostic(at: filter.location, "`\(filter.expression)`: \(error)")
    }
}

/// The interfaces and tables of a ruleset, which entries have as numbers.
struct NameTable {
    /// An interface's id is its index plus 1.
    private(set) var interfaces: [String] = []
    /// The declared tables, and behind them those of interfaces' addresses.
    private(set) var tables: [RulesetTable]

    private var interfaceIDs: [String: UInt16] = [:]
    private var tableIndices: [String: Int32] = [:]

    init(_ tables: [Configuration.Table]) {
        self.tables = tables.map { RulesetTable(contents: .declared($0)) }
        for (index, table) in tables.enumerated() { tableIndices[table.name] = Int32(index) }
    }

    /// Gives numbers to what `rule` names.
    mutating func note(_ rule: Configuration.Rule) throws(Diagnostic) {
        try note(rule.interface, at: rule.location)
        for case .interface(let interface, _) in rule.source.addresses + rule.destination.addresses {
            let table = RulesetTable(contents: .interfaceAddresses(interface))
            guard tableIndices[table.name] == nil else { continue }
            tableIndices[table.name] = Int32(tables.count)
            tables.append(table)
        }
    }

    mutating func note(_ interface: String?, at location: SourceLocation) throws(Diagnostic) {
        guard let interface, interfaceIDs[interface] == nil else { return }
        guard let id = UInt16(exactly: interfaces.count + 1) else {
            throw Diagnostic(at: location, "a configuration names at most 65535 interfaces")
        }
        interfaces.append(interface)
        interfaceIDs[interface] = id
    }

    /// The index of a declared table.
    func table(named name: String) -> Int32? { tableIndices[name] }

    /// The numbers of what was noted.
    var lookup: LoweredRules.Names {
        LoweredRules.Names(
            interface: { interfaceIDs[$0] ?? 0 },
            table: { element in
                switch element {
                case .table(let name): tableIndices[name] ?? -1
                case .interface(let name, _):
                    tableIndices[RulesetTable(contents: .interfaceAddresses(name)).name] ?? -1
                case .prefix: -1
                }
            })
    }
}
