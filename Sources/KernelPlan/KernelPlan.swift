public import ConfigLanguage

/// What is installed in the kernel: which packets it decides by itself, and which it sends to the daemon's queues.
///
/// The items of a hook are tried in order, and the first that matches decides: exactly as the rules would have, or the
/// daemon is asked. A forwarded packet meets both hooks. The kernel drops all that waits in its queues when a base chain
/// is deleted, so no update deletes one, and a removal comes after an idle text and a pause that lets the queues drain.
public struct KernelPlan: Sendable, Equatable {
    /// The packet mark of the daemon's own answers (resets, ICMP errors), which are not to be filtered themselves.
    public static let answerMark: UInt32 = 0x4e50_4600

    /// The NFQUEUE numbers, one a worker; both directions of a flow go to the same.
    public var queues: ClosedRange<UInt16>
    /// Packets pass while nobody has their queue; else they are dropped.
    public var failOpen: Bool
    /// Whether packets on `lo` meet the items; else they pass before.
    public var filtersLoopback: Bool
    /// The values of connections' marks; nil where no decision about a flow comes back as one.
    public var marks: Configuration.FlowMarks?
    /// What becomes of packets that come in; the last item matches every packet.
    public var inbound: [PlanItem]
    /// What becomes of packets that go out; the last item matches every packet.
    public var outbound: [PlanItem]
    /// Which packets may belong to a state that a rule makes.
    ///
    /// States outlive their rules: a plan for other rules must know them as long as there may be some.
    public var states: PlanStates
    /// Whether IPv4 packets with options are dropped, whatever they belong to.
    public var dropsIPv4Options: Bool

    /// The plan that sends all packets to these queues.
    public init(queues: ClosedRange<UInt16>, failOpen: Bool) {
        self.queues = queues
        self.failOpen = failOpen
        filtersLoopback = false
        let all = PlanItem(match: .any, action: .queue, entry: nil, place: "npflua", text: "all packets")
        (inbound, outbound) = ([all], [all])
        states = PlanStates()
        dropsIPv4Options = false
    }

    /// The same plan with all packets sent to the queues, for a kernel that cannot carry it out.
    public var queueingAll: KernelPlan {
        var plan = KernelPlan(queues: queues, failOpen: failOpen)
        plan.filtersLoopback = filtersLoopback
        plan.marks = marks
        plan.states = states
        return plan
    }

    /// The items as they are asked: where marks tell of decided flows, those of such flows have a list of their own, so
    /// that no other packet is asked for its mark more than once.
    package var lists: [ItemList] {
        [true, false].flatMap { isInbound in
            let items = Array((isInbound ? inbound : outbound).enumerated())
            guard marks != nil else { return [ItemList(isInbound: isInbound, isOfFlows: false, items: items)] }
            let unmarked = items.filter { $0.element.match.connectionMark == nil }
            return [
                ItemList(isInbound: isInbound, isOfFlows: false, items: unmarked),
                ItemList(isInbound: isInbound, isOfFlows: true, items: items),
            ]
        }
    }

    /// The last item of a list, where it is the one about all packets of connections but ICMP's, which may concern other
    /// flows, and has them pass as long as no script has blocked them.
    ///
    /// Of IPv4: what connection tracking finds valid there the engine can read.
    package func passingConnections(_ list: ItemList) -> (offset: Int, element: PlanItem)? {
        guard let marks, !dropsIPv4Options, let last = list.items.last,
            last.element.match == .any, last.element.action == .accept
        else { return nil }
        let isAlone = list.items.dropLast().allSatisfy { _, item in
            item.match.isUnreadable || item.match.family == .inet6 || item.match == .any.marked(marks.blocked)
                || item.match.protocols == [1]
        }
        return isAlone ? last : nil
    }

    /// The TCP flags of segments that come even if they have no payload.
    ///
    /// What ends a connection (FIN, RST) must not overtake contents that wait in the queue. What begins one (SYN) comes
    /// where marks cannot tell: by it the engine knows one connection from another between the same ports.
    var payloadFlags: UInt8 { marks?.opened == nil ? 7 : 5 }

