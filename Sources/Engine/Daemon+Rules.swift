import AddressTables
import ConfigLanguage
import ControlProtocol
import Logging
import Packet
import Ruleset
import States
import SystemSupport

// What npfctl asks of dynamic rulesets, tables and connections.
extension Daemon {
    /// Changes or lists the rules of a dynamic ruleset; what it says is what npfctl prints.
    func changeRules(_ request: ControlRequest.Ruleset?) throws -> [String] {
        guard let request else { throw SystemError("no ruleset given") }
        let ruleset = configuration.ruleset
        switch request.operation {
        case .add:
            let (changed, id) = try ruleset.adding(rule: request.text ?? "", to: request.name)
            try use(changed)
            return ["OK \(String(id, radix: 16))"]
        case .remove: try use(ruleset.removing(rule: request.text ?? "", from: request.name))
        case .removeByID:
            guard let text = request.text,
                let id = UInt64(text.hasPrefix("0x") ? text.dropFirst(2) : text[...], radix: 16)
            else { throw SystemError("a rule's id is a hexadecimal number: npfctl rule NAME list shows it") }
            try use(ruleset.removing(id: id, from: request.name))
        case .list:
            return try ruleset.dynamicRules(of: request.name).map {
                "\($0.text) # id=\"\(String($0.id, radix: 16))\" "
            }
        case .flush: try use(ruleset.flushing(request.name))
        }
        return []
    }

    /// Walks other dynamic rules from now on.
    private func use(_ ruleset: CompiledRuleset) throws {
        let changed = configuration.replacingRules(by: ruleset)
        let former = statesBeside(configuration)
        try workers.replaceRules(by: changed)
        configuration = changed
        formerStates = former
        try followChanges()
    }

    /// Changes, asks or lists a table; what it says is what npfctl prints.
    func changeTable(_ request: ControlRequest.Table?, _ file: ControlRequest.File?) throws -> [String] {
        guard let request else { throw SystemError("no table given") }
        guard let table = configuration.tables[request.name], !request.name.hasPrefix(".") else {
            throw SystemError("table '\(request.name)' not found in the active configuration")
        }
        let now = Int64(Clock.monotonic)
        switch request.operation {
        case .add:
            let expires = request.seconds.map { now + Int64(min($0, Self.longestTimeout)) * 1_000_000_000 }
            try table.insert(prefix(request), expires: expires ?? TableEntry.never, now: now)
            return ["npfctl: success"]
        case .remove:
            try table.remove(prefix(request), now: now)
            return ["npfctl: success"]
        case .test:
            let prefix = try prefix(request)
            guard prefix == Prefix(prefix.address) else {
                throw SystemError("test asks for an address, not for a network")
            }
            let isThere = try readingTables { table.contains(prefix.address, now: now) }
            guard isThere else { throw SystemError("not found") }
            return ["npfctl: match"]
        case .list: return table.list(now: now).map { $0.description }
        case .flush:
            try table.flush()
            return ["npfctl: success"]
        case .replace:
            guard let file else { throw SystemError("no file given") }
            let former = statesBeside(configuration)
            try replace(table, as: request, by: file, now: now)
            formerStates = former
            try followChanges()
            return []
        }
    }

    /// Replaces a table's contents, and its name and type where other ones are given.
    private func replace(
        _ table: AddressTable, as request: ControlRequest.Table, by file: ControlRequest.File, now: Int64
    ) throws {
        let name = request.newName ?? request.name
        guard Configuration.Table.isName(name) else {
            throw SystemError("'\(name)' is no name of a table: it is a word of letters, digits, _ and -")
        }
        guard name == request.name || configuration.tables[name] == nil else {
            throw SystemError("there is a table '\(name)' already")
        }
        let typeName = request.type ?? table.type.rawValue
        guard let type = Configuration.TableType(name: typeName) else {
            throw SystemError("unsupported table type '\(typeName)': it is ipset, lpm or const")
        }
        let entries = try TableDeclaration.entries(in: Array(file.text.utf8), file: file.name, type: type)
        let tableType = TableType(rawValue: type.rawValue)!
        guard name != request.name || tableType != table.type else {
            return try table.replace(with: entries, now: now)
        }
        let replaced = try configuration.replacingTable(request.name, with: name, type)
        try table.replace(with: entries, type: tableType, now: now)
        try workers.replaceRules(by: replaced)
        configuration = replaced
    }

    /// Seconds that an entry of a table stays at most, if it does not stay for good: a hundred years.
    private static let longestTimeout = 3_155_760_000

    private func prefix(_ request: ControlRequest.Table) throws -> Prefix {
        guard let text = request.address, let prefix = Prefix(text) else {
            throw SystemError("invalid CIDR '\(request.address ?? "")'")
        }
        return prefix
    }

    /// Fills the tables of interfaces' addresses anew.
    func refreshInterfaceTables() {
        for (index, table) in configuration.ruleset.tables.enumerated() {
            guard case .interfaceAddresses(let interface) = table.contents else { continue }
            do throws(TableError) {
                try configuration.tables[index].replace(
                    with: TableDeclaration.addresses(of: interface), now: Int64(Clock.monotonic))
            } catch {
                logger.error("the addresses of \(interface) cannot be followed: \(error)")
            }
        }
    }

