public import ConfigLanguage
import LuaRuntime
import Luadata
import Packet
public import Ruleset

/// What one worker decides packets by: the compiled rules, a Lua state for each rule that calls a script, counters,
/// and the flows that scripts have decided.
///
/// It does no input or output. The daemon, `npfctl replay` and the tests all drive it, so what one of them says is
/// what the others do. Deciding allocates nothing outside Lua's own memory.
@safe
public struct Filter: ~Copyable {
    /// The compiled rules.
    public let ruleset: CompiledRuleset
    let counters: RuleCounterTable
    /// Whether a packet that finds the queue full passes.
    let failOpen: Bool
    private let totals: TotalCounters
    private let log: ScriptLog
    private var flows: FlowTable
    /// Each rule's script, in the order of the rules; `places` tells a rule's.
    private let scripts: UnsafeMutablePointer<Script>
    private let scriptCount: Int
    /// Indexed by the rule's place in the flattened ruleset: the place of its script, -1 for none.
    private let places: UnsafeMutablePointer<Int32>
    /// Indexed likewise: the rule's text, for a script's context.
    private let texts: UnsafeMutablePointer<UnsafeMutablePointer<CChar>>
    private let entryCount: Int

    /// Makes a filter with fresh states and counters.
    ///
    /// - Parameter seed: of the flow table's hash; a daemon takes a random one.
    /// - Throws: `ConfigurationErrors` where a script cannot be loaded.
    public init(_ configuration: LoadedConfiguration, seed: UInt64) throws(ConfigurationErrors) {
        let totals = TotalCounters()
        try self.init(configuration, totals: totals, log: ScriptLog(totals: totals), seed: seed)
    }

    package init(
        _ configuration: LoadedConfiguration, totals: TotalCounters, log: ScriptLog, seed: UInt64
    ) throws(ConfigurationErrors) {
        let ruleset = configuration.ruleset
        let entryCount = ruleset.rules.count
        var loaded = ScriptList(capacity: entryCount)
        var places = [Int32](repeating: -1, count: entryCount)
        for entry in 0..<entryCount {
            guard let procedure = ruleset.rules[entry].procedure else { continue }
            places[entry] = Int32(loaded.count)
            try loaded.append(
                configuration.makeScript(of: ruleset.procedures[procedure], log: ScriptLogEntry(log, entry: entry)))
        }

        self.ruleset = ruleset
        self.totals = totals
        self.log = log
        self.entryCount = entryCount
        counters = RuleCounterTable(entries: entryCount)
        flows = FlowTable(seed: seed)
        failOpen = configuration.parameters.failOpen
        unsafe self.places = .allocate(capacity: entryCount)
        unsafe self.texts = .allocate(capacity: entryCount)
        for entry in 0..<entryCount {
            unsafe (self.places + entry).initialize(to: places[entry])
            let text = ruleset.rules[entry].text.utf8CString
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
            for index in text.indices { unsafe (copy + index).initialize(to: text[index]) }
            unsafe (self.texts + entry).initialize(to: copy)
        }
        (unsafe scripts, scriptCount) = unsafe loaded.take()
        for entry in 0..<entryCount where places[entry] >= 0 {
            unsafe (counters.base + entry).pointee.memory.set(UInt64(scripts[Int(places[entry])].memoryInUse))
        }
    }

    deinit {
        unsafe scripts.deinitialize(count: scriptCount)
        unsafe scripts.deallocate()
        unsafe places.deallocate()
        for entry in 0..<entryCount { unsafe texts[entry].deallocate() }
        unsafe texts.deallocate()
    }

    /// Decides a packet, which starts with its IP header.
    ///
    /// A script may change it in place; its checksums are right again when this returns.
    public mutating func decide(_ packet: UnsafeMutableRawBufferPointer, from origin: PacketOrigin) -> Decision {
        totals.bytes.add(UInt64(truncatingIfNeeded: packet.count))
        guard let headers = try? PacketHeaders(parsing: unsafe packet.bytes) else {
            totals.malformed.add()
            return Decision(.block, .malformed)
        }
        if !flows.isEmpty, let flow = FlowKey(headers),
            let blocked = unsafe flows.decision(for: flow, opening: false, now: origin.clock)
        {
            count(blocked.entry, packet.count)
            totals.blockedByFlow.add()
            return Decision(.block, .state, entry: blocked.entry)
        }

        let match = unsafe ruleset.evaluate(headers, interface: origin.interface, direction: origin.direction)
        count(match.entry, packet.count)
        guard match.entry != 0 else {
            if match.blocks { totals.blockedByDefault.add() } else { totals.passedByDefault.add() }
            return Decision(match.blocks ? .block : .pass, .nomatch)
        }
        var decision = Decision(match.blocks ? .block : .pass, .rule, entry: match.entry)
        decision.isAnswered = match.blocks && match.returnPolicy.answers(headers.transportProtocol)
        if match.procedure >= 0 {
            if unsafe hasPassed(headers, match, now: origin.clock) {
                decision.cause = .state
            } else {
                unsafe apply(match, to: packet, headers: headers, origin: origin, &decision)
            }
        }
        countOutcome(of: decision)
        return decision
    }

