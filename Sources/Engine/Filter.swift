import AddressTables
public import ConfigLanguage
import LuaRuntime
import Luadata
import Packet
package import Procedures
public import Ruleset
import States
import SystemSupport

/// What one worker decides packets by: the compiled rules and tables, the connections that rules have passed, the
/// procedures with a Lua state for each rule that calls a script, counters, and the flows that scripts have decided.
///
/// It does no input or output. The daemon, `npfctl` and the tests all drive it, so what one of them says is what the
/// others do. Deciding allocates nothing outside Lua's own memory.
@safe
public struct Filter: ~Copyable {
    /// The compiled rules.
    public private(set) var ruleset: CompiledRuleset
    /// The same for the packet path, which counts no references.
    var rules: Unmanaged<CompiledRuleset>
    let counters: RuleCounterTable
    /// Whether a packet that finds the queue full passes.
    let failOpen: Bool
    let totals: TotalCounters
    let messages: ScriptLog
    package let log: PacketLog
    var flows: FlowTable
    /// The bits of connections' marks by which the kernel is told of flows; 0 for none.
    let flowMask: UInt32
    /// What the kernel tells of a connection's first packet that comes here, in the packet's mark; 0 where it does not.
    private let openedMark: UInt32
    /// What tells the kernel that a connection is blocked; 0 where nothing does.
    let blockedMark: UInt32
    /// Whether the kernel carries out what it is told of flows: only where the daemon's rules are in it.
    package var tellsKernel = false
    /// Which decisions about flows of the filter before hold on here.
    let continuity: FlowContinuity?
    var states: StateTable
    var collector: StateCollector
    private let dropsIPv4Options: Bool
    private let dropsIPv6Options: Bool
    /// Whether this filter ends the connections that it takes over.
    let endsConnections: Bool
    /// Whether an ICMP error about a connection that has no state here is the next worker's.
    private let handsErrorsOn: Bool
    /// How rules and procedures of the filter before are numbered here.
    let renumbering: Renumbering?
    /// The tables, and how rules ask for them.
    private let tables: TableSet
    let view: UnsafeMutablePointer<TableView>
    let procedures: ProcedureList
    /// The scripts of each rule's procedure, in the order of the rules; `places` tells a rule's first.
    let scripts: ScriptList
    /// The scripts that rules ask whether they match, and what each answered last.
    let askedScripts: ScriptList
    let answers: UnsafeMutablePointer<ScriptAnswer>
    /// Indexed by the rule's place in the flattened ruleset: the place of its first script.
    let places: UnsafeMutablePointer<Int32>
    /// Indexed likewise: the rule's text, for a script's context.
    let texts: UnsafeMutablePointer<UnsafeMutablePointer<CChar>>
    private let entryCount: Int
    /// A packet as it was before a script that may have to be undone.
    let copy: UnsafeMutableRawBufferPointer
    /// The beginning of a packet as it came, for an answer to its sender.
    let original: UnsafeMutableRawBufferPointer

    /// Makes a filter with fresh states and counters.
    ///
    /// - Parameter seed: of hashes and of what happens at random; a daemon takes a random one.
    /// - Throws: `ConfigurationErrors` where a script cannot be loaded.
    public init(_ configuration: LoadedConfiguration, seed: UInt64) throws(ConfigurationErrors) {
        try self.init(configuration, seed: seed, after: nil)
    }

    package init(
        _ configuration: LoadedConfiguration, seed: UInt64, after former: LoadedConfiguration?
    ) throws(ConfigurationErrors) {
        let totals = TotalCounters()
        try self.init(
            configuration, totals: totals, messages: ScriptLog(totals: totals), log: PacketLog(), seed: seed,
            after: former)
    }