    /// Frees what of the tables has expired, a step of each.
    func collectTables() {
        let now = Int64(Clock.monotonic)
        for index in 0..<configuration.tables.count { configuration.tables[index].collect(now: now) }
    }

    /// States that are shown at a time.
    private static let statesPerPage = 4_096

    /// The connections that have a state, from a place on, and the place to go on at.
    ///
    /// Worker by worker: a place is the worker's number in the upper half, and the place in its table in the lower.
    func connections(from place: Int) throws -> (connections: [ConnectionReport], next: Int?) {
        guard workers.all.indices.contains(place >> 32) else { return ([], nil) }
        let worker = workers.all[place >> 32]
        // The worker copies, and allocates nothing.
        var states: [ListedState] = []
        states.reserveCapacity(Self.statesPerPage)
        var next: Int?
        let now = Int64(Clock.monotonic)
        let errand = unsafe Errand { filter in
            next = unsafe filter.pointee.states.forEach(
                from: place & 0xffff_ffff, step: Self.statesPerPage, now: now
            ) { states.append($0) }
        }
        try workers.perform(on: worker, errand)
        if let inTable = next {
            next = worker.place.number << 32 | inTable
        } else if worker.place.number + 1 < workers.all.count {
            next = (worker.place.number + 1) << 32
        }
        var names: [UInt32: String?] = [:]
        let isPerInterface = configuration.stateParameters.keyInterface
        let connections = states.map { state in
            if names[state.interface] == nil {
                names[state.interface] = .some(Interfaces.name(index: state.interface)?.description)
            }
            return ConnectionReport(
                source: "\(state.source.address)", sourcePort: state.source.port,
                destination: "\(state.destination.address)", destinationPort: state.destination.port,
                transportProtocol: state.transportProtocol.rawValue,
                interface: isPerInterface ? names[state.interface] ?? nil : nil, entry: Int(max(state.entry, 0)),
                phase: "\(state.phase)", idle: Int(max(now - state.lastSeen, 0) / 1_000_000_000))
        }
        return (connections, next)
    }

    /// What the running rules and tables say of described packets, and the connections, of which none is changed.
    func explain(_ packets: [String]) throws -> [ExplanationReport] {
        try packets.map { text in
            let description = try PacketDescription(parsing: text)
            let packet = description.packet
            let now = Int64(Clock.monotonic)
            let index = description.interface.flatMap { Interfaces.index(name: $0) } ?? 0
            let known = InterfaceName(description.interface ?? "")
            var state = StateLookup.none
            let errand = unsafe Errand { filter in
                var packet = packet
                state = unsafe withUnsafeBytes(of: known) { name in
                    unsafe packet.withUnsafeMutableBytes { packet in
                        unsafe filter.pointee.peek(
                            packet,
                            from: PacketOrigin(
                                interface: 0, interfaceIndex: index,
                                interfaceName: name.baseAddress!.assumingMemoryBound(to: CChar.self),
                                direction: description.direction, time: 0, clock: now))
                    }
                }
            }
            // At most one of them has the connection.
            for worker in workers.all {
                try workers.perform(on: worker, errand)
                guard case .none = state else { break }
            }
            return try readingTables {
                ExplanationReport(
                    of: packet, description, by: configuration.ruleset, TableView(configuration.tables, now: now), state
                )
            }
        }
    }

    /// Looks into tables, which keep what they hold for that long: not to be waited in.
    private func readingTables<Result>(_ body: () -> Result) throws -> Result {
        guard let reader = configuration.readers.register() else { throw SystemError("too many read the tables") }
        reader.enter()
        defer { reader.leave() }
        return body()
    }
}

extension ExplanationReport {
    /// What rules, tables and a look at the states say of a packet, without asking scripts.
    fileprivate init(
        of packet: [UInt8], _ description: PacketDescription, by ruleset: CompiledRuleset, _ tables: TableView,
        _ state: StateLookup
    ) {
        guard let headers = try? PacketHeaders(parsing: unsafe packet.span.bytes) else {
            self = .malformed
            return
        }
        let number = description.interface.flatMap { ruleset.interfaceNames.firstIndex(of: $0) }.map { UInt16($0 + 1) }
        var notes: [String] = []
        let walk = unsafe withUnsafePointer(to: tables) { tables in
            let lookup = unsafe TableLookup(context: UnsafeRawPointer(tables), function: TableView.contains)
            return unsafe ruleset.explain(
                headers, bytes: packet.span.bytes, interface: number ?? 0, direction: description.direction,
                tables: lookup
            ) { script in
                notes.append(
                    "lua-filter: \(ruleset.scriptFilters[script].file) would be asked; here its rule does not match")
                return false
            }
        }
        var blocks = walk.match.blocks
        var procedure = walk.match.procedure
        if case .pass(let match) = state { (blocks, procedure) = (false, match.procedure) }
        if procedure >= 0 {
            notes.append("procedure: “\(ruleset.procedures[Int(procedure)].name)” would run, and may block the packet")
        }
        self.init(
            walk.match, decision: blocks ? "block" : "pass", in: ruleset,
            steps: ExplanationText.lines(about: state, in: ruleset)
                + ExplanationText.steps(of: walk.steps, in: ruleset) + notes)
    }
}
