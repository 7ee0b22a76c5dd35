import ConfigLanguage
import Packet
import Ruleset
package import States

// The connections of a filter. The first two are part of the packet path.
extension Filter {
    /// The connection by which a packet passes.
    ///
    /// - Parameter key: the packet's, if it was prepared; else it is made here.
    @inline(__always)
    mutating func connection(
        of headers: PacketHeaders, _ packet: UnsafeMutableRawBufferPointer, _ origin: PacketOrigin,
        _ key: StateKey?, _ decision: inout Decision
    ) -> StateMatch? {
        guard states.count > 0, let key = unsafe key ?? self.key(of: headers, packet, origin) else { return nil }
        switch unsafe states.lookup(key, headers, packet: packet.bytes, now: origin.clock) {
        case .none: return nil
        case .invalid:
            decision.state = .invalid
            return nil
        case .pass(let match):
            decision.state = .known
            return match
        }
    }

    /// Makes a state for the packet's connection, which a stateful rule passes.
    mutating func remember(
        _ match: Match, _ headers: PacketHeaders, _ packet: UnsafeMutableRawBufferPointer, _ origin: PacketOrigin,
        _ key: StateKey?, _ decision: inout Decision
    ) {
        // A packet that does not fit its connection passes by the rule, and the connection stays what it is.
        guard decision.state == .none, let key = unsafe key ?? self.key(of: headers, packet, origin) else { return }
        let isMade = unsafe states.create(
            key, headers, packet: packet.bytes, kind: match.state == .statefulAll ? .statefulAll : .stateful,
            entry: match.entry, procedure: match.procedure, now: origin.clock)
        decision.state = isMade ? .created : .refused
    }

    @inline(__always)
    private func key(
        of headers: PacketHeaders, _ packet: UnsafeMutableRawBufferPointer, _ origin: PacketOrigin
    ) -> StateKey? {
        unsafe states.key(
            headers, packet: packet.bytes, interface: origin.interfaceIndex, direction: origin.direction)
    }

    /// What the connections say of a packet, which leaves them as they are.
    mutating func peek(_ packet: UnsafeMutableRawBufferPointer, from origin: PacketOrigin) -> StateLookup {
        guard let headers = try? PacketHeaders(parsing: unsafe packet.bytes),
            let key = unsafe key(of: headers, packet, origin)
        else { return .none }
        return unsafe states.peek(key, headers, packet: packet.bytes, now: origin.clock)
    }

    /// Takes over the connections of the filter whose place this one takes, and what was decided about flows.
    package mutating func takeOver(_ former: inout Filter) {
        let parameters = states.parameters
        swap(&states, &former.states)
        states.parameters = parameters
        if let renumbering { states.renumber(renumbering) }
        if endsConnections { states.expireAll() }
        if let continuity {
            swap(&flows, &former.flows)
            flows.renumber(continuity)
        }
    }

    /// Removes states that have expired, if it is time to.
    package mutating func collectStates(now: Int64) {
        guard now >= collector.due else { return }
        let removed = states.collect(step: collector.step, now: now)
        collector.note(removed: removed, now: now)
    }

    /// The connections that have a state.
    package var stateCount: Int { states.count }

    /// What has happened to them.
    package var stateStatistics: StateStatistics { states.statistics }

    /// Shows what the states have counted to whoever reads the totals.
    func publishStates() {
        let statistics = states.statistics
        totals.states.current.set(UInt64(states.count))
        totals.states.created.set(statistics.created)
        totals.states.expired.set(statistics.expired)
        totals.states.replaced.set(statistics.replaced)
        totals.states.evicted.set(statistics.evicted)
        totals.states.flushed.set(statistics.flushed)
        totals.states.refused.set(statistics.refused)
        totals.states.invalid.set(statistics.invalid)
        totals.states.beyondWindow.set(statistics.beyondWindow)
        totals.states.beforeWindow.set(statistics.beforeWindow)
        totals.states.acknowledgment.set(statistics.acknowledgment)
    }
}

/// When expired states are removed next: `gc.step` places every `gc.interval_min` while there is something to remove,
/// and ever less often, down to `gc.interval_max`, while there is not.
struct StateCollector {
    /// The places that are looked at in one step.
    let step: Int
    /// When the next step is due, in nanoseconds.
    private(set) var due: Int64 = 0
    private let shortest: Int64
    private let longest: Int64
    private var interval: Int64

    init(_ parameters: Parameters) {
        step = parameters[.gcStep]
        shortest = Int64(parameters[.gcIntervalMin]) * 1_000_000
        longest = max(Int64(parameters[.gcIntervalMax]) * 1_000_000, shortest)
        interval = shortest
    }

    /// Notes that a step has removed so many states.
    mutating func note(removed: Int, now: Int64) {
        interval = removed > 0 ? shortest : min(interval * 2, longest)
        due = now + interval
    }
}

extension Renumbering {
    /// How the rules and procedures of one ruleset are numbered in another.
    ///
    /// A rule is the same if it reads the same, in canonical form; of several that do, the first is the first. A
    /// procedure is known by its name.
    init(from old: CompiledRuleset, to new: CompiledRuleset) {
        var places: [String: [Int32]] = [:]
        for entry in new.rules.indices.reversed() where new.rules[entry].kind != .group {
            places[new.rules[entry].text, default: []].append(Int32(entry))
        }
        let entries = old.rules.map { rule in
            rule.kind == .group ? -1 : places[rule.text]?.popLast() ?? -1
        }
        let procedures = old.procedures.map { procedure in
            Int32(new.procedures.firstIndex { $0.name == procedure.name } ?? -1)
        }
        self.init(entries: entries, procedures: procedures)
    }
}