    /// - Parameters:
    ///   - former: the configuration whose filter this one takes the place of.
    ///   - worker: the number of its worker, from 0, among `workers`.
    ///   - clock: the time at which scripts are loaded, on the packets' monotonic clock in nanoseconds.
    package init(
        _ configuration: LoadedConfiguration, totals: TotalCounters, messages: ScriptLog, log: PacketLog, seed: UInt64,
        after former: LoadedConfiguration? = nil, worker: Int = 0, of workers: Int = 1,
        clock: Int64 = Int64(Clock.monotonic)
    ) throws(ConfigurationErrors) {
        let ruleset = configuration.ruleset
        let entryCount = ruleset.rules.count
        var asked = ScriptList(capacity: ruleset.scriptFilters.count)
        for (index, call) in ruleset.scriptFilters.enumerated() {
            let entry = ruleset.rules.firstIndex { $0.scriptFilter == index } ?? 0
            try asked.append(configuration.makeScript(call, log: ScriptLogEntry(messages, entry: entry), clock: clock))
        }
        let calls = ruleset.rules.map { rule in rule.procedure.map { ruleset.procedures[$0].scripts } ?? [] }
        var loaded = ScriptList(capacity: calls.reduce(0) { $0 + $1.count })
        var places = [Int32](repeating: 0, count: entryCount)
        for entry in 0..<entryCount {
            places[entry] = Int32(loaded.count)
            for call in calls[entry] {
                try loaded.append(
                    configuration.makeScript(call, log: ScriptLogEntry(messages, entry: entry), clock: clock))
            }
        }

        self.ruleset = ruleset
        unsafe rules = .passUnretained(ruleset)
        self.totals = totals
        self.messages = messages
        self.log = log
        self.entryCount = entryCount
        let parameters = configuration.parameters
        failOpen = parameters.failOpen
        dropsIPv4Options = parameters[.ip4DropOptions] == 1
        dropsIPv6Options = parameters[.ip6DropOptions] == 1
        endsConnections = configuration.endsConnections
        handsErrorsOn = worker + 1 < workers
        renumbering = former.map { Renumbering(from: $0.ruleset, to: ruleset) }
        counters = RuleCounterTable(entries: entryCount)
        flows = FlowTable(seed: seed)
        flowMask = configuration.flowMarks.mask
        blockedMark = configuration.flowMarks.blocked
        openedMark = configuration.flowMarks.opened ?? 0
        continuity = former.map { FlowContinuity(from: $0, to: configuration) }
        // Memory is mapped, and is the system's until states are made.
        states = StateTable(
            capacity: parameters[.stateLimit], seed: (seed, seed &* 0x9e37_79b9_7f4a_7c15),
            parameters: configuration.stateParameters)
        collector = StateCollector(parameters)
        tables = configuration.tables
        unsafe view = .allocate(capacity: 1)
        unsafe view.initialize(to: TableView(configuration.tables))
        procedures = ProcedureList(configuration, seed: seed, workers: workers)
        scripts = loaded
        askedScripts = asked
        unsafe answers = .allocate(capacity: max(askedScripts.count, 1))
        unsafe answers.initialize(repeating: .none, count: max(askedScripts.count, 1))
        unsafe self.places = .allocate(capacity: entryCount)
        unsafe self.texts = .allocate(capacity: entryCount)
        for entry in 0..<entryCount {
            unsafe (self.places + entry).initialize(to: places[entry])
            let text = ruleset.rules[entry].text.utf8CString
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
            for index in text.indices { unsafe (copy + index).initialize(to: text[index]) }
            unsafe (self.texts + entry).initialize(to: copy)
        }
        unsafe copy = .allocate(byteCount: PacketHeaders.maximumLength, alignment: 16)
        unsafe original = .allocate(byteCount: Refusal.maximumLength, alignment: 16)
    }

    deinit {
        unsafe view.deallocate()
        unsafe answers.deallocate()
        unsafe places.deallocate()
        for entry in 0..<entryCount { unsafe texts[entry].deallocate() }
        unsafe texts.deallocate()
        unsafe copy.deallocate()
        unsafe original.deallocate()
    }