    /// Whether there are packets that the daemon is not asked about.
    public var decidesPackets: Bool { (inbound + outbound).contains { $0.action == .accept || $0.action == .drop } }

    /// The queues that a listing of our rules names, as `nft list` or `iptables -S` prints them; nil for none.
    public static func queues(inListing text: String) -> ClosedRange<UInt16>? {
        var found: ClosedRange<UInt16>?
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            func number(after word: Substring) -> UInt16? {
                guard let place = words.lastIndex(of: word), place + 1 < words.count else { return nil }
                return UInt16(words[place + 1])
            }
            if words.contains("NFQUEUE") {
                if let queue = number(after: "--queue-num") { found = found ?? queue...queue }
                guard let place = words.lastIndex(of: "--queue-balance"), place + 1 < words.count else { continue }
                let ends = words[place + 1].split(separator: ":").compactMap { UInt16($0) }
                if ends.count == 2, ends[0] <= ends[1] { return ends[0]...ends[1] }
            } else if words.contains("queue") {
                if let queue = number(after: "to") { found = found ?? queue...queue }
                // nft leaves an offset of 0 away.
                let first = number(after: "offset") ?? 0
                guard let count = number(after: "mod"), count > 0, count - 1 <= .max - first else { continue }
                return first...first + (count - 1)
            }
        }
        return found
    }
}

/// The items of a hook for some packets, with their places in the hook's list.
package struct ItemList {
    /// Whether it is for packets that come in.
    package let isInbound: Bool
    /// Whether it is for the packets of flows that have a mark.
    package let isOfFlows: Bool
    let items: [(offset: Int, element: PlanItem)]

    /// The items about flows that have passed which may be asked before all others, of packets that can be read: most
    /// packets of a download are theirs.
    ///
    /// No other item before them is about their packets.
    package var leading: [(offset: Int, element: PlanItem)] {
        guard isOfFlows else { return [] }
        var leading: [(offset: Int, element: PlanItem)] = []
        for (index, (offset, item)) in items.enumerated() where item.match.connectionMark != nil {
            guard leading.count < Self.mostLeading, item.action == .accept, !item.match.lacksPayload,
                let match = item.match.narrowed(to: [6, 17]),
                items[..<index].allSatisfy({ $0.element.match.isUnreadable || $0.element.match.isApart(from: match) })
            else { continue }
            var item = item
            item.match = match
            leading.append((offset, item))
        }
        return leading
    }

    /// Packets of other items are asked for these first.
    private static let mostLeading = 4
    /// The elements that a remainder is told by at most.
    private static let mostTwice = 1_024

    /// What only the last item is about, where it decides in the kernel; nil also where there are so few items that
    /// asking for it costs as much as asking for them, or so much in them that the kernel should not hold it twice.
    func remainder(_ family: Configuration.Family, _ marks: Configuration.FlowMarks?) -> PlanRemainder? {
        guard items.count > 3, let last = items.last?.element, last.match == .any,
            last.action == .accept || last.action == .drop
        else { return nil }
        let remainder = PlanRemainder(of: items.map(\.element), family, blocked: marks?.blocked)
        return remainder.flatMap { $0.size <= Self.mostTwice ? $0 : nil }
    }
}

extension [ItemList] {
    /// The list of a hook that has all its items: that of flows, where there is one.
    func whole(besides list: ItemList) -> ItemList {
        first { $0.isOfFlows && $0.isInbound == list.isInbound } ?? list
    }
}

/// Which packets may belong to a state, by the hook that they meet.
public struct PlanStates: Sendable, Equatable {
    /// Of those that come in.
    public var inbound: Set<PlanMatch> = []
    /// Of those that go out.
    public var outbound: Set<PlanMatch> = []

    /// None.
    public init() {}

    /// Whether there are none.
    public var isEmpty: Bool { inbound.isEmpty && outbound.isEmpty }

    /// These and those of `other`.
    public func union(_ other: PlanStates) -> PlanStates {
        var union = self
        union.inbound.formUnion(other.inbound)
        union.outbound.formUnion(other.outbound)
        return union
    }
}
