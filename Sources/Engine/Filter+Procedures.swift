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
        let quoted = facts.mayChange ? headers.quotedLength : 0
        unsafe original.copyMemory(from: UnsafeRawBufferPointer(rebasing: packet[..<quoted]))
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
            var flow: Int?
            if unsafe isSpared(headers, call, &flow, &decision, now: origin.clock) { continue }
            let keeps = facts.isMixed && headers.length <= PacketHeaders.maximumLength
            if keeps { unsafe copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: packet[..<headers.length])) }
            let seen = headers
            let answer = unsafe callScript(
                Int(places[Int(rule)] &+ outcome.script), call, of: rule, on: packet, &headers, origin, keeps: keeps,
                &decision)
            guard decision.verdict == .pass else { continue }
            switch answer {
            case .keep: unsafe inspect(seen, by: call, procedure, of: rule, at: flow, origin, &decision)
            case .passFlow:
                if unsafe pass(seen, by: call, of: rule, now: origin.clock, &decision) { totals.flowsPassed.add() }
            default: break
            }
        }
        // The sender is told about the packet that it sent.
        if decision.isAnswered {
            unsafe packet.copyMemory(from: UnsafeRawBufferPointer(rebasing: original[..<quoted]))
        }
        if decision.isChanged { totals.changed.add() }
        if decision.cause == .procedure { unsafe (counters.base + Int(rule)).pointee.blocks.add() }
    }

    /// Calls one script and brings its answer into the decision, but for what that says of a flow that passes.
    private mutating func callScript(
        _ place: Int, _ call: Int32, of rule: Int32, on packet: UnsafeMutableRawBufferPointer,
        _ headers: inout PacketHeaders, _ origin: PacketOrigin, keeps: Bool, _ decision: inout Decision
    ) -> FilterAnswer {
        let script = unsafe scripts[place]
        let result = unsafe script.pointee.call(packet, headers: headers, origin: origin, rule: texts[Int(rule)])
        unsafe (counters.base + Int(rule)).pointee.calls.add()
        totals.scriptCalls.add()

        switch result.answer {
        case .keep, .passFlow: break
        case .block: decision.refuse(answered: false)
        case .blockReturn: decision.refuse(answered: ReturnPolicy.both.answers(headers))
        case .blockFlow:
            decision.refuse(answered: false)
            unsafe block(headers, of: rule, now: origin.clock, &decision)
        default:
            unsafe noteFailure(of: rule, now: origin.clock) { unsafe script.pointee.copyMessage(into: $0) }
            if decision.cause != .procedure { decision.cause = .error }
            if unsafe script.pointee.errorPolicy == .block { decision.verdict = .block }
        }
        guard result.changed else { return result.answer }
        if result.answer.isFailure {
            // What a failed call has changed goes no further: the packet is as it was before.
            if keeps { unsafe packet.copyMemory(from: UnsafeRawBufferPointer(rebasing: copy[..<headers.length])) }
        } else {
            unsafe mend(packet, &headers, &decision)
        }
        return result.answer
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
        // A blocked packet's too: it may be logged yet.
        var bytes = unsafe packet.mutableBytes
        Checksum.mend(&bytes, headers: headers)
        if decision.verdict == .pass { decision.isChanged = true }
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

    /// Appends what each script holds, in bytes: those that rules ask, then those of the rules' procedures.
    func appendMemoryInUse(to bytes: inout [Int]) {
        for place in 0..<askedScripts.count { unsafe bytes.append(askedScripts[place].pointee.memoryInUse) }
        for place in 0..<scripts.count { unsafe bytes.append(scripts[place].pointee.memoryInUse) }
    }

    /// How often a script was called.
    package var scriptCalls: UInt64 { totals.scriptCalls.value }

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

extension PacketHeaders {
    /// Bytes of the packet that an answer to its sender is made of; 0 for one that is never answered.
    @inline(__always)
    fileprivate var quotedLength: Int {
        switch transportProtocol {
        case .tcp: payloadOffset
        case .udp: min(length, Refusal.maximumLength)
        default: 0
        }
    }
}
