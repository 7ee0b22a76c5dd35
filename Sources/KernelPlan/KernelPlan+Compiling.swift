public import ConfigLanguage
public import Packet

/// A table that does not change while its configuration runs, as ranges in ascending order that are apart.
public struct PlanTable: Sendable, Equatable {
    /// The IPv4 addresses.
    public let inet4: [AddressRange]
    /// The IPv6 addresses.
    public let inet6: [AddressRange]

    /// A table of these addresses, in any order.
    public init(inet4: [AddressRange], inet6: [AddressRange]) {
        self.inet4 = AddressRange.merged(inet4)
        self.inet6 = AddressRange.merged(inet6)
    }
}

extension KernelPlan {
    /// The items of a hook at most, and the elements of all sets in them: what lies beyond goes to the queue.
    public static let maximumItems = 4_096
    /// See `maximumItems`.
    public static let maximumElements = 131_072

    /// What the kernel can decide of a configuration by itself.
    ///
    /// - Parameters:
    ///   - tables: the contents of the tables that do not change, by name. What looks into another is queued.
    ///   - dynamicRules: the rules of the dynamic rulesets that have some, by the rulesets' names.
    ///   - formerStates: which packets may belong to states of configurations before this one.
    ///   - marks: the values of connections' marks by which decisions about flows come back; nil where none do.
    public init(
        compiling configuration: Configuration, tables: [String: PlanTable] = [:],
        dynamicRules: [String: [Configuration.Rule]] = [:], formerStates: PlanStates = PlanStates(),
        marks: Configuration.FlowMarks? = nil, queues: ClosedRange<UInt16>, failOpen: Bool
    ) {
        self.init(queues: queues, failOpen: failOpen)
        let marks = marks.flatMap { $0.mask == 0 ? nil : $0 }
        let compiler = PlanCompiler(configuration, tables: tables, dynamicRules: dynamicRules, marks: marks)
        filtersLoopback = compiler.namesLoopback
        self.marks = compiler.usesMarks ? marks : nil
        states = compiler.states
        dropsIPv4Options = compiler.dropsIPv4Options
        let allStates = states.union(formerStates)
        let concernsFlows = !allStates.isEmpty || !compiler.decidedFlows.isEmpty || compiler.usesMarks

        func list(_ rules: [PlanItem], _ states: Set<PlanMatch>) -> [PlanItem] {
            var items: [PlanItem] = []
            items.append(.own(PlanMatch(isUnreadable: true), .queue, "packets that only npfluad can read"))
            if concernsFlows {
                items += PlanMatch.icmpErrors.map { .own($0, .queueFirst, "ICMP errors about flows") }
            }
            // Behind the errors about such flows, which are packets of others.
            if let marks = self.marks {
                items.append(.own(PlanMatch(connectionMark: marks.blocked), .drop, "flows blocked by a script"))
            }
            items += states.sorted().map { .own($0, .queue, "packets that may belong to a state") }
            items += compiler.decidedFlows.sorted().map { .own($0, .queue, "flows that a script may have blocked") }
            items += rules
            // Without any group there is no configuration: everything passes, as in NPF after `flush`.
            items.append(
                PlanItem(
                    match: .any, action: configuration.groups.isEmpty ? .accept : .drop, entry: 0, place: "npflua",
                    text: "no rule matched"))
            return Self.folded(Self.bounded(items), hasOneQueue: queues.count == 1)
        }
        inbound = list(compiler.rules.inbound, allStates.inbound)
        outbound = list(compiler.rules.outbound, allStates.outbound)
    }

    /// The items as far as they fit, and for the rest the queue.
    private static func bounded(_ items: [PlanItem]) -> [PlanItem] {
        var elements = 0
        for (index, item) in items.enumerated() {
            elements += item.match.size
            guard index < maximumItems - 1 && elements <= maximumElements else {
                // Packets without payload pass only where their rule has the others come.
                let whole = items[..<index].lastIndex { !$0.match.lacksPayload }.map { items[...$0] } ?? []
                return whole + [.own(.any, .queue, "what is more than the kernel is given")]
            }
        }
        return items
    }

    /// The same without items that decide nothing: those behind one for all packets, and those before the last one that
    /// lead to the same.
    private static func folded(_ items: [PlanItem], hasOneQueue: Bool) -> [PlanItem] {
        var items = items
        if hasOneQueue {
            for index in items.indices where items[index].action == .queueFirst { items[index].action = .queue }
        }
        if let end = items.firstIndex(where: { $0.match == .any }) { items.removeSubrange((end + 1)...) }
        guard let last = items.popLast() else { return [] }
        while let item = items.last, item.action == last.action, !item.tellsOpening { items.removeLast() }
        return items + [last]
    }
}

extension PlanItem {
    /// An item that is about no rule.
    fileprivate static func own(_ match: PlanMatch, _ action: Action, _ text: String) -> PlanItem {
        PlanItem(match: match, action: action, entry: nil, place: "npflua", text: text)
    }
}

extension PlanMatch {
    /// What quotes a packet of a flow: destination unreachable, source quench, redirect, time exceeded and parameter
    /// problem (RFC 792), and ICMPv6's errors (RFC 4443 section 3).
    fileprivate static let icmpErrors = [
        PlanMatch(family: .inet4, protocols: [1], icmpTypes: [3, 4, 5, 11, 12]),
        PlanMatch(family: .inet6, protocols: [58], icmpTypes: [1, 2, 3, 4]),
    ]
}

extension Set<PlanMatch> {
    /// In an order that is the same each time.
    fileprivate func sorted() -> [PlanMatch] { map { ("\($0)", $0) }.sorted { $0.0 < $1.0 }.map(\.1) }
}