    /// Decides a packet, which starts with its IP header.
    ///
    /// A procedure may change it in place; its checksums are right again when this returns.
    public mutating func decide(_ packet: UnsafeMutableRawBufferPointer, from origin: PacketOrigin) -> Decision {
        let length = unsafe countBytes(packet, origin)
        guard let headers = try? PacketHeaders(parsing: unsafe packet.bytes, originalLength: length) else {
            return unsafe refuseMalformed(packet, length)
        }
        return unsafe decide(packet, length, headers, nil, from: origin)
    }

    /// Decides a packet of a batch.
    ///
    /// - Parameter prepared: what the batch has prepared of this packet, if anything.
    package mutating func decide(
        _ packet: UnsafeMutableRawBufferPointer, _ prepared: UnsafePointer<PreparedPacket>?, from origin: PacketOrigin
    ) -> Decision {
        guard let prepared = unsafe prepared else { return unsafe decide(packet, from: origin) }
        let length = unsafe countBytes(packet, origin)
        guard let headers = unsafe prepared.pointee.headers else { return unsafe refuseMalformed(packet, length) }
        return unsafe decide(packet, length, headers, prepared.pointee.key, from: origin)
    }

    /// Bytes of the packet, of which the queue may show fewer.
    @inline(__always)
    private func countBytes(_ packet: UnsafeMutableRawBufferPointer, _ origin: PacketOrigin) -> Int {
        let length = unsafe max(origin.originalLength, packet.count)
        totals.bytes.add(UInt64(truncatingIfNeeded: length))
        return length
    }

    private func refuseMalformed(_ packet: UnsafeMutableRawBufferPointer, _ length: Int) -> Decision {
        if packet.count < length { totals.headersCut.add() } else { totals.malformed.add() }
        return Decision(.block, .malformed)
    }

    /// - Parameters:
    ///   - length: bytes of the packet, of which the queue may show fewer.
    ///   - key: the packet's key, if it was prepared.
    @inline(__always)
    private mutating func decide(
        _ packet: UnsafeMutableRawBufferPointer, _ length: Int, _ headers: PacketHeaders, _ key: StateKey?,
        from origin: PacketOrigin
    ) -> Decision {
        if headers.family == .ipv4 ? dropsIPv4Options : dropsIPv6Options, unsafe headers.haveOptions(packet) {
            totals.optionsDropped.add()
            return Decision(.block, .options)
        }
        if unsafe isOpening(origin.mark), let flow = FlowKey(headers) { flows.begin(flow) }
        if !flows.isEmpty, let flow = FlowKey(headers),
            let blocked = unsafe flows.find(flow, opening: false, now: origin.clock)
        {
            let rule = flows[blocked].rule
            count(rule, length)
            totals.blockedByFlow.add()
            var decision = Decision(.block, .state, entry: rule)
            unsafe tellKernel(blockedMark, of: blocked, now: origin.clock, &decision)
            return decision
        }

        var decision = Decision(.block, .nomatch)
        var procedure: Int32 = -1
        if let state = unsafe connection(of: headers, packet, origin, key, &decision) {
            decision.verdict = .pass
            decision.cause = .state
            decision.entry = max(state.entry, 0)
            procedure = state.procedure
            if state.entry > 0 { count(state.entry, length) }
        } else if handsErrorsOn, decision.state == .none, headers.isICMPError {
            totals.bytes.add(0 &- UInt64(truncatingIfNeeded: length))
            totals.handedOn.add()
            decision.isForNextWorker = true
            return decision
        } else {
            let match = unsafe walk(headers, packet, origin)
            count(match.entry, length)
            decision.verdict = match.blocks ? .block : .pass
            decision.entry = match.entry
            guard match.entry != 0 else {
                if match.blocks { totals.blockedByDefault.add() } else { totals.passedByDefault.add() }
                return decision
            }
            decision.cause = .rule
            decision.isAnswered = match.blocks && match.returnPolicy.answers(headers)
            procedure = match.procedure
            if !match.blocks && match.state != .none { unsafe remember(match, headers, packet, origin, key, &decision) }
        }
        if procedure >= 0 { unsafe run(procedure, on: packet, headers, origin, &decision) }
        countOutcome(of: decision)
        return decision
    }