    /// Blocks that the scripts' Lua states have asked the system for.
    package var luaAllocations: UInt {
        UInt((0..<scriptCount).reduce(0) { unsafe $0 + scripts[$1].allocations })
    }

    /// Counts an answer that was sent to the sender of a blocked packet.
    func countAnswer() {
        totals.answered.add()
    }

    /// Whether the rule's procedure has passed the packet's flow.
    ///
    /// A segment that opens a connection starts afresh.
    @inline(__always)
    private mutating func hasPassed(_ headers: PacketHeaders, _ match: Match, now: Int64) -> Bool {
        guard !flows.isEmpty, !match.blocks, let flow = FlowKey(headers) else { return false }
        let opening =
            headers.transportProtocol == .tcp && headers.tcpFlags.isDisjoint(with: .ack)
            && headers.tcpFlags.contains(.syn)
        return flows.decision(for: flow.passed(by: match.procedure), opening: opening, now: now) != nil
    }

    /// Counts a changed packet that could not be sent because the queue had not shown all of it.
    func countTooLong() {
        totals.tooLong.add()
    }

    /// Runs the rule's script and brings its answer into the decision.
    private mutating func apply(
        _ match: Match, to packet: UnsafeMutableRawBufferPointer, headers: PacketHeaders, origin: PacketOrigin,
        _ decision: inout Decision
    ) {
        let entry = Int(match.entry)
        let script = unsafe scripts + Int(places[entry])
        let text = unsafe UnsafePointer(texts[entry])
        let result = unsafe script.pointee.call(packet, headers: headers, origin: origin, rule: text)
        let counters = unsafe self.counters.base + entry
        unsafe counters.pointee.calls.add()
        totals.scriptCalls.add()
        unsafe counters.pointee.memory.set(UInt64(script.pointee.memoryInUse))

        switch result.answer {
        case .keep: break
        case .block: decision.refuse(answered: false)
        case .blockReturn: decision.refuse(answered: ReturnPolicy.both.answers(headers.transportProtocol))
        case .passFlow:
            guard decision.verdict == .pass else { break }
            unsafe remember(.pass, FlowKey(headers)?.passed(by: match.procedure), match.entry, origin.clock)
        case .blockFlow:
            decision.refuse(answered: false)
            unsafe remember(.block, FlowKey(headers), match.entry, origin.clock)
        default:
            unsafe counters.pointee.errors.add()
            totals.scriptErrors.add()
            unsafe log.noteFailure(entry: match.entry, now: origin.clock) {
                unsafe script.pointee.copyMessage(into: $0)
            }
            if unsafe script.pointee.errorPolicy == .block { decision.verdict = .block }
            decision.cause = .error
        }
        // What a failed call has changed is not sent: the kernel still has the packet as it came.
        if result.changed && !result.answer.isFailure && decision.verdict == .pass { unsafe mend(packet, &decision) }
        if decision.cause == .procedure { unsafe counters.pointee.blocks.add() }
    }

    /// Makes a changed packet's checksums right; one that a script has made unreadable goes no further.
    private func mend(_ packet: UnsafeMutableRawBufferPointer, _ decision: inout Decision) {
        guard let headers = try? PacketHeaders(parsing: unsafe packet.bytes) else {
            decision.refuse(answered: false)
            return
        }
        var bytes = unsafe packet.mutableBytes
        Checksum.mend(&bytes, headers: headers)
        decision.isChanged = true
        totals.changed.add()
    }

    private mutating func remember(_ verdict: Verdict, _ flow: FlowKey?, _ entry: Int32, _ now: Int64) {
        guard let flow else { return }
        totals.flowsDecided.add()
        if flows.decide(flow, verdict, entry: entry, now: now) { totals.flowsForgotten.add() }
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
        case (.procedure, _): totals.blockedByScript.add()
        case (.state, _): totals.passedByFlow.add()
        case (_, .pass): totals.passedByRule.add()
        case (_, .block): totals.blockedByRule.add()
        }
    }
}

extension Decision {
    /// Turns a pass into a block by a script; a packet that the rule itself blocks stays the rule's.
    @inline(__always)
    fileprivate mutating func refuse(answered: Bool) {
        guard verdict == .pass else { return }
        verdict = .block
        cause = .procedure
        isAnswered = answered
    }
}

extension ReturnPolicy {
    /// Whether a packet of this protocol is answered: resets are for TCP, ICMP errors for UDP.
    @inline(__always)
    fileprivate func answers(_ transportProtocol: IPProtocol) -> Bool {
        switch self {
        case .none: false
        case .rst: transportProtocol == .tcp
        case .icmp: transportProtocol == .udp
        case .both: transportProtocol == .tcp || transportProtocol == .udp
        }
    }
}

/// Scripts being gathered; those that were loaded are closed again if a later one cannot be.
@safe
private struct ScriptList: ~Copyable {
    private let base: UnsafeMutablePointer<Script>
    private(set) var count = 0

    init(capacity: Int) {
        unsafe base = .allocate(capacity: max(capacity, 1))
    }

    mutating func append(_ script: consuming Script) {
        unsafe (base + count).initialize(to: script)
        count += 1
    }

    consuming func take() -> (UnsafeMutablePointer<Script>, Int) {
        let taken = unsafe (base, count)
        discard self
        return unsafe taken
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }
}
