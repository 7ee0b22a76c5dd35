import ConfigLanguage
import Packet

extension KernelPlan {
    /// Our table, in the family of IPv4 and IPv6.
    private static let table = nftablesTable.joined(separator: " ")

    /// The family and the name of our table, as arguments of `nft list table`.
    public static let nftablesTable = ["inet", "npflua"]

    /// The plan as one transaction for `nft -f -`.
    ///
    /// It installs, and updates what is installed.
    public var nftables: String {
        var text = Self.nftablesIdle
        for rule in nftablesRules { text += "add rule \(Self.table) \(rule.chain) \(rule.text)\n" }
        return text
    }

    /// For `nft -f -`: the table with empty chains.
    ///
    /// Packets pass untouched. The inbound chain comes behind the translation of addresses, so that what comes back to a
    /// box that masquerades has the inside address, as it had when it went out.
    public static var nftablesIdle: String {
        let chains = [
            "inbound { type filter hook prerouting priority dstnat + 10; policy accept; }",
            "outbound { type filter hook postrouting priority mangle; policy accept; }", "inbound_flow",
            "outbound_flow",
            "marked", "decided", "opened", "payloadless",
        ]
        let additions = chains.map { "add chain \(table) \($0)\n" }
        let flushes = chains.map { "flush chain \(table) \($0.prefix { $0 != " " })\n" }
        return "add table \(table)\n" + additions.joined() + flushes.joined()
    }

    /// For `nft -f -`: removes the table, whether it is there or not.
    public static var nftablesRemoval: String {
        """
        add table \(table)
        delete table \(table)

        """
    }

    /// The rules in their order.
    var nftablesRules: [PlanRule] {
        var writer = NftablesWriter(plan: self)
        let lists = lists
        for list in lists {
            let (hook, interface) = list.isInbound ? ("inbound", "iifname") : ("outbound", "oifname")
            if !list.isOfFlows { writer.begin(hook, interface: interface, for: lists.whole(besides: list)) }
            let chain = list.isOfFlows ? "\(hook)_flow" : hook
            for (index, item) in list.leading { writer.addLeading(item, at: index, chain, interface: interface) }
            writer.addShortcut(list, chain)
            writer.addRenewal(chain)
            for (index, item) in list.items {
                writer.add(item, at: index, chain: chain, interface: interface, isOfFlows: list.isOfFlows)
            }
        }
        if let marks { writer.addDecisions(marks) }
        if (inbound + outbound).contains(where: \.match.lacksPayload) { writer.addPayloadless() }
        // To ask for a packet's state is to ask for connection tracking, and that puts fragments together before they come
        // here: a script would see none of what a later fragment carries.
        if !writer.rules.contains(where: { $0.text.contains("ct state") }) {
            writer.addFirst("inbound", "ct state invalid counter")
        }
        return writer.rules
    }

    /// The chains whose rules count what the items decide.
    static let nftablesItemChains = ["inbound", "inbound_flow", "outbound", "outbound_flow"]
}

/// A rule for the kernel.
struct PlanRule: Equatable {
    var chain: String
    var text: String
    /// The index of the item in its hook's list whose packets the rule counts; nil for what comes to no item, and for an
    /// item whose packets are counted with others'.
    var item: Int?
    /// Whether its packets go to the queue.
    var queues = false
}

private struct NftablesWriter {
    let plan: KernelPlan
    private(set) var rules: [PlanRule] = []

    init(plan: KernelPlan) {
        self.plan = plan
    }

    mutating func add(_ chain: String, _ text: String, item: Int? = nil) {
        rules.append(PlanRule(chain: chain, text: text, item: item))
    }

    mutating func addFirst(_ chain: String, _ text: String) {
        rules.insert(PlanRule(chain: chain, text: text, item: nil), at: 0)
    }

