import ConfigLanguage
import Luadata
import Packet
import Procedures
import Ruleset

/// What a script that a rule asks whether it matches has answered last.
enum ScriptAnswer: UInt8, BitwiseCopyable {
    case none
    case matches
    case doesNot
}

// The procedures of a filter, and the scripts that rules ask. Part of the packet path.
extension Filter {
    /// Runs a procedure's calls in order, on a packet that passes or is blocked, and brings what they do into the
    /// decision.
    ///
    /// They may turn a pass into a block, never the reverse.
    mutating func run(
        _ procedure: Int32, on packet: UnsafeMutableRawBufferPointer, _ headers: PacketHeaders,
        _ origin: PacketOrigin, _ decision: inout Decision
    ) {
        let facts = procedures.facts(of: procedure)
        // A connection that outlived its rule is treated as by the first rule that applies its procedure.
        let rule = decision.entry > 0 ? decision.entry : facts.firstRule
        guard rule > 0 else { return }
        let steps = unsafe procedures.steps(of: procedure)
        let context = unsafe ProcedureContext(
            interfaceName: origin.interfaceName, direction: origin.direction, time: origin.time, clock: origin.clock,
            rule: decision.entry, originalLength: max(origin.originalLength, packet.count))
        var headers = headers
        var next = 0
        while true {
            let outcome = unsafe steps.pointee.run(
                from: next, packet, headers: headers, context: context, isBlocked: decision.verdict == .block, log: log)
            if outcome.isChanged { decision.isChanged = true }
            if outcome.isBlocked { decision.refuse(answered: false) }
            guard outcome.script >= 0 else { break }
            next = outcome.next
            let call = facts.firstScript &+ outcome.script
            if unsafe hasPassed(headers, call, decision, now: origin.clock) {
                if decision.cause == .rule { decision.cause = .state }
                continue
            }
            let keeps = facts.isMixed && headers.length <= PacketHeaders.maximumLength
            if keeps { unsafe copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: packet[..<headers.length])) }
            unsafe callScript(
                Int(places[Int(rule)] &+ outcome.script), call, of: rule, on: packet, &headers, origin, keeps: keeps,
                &decision)
        }
        if decision.isChanged { totals.changed.add() }
        if decision.cause == .procedure { unsafe (counters.base + Int(rule)).pointee.blocks.add() }
    }

    /// Whether the script has passed the packet's flow.
    ///
    /// A segment that opens a connection starts afresh.
    @inline(__always)
    private mutating func hasPassed(
        _ headers: PacketHeaders, _ call: Int32, _ decision: Decision, now: Int64
    ) -> Bool {
        guard !flows.isEmpty, decision.verdict == .pass, let flow = FlowKey(headers) else { return false }
        let opening =
            headers.transportProtocol == .tcp && headers.tcpFlags.isDisjoint(with: .ack)
            && headers.tcpFlags.contains(.syn)
        return flows.decision(for: flow.passed(by: call), opening: opening, now: now) != nil
    }

    /// Calls one script and brings its answer into the decision.
    private mutating func callScript(
        _ place: Int, _ call: Int32, of rule: Int32, on packet: UnsafeMutableRawBufferPointer,
        _ headers: inout PacketHeaders, _ origin: PacketOrigin, keeps: Bool, _ decision: inout Decision
    ) {
        let script = unsafe scripts[place]
        let result = unsafe script.pointee.call(packet, headers: headers, origin: origin, rule: texts[Int(rule)])
        unsafe (counters.base + Int(rule)).pointee.calls.add()
        totals.scriptCalls.add()
        noteMemory(place, of: Int(rule))

        switch result.answer {
        case .keep: break
        case .block: decision.refuse(answered: false)
        case .blockReturn: decision.refuse(answered: ReturnPolicy.both.answers(headers))
        case .passFlow:
            guard decision.verdict == .pass else { break }
            unsafe note(.pass, FlowKey(headers)?.passed(by: call), decision.entry, origin.clock)
        case .blockFlow:
            decision.refuse(answered: false)
            unsafe note(.block, FlowKey(headers), decision.entry, origin.clock)
        default:
            unsafe noteFailure(of: rule, now: origin.clock) { unsafe script.pointee.copyMessage(into: $0) }
            if decision.cause != .procedure { decision.cause = .error }
            if unsafe script.pointee.errorPolicy == .block { decision.verdict = .block }
        }
        guard result.changed else { return }
        if result.answer.isFailure {
            // What a failed call has changed goes no further: the packet is as it was before.
            if keeps { unsafe packet.copyMemory(from: UnsafeRawBufferPointer(rebasing: copy[..<headers.length])) }
        } else {
            unsafe mend(packet, &headers, &decision)
        }
    }

    /// Makes a changed packet's checksums right; one that a script has made unreadable goes no further.
    private func mend(
        _ packet: UnsafeMutableRawBufferPointer, _ headers: inout PacketHeaders, _ decision: inout Decision
    ) {
        guard let changed = try? PacketHeaders(parsing: unsafe packet.bytes, originalLength: headers.originalLength)
        else {
            decision.refuse(answered: false)
            return
        }
        headers = changed
        guard decision.verdict == .pass else { return }
        var bytes = unsafe packet.mutableBytes
        Checksum.mend(&bytes, headers: headers)
        decision.isChanged = true
    }

    /// Whether a rule matches whose other criteria do: what its script says.
    ///
    /// Where the script fails, a rule that passes does not match and one that blocks does; with `set fail open` it is the
    /// reverse.
    mutating func ask(
        _ place: Int32, of rule: Int32, on packet: UnsafeMutableRawBufferPointer, _ headers: PacketHeaders,
        _ origin: PacketOrigin
    ) -> Bool {
        let script = unsafe askedScripts[Int(place)]
        let result = unsafe script.pointee.call(packet, headers: headers, origin: origin, rule: texts[Int(rule)])
        unsafe (counters.base + Int(rule)).pointee.calls.add()
        totals.scriptCalls.add()

        var matches = false
        switch result.answer {
        case .keep: matches = unsafe script.pointee.isAffirmed
        case .block: break
        default:
            unsafe noteFailure(of: rule, now: origin.clock) { buffer in
                guard !result.answer.isFailure else { return unsafe script.pointee.copyMessage(into: buffer) }
                let message: StaticString =
                    "the function of a lua-filter answered with a word for procedures, not true or false"
                unsafe buffer.copyMemory(
                    from: UnsafeRawBufferPointer(start: message.utf8Start, count: message.utf8CodeUnitCount))
                return message.utf8CodeUnitCount
            }
            matches = unsafe blocks(rule) == (script.pointee.errorPolicy == .block)
        }
        unsafe answers[Int(place)] = matches ? .matches : .doesNot
        return matches
    }

    private func noteFailure(of rule: Int32, now: Int64, _ write: (UnsafeMutableRawBufferPointer) -> Int) {
        unsafe (counters.base + Int(rule)).pointee.errors.add()
        totals.scriptErrors.add()
        unsafe messages.noteFailure(entry: rule, now: now, write: write)
    }

    private mutating func note(_ verdict: Verdict, _ flow: FlowKey?, _ entry: Int32, _ now: Int64) {
        guard let flow else { return }
        totals.flowsDecided.add()
        if flows.decide(flow, verdict, entry: entry, now: now) { totals.flowsForgotten.add() }
    }

    /// Shows how much memory a rule's script holds.
    @inline(__always)
    func noteMemory(_ place: Int, of entry: Int) {
        unsafe (counters.base + entry).pointee.memory.set(UInt64(scripts[place].pointee.memoryInUse))
    }

    /// Blocks that the scripts' Lua states have asked the system for.
    package var luaAllocations: UInt {
        var sum: UInt64 = 0
        for place in 0..<scripts.count { unsafe sum += scripts[place].pointee.allocations }
        for place in 0..<askedScripts.count { unsafe sum += askedScripts[place].pointee.allocations }
        return UInt(sum)
    }
}

extension Decision {
    /// Turns a pass into a block by a procedure; a packet that the rule itself blocks stays the rule's.
    @inline(__always)
    mutating func refuse(answered: Bool) {
        guard verdict == .pass else { return }
        verdict = .block
        cause = .procedure
        isAnswered = answered
    }
}
