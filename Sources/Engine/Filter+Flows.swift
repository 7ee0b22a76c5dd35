import Packet
import Ruleset

// What scripts decide about flows. Part of the packet path.
extension Filter {
    /// Whether a script need not be called: it has passed the packet's flow, or wants no packets like this one.
    ///
    /// A segment that opens a connection starts afresh.
    ///
    /// - Parameter flow: gets the place of the flow, if the script looks at it.
    @inline(__always)
    mutating func isSpared(
        _ headers: PacketHeaders, _ call: Int32, _ flow: inout Int?, _ decision: inout Decision, now: Int64
    ) -> Bool {
        let facts = procedures.facts(ofCall: call)
        if !flows.isEmpty, decision.verdict == .pass, let key = FlowKey(headers) {
            flow = flows.find(key.treated(by: call), opening: headers.opensConnection, now: now)
            if let flow, flows[flow].standing == .passed {
                if decision.cause == .rule { decision.cause = .state }
                tellKernel(facts.passedMark, of: flow, now: now, &decision)
                return true
            }
        }
        return facts.payloadOnly && !headers.hasPayload
    }

    /// Counts what a script has looked at and left to the rule, and passes the flow when that is enough.
    @inline(__always)
    mutating func inspect(
        _ headers: PacketHeaders, by call: Int32, _ procedure: Int32, of rule: Int32, at place: Int?,
        _ origin: PacketOrigin, _ decision: inout Decision
    ) {
        let facts = procedures.facts(ofCall: call)
        guard facts.inspectionLimit > 0 else { return }
        let bytes = UInt32(truncatingIfNeeded: max(headers.length &- headers.payloadOffset, 0))
        let amount = facts.countsPackets ? (headers.hasPayload ? 1 : 0) : bytes
        guard amount > 0, let place = unsafe place ?? begin(headers, call, procedure, of: rule, origin, decision)
        else { return }
        let isEnough = unsafe flows.count(
            amount, upTo: facts.inspectionLimit, of: headers, origin.direction, at: place)
        if isEnough, unsafe pass(headers, by: call, of: rule, now: origin.clock, &decision) {
            totals.flowsInspected.add()
        }
    }

    /// Begins to look at a flow.
    ///
    /// Returns its place, nil where it has no room.
    private mutating func begin(
        _ headers: PacketHeaders, _ call: Int32, _ procedure: Int32, of rule: Int32, _ origin: PacketOrigin,
        _ decision: Decision
    ) -> Int? {
        guard let key = FlowKey(headers)?.treated(by: call) else { return nil }
        let needsBoth =
            unsafe decision.state == .known || decision.state == .created
            || rules._withUnsafeGuaranteedRef { $0.appliesBothWays(procedure, to: headers, tables: lookup) }
        return unsafe note(key, .inspected, of: rule, needsBoth: needsBoth, now: origin.clock)
    }

    /// Passes a packet's flow, as far as a call is concerned.
    ///
    /// Returns whether it could be noted.
    mutating func pass(
        _ headers: PacketHeaders, by call: Int32, of rule: Int32, now: Int64, _ decision: inout Decision
    ) -> Bool {
        guard let key = FlowKey(headers)?.treated(by: call), let place = note(key, .passed, of: rule, now: now)
        else { return false }
        tellKernel(procedures.facts(ofCall: call).passedMark, of: place, now: now, &decision)
        return true
    }

    /// Blocks a packet's flow.
    mutating func block(_ headers: PacketHeaders, of rule: Int32, now: Int64, _ decision: inout Decision) {
        guard let key = FlowKey(headers), let place = note(key, .blocked, of: rule, now: now) else { return }
        totals.flowsBlocked.add()
        tellKernel(blockedMark, of: place, now: now, &decision)
    }

    private mutating func note(
        _ key: FlowKey, _ standing: FlowTable.Standing, of rule: Int32, needsBoth: Bool = false, now: Int64
    ) -> Int? {
        let (place, forgets) = flows.note(key, standing, rule: rule, needsBoth: needsBoth, now: now)
        if forgets { totals.flowsForgotten.add() }
        return place
    }

    /// Has the kernel be told of a decision about a flow, with the packet at hand.
    ///
    /// It goes by a state's packets only where they are blocked: those that pass must come here, for the state to know of
    /// them. A changed packet cannot tell it, as that has the kernel look at the packet once more.
    @inline(__always)
    mutating func tellKernel(_ mark: UInt32, of place: Int, now: Int64, _ decision: inout Decision) {
        guard tellsKernel, mark != 0 else { return }
        if decision.verdict == .pass {
            guard !decision.isChanged, decision.state != .known, decision.state != .created else { return }
        }
        guard flows.takesTelling(at: place, now: now) else { return }
        decision.connectionMark = mark
        totals.flowsMarked.add()
    }
}

extension PacketHeaders {
    /// Whether a segment opens a connection, or answers to one that does.
    ///
    /// A rule may be about one direction alone, and the connection is new in either.
    @inline(__always)
    fileprivate var opensConnection: Bool { transportProtocol == .tcp && tcpFlags.contains(.syn) }

    /// Whether anything follows layer 4's header, as far as can be said: fragments and other protocols count as if.
    @inline(__always)
    fileprivate var hasPayload: Bool {
        guard !isFragment && !isTruncated else { return true }
        switch transportProtocol {
        case .tcp, .udp, .icmp, .icmpv6: return length > payloadOffset
        default: return true
        }
    }
}