    /// Whether a packet's mark says that its connection has just begun.
    @inline(__always)
    func isOpening(_ mark: UInt32) -> Bool { openedMark != 0 && mark & flowMask == openedMark }

    /// What the rules alone say.
    @inline(__always)
    private mutating func walk(
        _ headers: PacketHeaders, _ packet: UnsafeMutableRawBufferPointer, _ origin: PacketOrigin
    ) -> Match {
        unsafe view.pointee.now = origin.clock
        var walk = unsafe RuleWalk(headers, interface: origin.interface, direction: origin.direction)
        while true {
            let result = unsafe rules._withUnsafeGuaranteedRef {
                unsafe $0.evaluate(&walk, bytes: packet.bytes, tables: lookup)
            }
            switch result {
            case .decided(let match): return match
            case .needsScript(let script, let entry):
                walk.resume(matching: unsafe ask(script, of: entry, on: packet, headers, origin))
            }
        }
    }

    /// How rules look into the tables; the time is that of the last packet.
    var lookup: TableLookup { unsafe TableLookup(context: UnsafeRawPointer(view), function: TableView.contains) }

    /// Takes other dynamic rules in place of those that there are.
    ///
    /// The caller owns what is given back.
    package mutating func exchangeRules(for other: CompiledRuleset) -> CompiledRuleset {
        let former = ruleset
        ruleset = other
        unsafe rules = .passUnretained(other)
        return former
    }

    /// Whether the rule at `entry` blocks what it matches.
    @inline(__always)
    func blocks(_ entry: Int32) -> Bool { unsafe rules._withUnsafeGuaranteedRef { $0.blocks(entry) } }

    /// Counts an answer that was sent to the sender of a blocked packet.
    func countAnswer() {
        totals.answered.add()
    }

    /// Counts a changed packet that could not be sent because the queue had not shown all of it.
    func countTooLong() {
        totals.tooLong.add()
    }

    @inline(__always)
    private func count(_ entry: Int32, _ bytes: Int) {
        let counters = unsafe self.counters.base + Int(entry)
        unsafe counters.pointee.packets.add()
        unsafe counters.pointee.bytes.add(UInt64(truncatingIfNeeded: bytes))
    }

    @inline(__always)
    private func countOutcome(of decision: Decision) {
        switch (decision.cause, decision.verdict) {
        case (.error, .pass): totals.passedByErrorPolicy.add()
        case (.error, .block): totals.blockedByErrorPolicy.add()
        case (.procedure, _): totals.blockedByProcedure.add()
        case (.state, _): if decision.state == .known { totals.passedByState.add() } else { totals.passedByFlow.add() }
        case (_, .pass): totals.passedByRule.add()
        case (_, .block): totals.blockedByRule.add()
        }
    }
}

extension PacketHeaders {
    /// Whether there is more than the IP header before layer 4: options, or extension headers of IPv6 but an atomic
    /// fragment's (RFC 6946).
    @inline(__always)
    fileprivate func haveOptions(_ packet: UnsafeMutableRawBufferPointer) -> Bool {
        guard family == .ipv6 else { return transportOffset > 20 }
        let fragmentHeader: UInt8 = 44
        return transportOffset > 48 || transportOffset == 48 && (unsafe packet[6] != fragmentHeader)
    }

    /// Bytes that a packet has at most: IPv6's header and the longest payload without a jumbo option.
    static var maximumLength: Int { 40 + 65_535 }
}

extension ReturnPolicy {
    /// Whether a packet is answered: resets are for TCP, but not for resets, and ICMP errors for UDP.
    @inline(__always)
    func answers(_ headers: PacketHeaders) -> Bool {
        switch headers.transportProtocol {
        case .tcp: (self == .rst || self == .both) && !headers.tcpFlags.contains(.rst)
        case .udp: self == .icmp || self == .both
        default: false
        }
    }
}