    /// What is asked before the items.
    mutating func begin(_ chain: String, interface: String, for list: ItemList) {
        if !plan.filtersLoopback { add(chain, "\(interface) \"lo\" accept") }
        addPassing(list, chain)
        // An answer that goes out by `lo` comes in there.
        if chain == "outbound" || plan.filtersLoopback {
            add(chain, "meta mark \(KernelPlan.answerMark) counter accept")
        }
        guard let marks = plan.marks else { return }
        add(chain, "meta mark & \(marks.mask) != 0 jump marked")
        add(chain, "meta mark & \(marks.mask) != 0 goto decided")
        // What a connection tracking helper expects begins with the mark of its master, whose flow it is not.
        add(chain, "ct mark & \(marks.mask) != 0 ct status & 1 == 0 goto \(chain)_flow")
    }

    /// Where nothing but a script's decision keeps a connection from passing, its packets are asked for that alone.
    ///
    /// What has no connection has no mark, and is not among them. A mark of the packet itself is to be gone where routes
    /// are chosen.
    private mutating func addPassing(_ list: ItemList, _ chain: String) {
        guard let marks = plan.marks, let last = plan.passingConnections(list) else { return }
        addRenewal(chain)
        let isUnmarked = list.isInbound ? "meta mark & \(marks.mask) == 0 " : ""
        add(
            last.element, at: last.offset, chain,
            "meta nfproto ipv4 meta l4proto != 1 \(isUnmarked)ct mark & \(marks.mask) != \(marks.blocked) ")
    }

    /// Segments of a flow that has passed go on their way at once, but what begins a connection anew.
    mutating func addLeading(_ item: PlanItem, at index: Int, _ chain: String, interface: String) {
        for family in [Configuration.Family.inet4, .inet6] where item.match.family == nil || item.match.family == family
        {
            guard let match = item.match.narrowed(to: [6]),
                let criteria = criteria(of: match, interface: interface)
            else { continue }
            add(item, at: index, chain, "\(Self.readable(family))\(criteria)tcp flags & 2 == 0 ")
        }
    }

    /// The packets that only a list's last item is about are decided at once.
    mutating func addShortcut(_ list: ItemList, _ chain: String) {
        for family in [Configuration.Family.inet4, .inet6] {
            guard let last = list.items.last, let remainder = list.remainder(family, plan.marks) else { continue }
            var text = Self.readable(family)
            if list.isOfFlows, let marks = plan.marks {
                // What begins a connection anew is to lose the mark of the one before.
                guard remainder.protocols.contains(6) else { continue }
                text += "ct mark & \(marks.mask) != \(marks.blocked) meta l4proto 6 tcp flags & 2 == 0 "
            } else {
                // What is invalid may be of a flow that has been blocked.
                text +=
                    "ct state new,established,related meta l4proto \(Self.set(remainder.protocols.map { "\($0)" })) "
            }
            for (addresses, word) in [
                (remainder.sourceAddresses, "saddr"), (remainder.destinationAddresses, "daddr"),
            ] where !addresses.isEmpty {
                text += "\(family.word) \(word) != \(Self.set(addresses.map { $0.text(family) })) "
            }
            for (ports, word) in [(remainder.sourcePorts, "sport"), (remainder.destinationPorts, "dport")]
            where !ports.isEmpty {
                text += "th \(word) != \(Self.set(ports.map(\.text))) "
            }
            add(last.element, at: last.offset, chain, text)
        }
    }

    /// A connection that begins anew where the kernel still has an old one is not the one that was passed.
    ///
    /// It goes on in the list of flows: a SYN tells the engine itself that a connection begins, and what follows has no mark.
    mutating func addRenewal(_ chain: String) {
        guard let marks = plan.marks else { return }
        add(
            chain,
            "tcp flags & 2 != 0 ct mark & \(marks.mask) != 0 ct mark & \(marks.mask) != \(marks.blocked) "
                + "ct mark set ct mark & \(~marks.mask)")
    }

    mutating func add(_ item: PlanItem, at index: Int, chain: String, interface: String, isOfFlows: Bool) {
        guard !item.match.isUnreadable else {
            // What has a mark belongs to a connection.
            for criterion in Self.unreadable.dropFirst(isOfFlows ? 1 : 0) { add(item, at: index, chain, criterion) }
            return
        }
        guard let criteria = criteria(of: item.match, interface: interface) else {
            var queued = item
            queued.action = .queue
            tellOpening(item, chain, interface: interface, isOfFlows: isOfFlows)
            return add(queued, at: index, chain, "")
        }
        guard !item.match.lacksPayload else { return add(chain, "\(criteria)jump payloadless") }
        tellOpening(item, chain, interface: interface, isOfFlows: isOfFlows)
        add(item, at: index, chain, criteria)
    }

    private mutating func add(_ item: PlanItem, at index: Int, _ chain: String, _ criteria: String) {
        let verdict =
            switch item.action {
            case .accept: "accept"
            case .drop: "drop"
            case .queue: queue(plan.queues)
            case .queueFirst: queue(plan.queues.lowerBound...plan.queues.lowerBound)
            }
        rules.append(
            PlanRule(
                chain: chain, text: "\(criteria)counter \(verdict) comment \"\(item.place)\"", item: index,
                queues: item.action.queues))
    }

    /// The packet that is a connection's first in the queue has a mark of its own: nobody else tells a connection from one
    /// before it between the same ports, as its SYN does not come.
    private mutating func tellOpening(_ item: PlanItem, _ chain: String, interface: String, isOfFlows: Bool) {
        guard item.tellsOpening, !isOfFlows, let marks = plan.marks, marks.opened != nil,
            let tcp = item.match.narrowed(to: [6])
        else { return }
        let criteria = criteria(of: tcp, interface: interface) ?? "meta l4proto 6 "
        add(chain, "\(criteria)ct mark & \(marks.mask) == 0 jump opened")
    }

    private func queue(_ queues: ClosedRange<UInt16>) -> String {
        // The hash is over addresses and ports, and the same for both directions of a flow.
        let target =
            queues.count == 1 ? "\(queues.lowerBound)" : "symhash mod \(queues.count) offset \(queues.lowerBound)"
        return (plan.failOpen ? "queue flags bypass to " : "queue to ") + target
    }

    /// What only the engine can judge: see `PlanMatch.isUnreadable`.
    ///
    /// Connection tracking calls invalid whatever has no whole header of layer 4, and tells nothing of what it does not
    /// track. The extension headers are those that the engine or the kernel goes on behind.
    private static let unreadable = [
        "ct state invalid,untracked ", "ip hdrlength != 5 ", "ip frag-off & 0x3fff != 0 ",
        "ip6 nexthdr { 0, 43, 44, 51, 60 } ", "ip6 length < 2 ",
    ]

    /// The contrary, for valid packets of TCP and UDP in a family.
    private static func readable(_ family: Configuration.Family) -> String {
        // Not `ip6 nexthdr`, behind which nft takes no `tcp flags`.
        family == .inet4 ? "ip hdrlength 5 ip frag-off & 0x3fff == 0 " : "meta nfproto ipv6 @nh,48,8 { 6, 17 } "
    }

    /// The criteria, a blank behind each; nil where nft cannot be told one.
    private func criteria(of match: PlanMatch, interface: String) -> String? {
        var text = ""
        if let name = match.interface {
            guard name.allSatisfy(\.isPlain) else { return nil }
            text += "\(interface) \"\(name)\" "
        }
        if let family = match.family {
            text += family == .inet4 ? "meta nfproto ipv4 " : "meta nfproto ipv6 "
            for (end, word) in [(match.source, "saddr"), (match.destination, "daddr")] {
                guard let addresses = end.addresses else { continue }
                let elements = addresses.map { $0.text(family) }
                text += "\(family.word) \(word) \(Self.set(elements)) "
            }
        }
        if !match.protocols.isEmpty { text += "meta l4proto \(Self.set(match.protocols.map { "\($0)" })) " }
        for (end, word) in [(match.source, "sport"), (match.destination, "dport")] where !end.ports.isEmpty {
            text += "th \(word) \(Self.set(end.ports.map(\.text))) "
        }
        if let flags = match.flags { text += "tcp flags & \(flags.mask) == \(flags.match) " }
        // Not `icmp type`, which would ask for the family: the engine reads ICMP whatever carries it.
        if let type = match.icmpTypes.first {
            if let code = match.icmpCode {
                text += "@th,0,16 \(UInt16(type) << 8 | UInt16(code)) "
            } else {
                text += "@th,0,8 \(Self.set(match.icmpTypes.map { "\($0)" })) "
            }
        }
        if let mark = match.connectionMark, let marks = plan.marks { text += "ct mark & \(marks.mask) == \(mark) " }
        return text
    }

    private static func set(_ elements: [String]) -> String {
        elements.count == 1 ? elements[0] : "{ \(elements.joined(separator: ", ")) }"
    }

    /// What a worker has decided about a flow comes back in its packet's mark: the connection takes it over, and the
    /// packet goes the decided way, for the connection may be none that is tracked.
    ///
    /// A mark that somebody restored from its connection tells nothing new, and one of another value is not ours: it is
    /// taken off, and the rules are asked.
    mutating func addDecisions(_ marks: Configuration.FlowMarks) {
        let unmarked = "meta mark set meta mark & \(~marks.mask)"
        for value in marks.values {
            add(
                "marked",
                "meta mark & \(marks.mask) == \(value) ct mark & \(marks.mask) == \(value) "
                    + "ct state new,established,related \(unmarked)")
        }
        // A rule has room for few values.
        for value in marks.values { add("marked", "meta mark & \(marks.mask) == \(value) return") }
        add("marked", unmarked)
        if let opened = marks.opened {
            add("opened", "ct mark set ct mark & \(~marks.mask) | \(opened)")
            add("opened", "meta mark set meta mark & \(~marks.mask) | \(opened)")
        }
        for value in marks.values {
            add("decided", "meta mark & \(marks.mask) == \(value) ct mark set ct mark & \(~marks.mask) | \(value)")
        }
        add("decided", "meta mark & \(marks.mask) == \(marks.blocked) drop")
        add("decided", "\(unmarked) accept")
    }

    /// Passes what has no payload, and returns with the rest: no length that a header could have is left out.
    ///
    /// What has options or extension headers does not come here.
    mutating func addPayloadless() {
        func pass(_ criteria: String) { add("payloadless", "\(criteria) counter accept") }
        // Of a flow whose first packet was blocked, the kernel has no connection that a mark could be on.
        add("payloadless", "ct state new return")
        add("payloadless", "ip length > 80 return")
        add("payloadless", "ip6 length > 60 return")
        add("payloadless", "tcp flags & \(plan.payloadFlags) != 0 return")
        pass("meta l4proto 17 ip length 28")
        pass("meta l4proto 17 ip6 length 8")
        for offset in 5...15 {
            pass("ip length \(20 + 4 * offset) tcp doff \(offset)")
            pass("ip6 length \(4 * offset) tcp doff \(offset)")
        }
    }
}

extension Configuration.Family {
    /// Its header, as nft calls it.
    fileprivate var word: String { self == .inet4 ? "ip" : "ip6" }
}

extension NumberRange<UInt16> {
    /// The range as nft writes it.
    fileprivate var text: String { first == last ? "\(first)" : "\(first)-\(last)" }
}

extension AddressRange {
    /// The range as nft writes it.
    fileprivate func text(_ family: Configuration.Family) -> String {
        if first == last { return text(of: first, family) }
        if let length = prefixLength(family) { return "\(text(of: first, family))/\(length)" }
        return "\(text(of: first, family))-\(text(of: last, family))"
    }

    /// An address in its canonical form.
    func text(of value: UInt128, _ family: Configuration.Family) -> String {
        let low = UInt64(truncatingIfNeeded: value)
        let address =
            family == .inet4
            ? Address(ipv4: UInt32(truncatingIfNeeded: low))
            : Address(high: UInt64(truncatingIfNeeded: value >> 64), low: low)
        return "\(address)"
    }
}
