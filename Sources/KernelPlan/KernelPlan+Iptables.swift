public import ConfigLanguage
import Packet

/// For kernels without `nft_queue`.
///
/// To install: the family's `iptablesRestore`. To stop: `iptablesIdle`. To remove: `iptablesIdle`, `iptablesRemoval`.
extension KernelPlan {
    private static let inbound = "npflua-in"
    fileprivate static let outbound = "npflua-out"
    /// Behind the name of a hook's chain: for packets of flows that have a mark.
    fileprivate static let flowSuffix = "-flow"
    fileprivate static let marked = "npflua-marked"
    fileprivate static let decided = "npflua-decided"
    fileprivate static let opened = "npflua-opened"

    /// The arguments of `iptables-restore` and `ip6tables-restore` for the texts below: other rules stay, and the
    /// lock is waited for.
    public static let iptablesRestoreArguments = ["--noflush", "-w"]

    /// The jumps to our chains.
    public static let iptablesJumps = [
        IptablesJump(from: "PREROUTING", to: inbound), IptablesJump(from: "POSTROUTING", to: outbound),
    ]

    /// The arguments of `iptables-save` and `ip6tables-save` for what `IptablesListing` reads.
    public static let iptablesSaveArguments = ["-c", "-t", "mangle"]

    /// The plan for a family as one transaction for iptables-restore, or ip6tables-restore: fills our chains anew.
    ///
    /// What cannot be said there goes to the queue. The chains come before addresses are translated: what comes back to a
    /// box that masquerades has the outside address.
    ///
    /// - Parameter listing: what is there; jumps that it lacks are added, and those that it has twice taken away.
    public func iptablesRestore(_ family: Configuration.Family, over listing: IptablesListing? = nil) -> String {
        let rules = iptablesRules(family).map { "-A \($0.chain) \($0.text)" }
        guard let listing else { return Self.iptables(rules) }
        return Self.iptables(rules + listing.surplusJumps.map(\.deletion) + listing.missingJumps.map(\.insertion))
    }

    /// For iptables-restore: our chains, empty.
    ///
    /// Packets pass untouched.
    public static var iptablesIdle: String { iptables([]) }

    /// For iptables-restore: removes our chains, and the jumps that are there.
    public static func iptablesRemoval(of listing: IptablesListing) -> String {
        iptables(listing.jumps.map(\.deletion) + iptablesChains.map { "-X \($0)" })
    }

    /// Naming a chain creates it or, if it is there, empties it.
    private static func iptables(_ rules: [String]) -> String {
        (["*mangle"] + iptablesChains.map { ":\($0) - [0:0]" } + rules + ["COMMIT", ""]).joined(separator: "\n")
    }

    /// Each before those that its rules lead to, so that they can be removed in this order.
    static let iptablesChains = iptablesItemChains + [marked, decided, opened]

    /// The rules of a family in their order.
    func iptablesRules(_ family: Configuration.Family) -> [PlanRule] {
        var writer = IptablesWriter(plan: self, family: family)
        let lists = lists
        for list in lists {
            let (hook, option) = list.isInbound ? (Self.inbound, "-i") : (Self.outbound, "-o")
            if !list.isOfFlows { writer.begin(hook, option: option, for: lists.whole(besides: list)) }
            writer.add(list, chain: list.isOfFlows ? hook + Self.flowSuffix : hook, option: option)
        }
        if let marks { writer.addDecisions(marks) }
        // See the nftables text.
        if !writer.rules.contains(where: { $0.text.contains("--ctstate") }) {
            writer.addFirst(Self.inbound, "-m conntrack --ctstate INVALID")
        }
        return writer.rules
    }

    /// The chains whose rules count what the items decide.
    static let iptablesItemChains = [inbound, outbound].flatMap { [$0, $0 + flowSuffix] }
}

private struct IptablesWriter {
    /// Rules that an item becomes at most.
    private static let maximumRules = 64
    /// Ports, and ends of ranges, in a `multiport`.
    private static let maximumPorts = 15

    let plan: KernelPlan
    let family: Configuration.Family
    private(set) var rules: [PlanRule] = []

    init(plan: KernelPlan, family: Configuration.Family) {
        self.plan = plan
        self.family = family
    }

    mutating func add(_ chain: String, _ text: String, item: Int? = nil) {
        rules.append(PlanRule(chain: chain, text: text, item: item))
    }

    mutating func addFirst(_ chain: String, _ text: String) {
        rules.insert(PlanRule(chain: chain, text: text, item: nil), at: 0)
    }

    /// What is asked before a hook's items; see the nftables text.
    ///
    /// Most packets go no further than the first rules, and each further criterion costs a download a thousandth: what is
    /// asked here is asked once more in its turn, with its remark, which is a criterion to the kernel.
    mutating func begin(_ chain: String, option: String, for list: ItemList) {
        let passing = family == .inet4 ? plan.passingConnections(list) : nil
        if passing == nil {
            // What comes by `lo` has no mark of ours, and passes in either way.
            for (index, item) in list.leading { addLeading(item, at: index, chain: chain, option: option) }
        }
        if !plan.filtersLoopback { add(chain, "\(option) lo -j RETURN") }
        if let passing { addPassing(passing.element, at: passing.offset, chain: chain, isInbound: list.isInbound) }
        if chain == KernelPlan.outbound || plan.filtersLoopback {
            add(chain, "-m mark --mark \(KernelPlan.answerMark) -j RETURN")
        }
        if passing == nil { addShortcut(list, chain: chain) }
        guard let marks = plan.marks else { return }
        let isMarked = "! --mark 0/\(marks.mask)"
        add(chain, "-m mark \(isMarked) -j \(KernelPlan.marked)")
        // Not a jump: what comes to that chain's end is done with this one.
        add(chain, "-m mark \(isMarked) -g \(KernelPlan.decided)")
        add(
            chain,
            "-m connmark \(isMarked) -m conntrack ! --ctstatus EXPECTED -g \(chain)\(KernelPlan.flowSuffix)")
    }

    mutating func add(_ list: ItemList, chain: String, option: String) {
        addRenewal(chain)
        if !list.isOfFlows { addRenewed(list, chain: chain) }
        for (index, item) in list.items {
            add(item, at: index, chain: chain, option: option, isOfFlows: list.isOfFlows)
        }
    }

    /// See the nftables text.
    private mutating func addRenewal(_ chain: String) {
        guard let marks = plan.marks else { return }
        add(
            chain,
            "-p tcp --tcp-flags SYN SYN -m connmark ! --mark 0/\(marks.mask) "
                + "-m connmark ! --mark \(marks.blocked)/\(marks.mask) -j CONNMARK --set-xmark 0/\(marks.mask)")
    }

    /// See the nftables text.
    private mutating func addPassing(_ item: PlanItem, at index: Int, chain: String, isInbound: Bool) {
        guard let marks = plan.marks else { return }
        addRenewal(chain)
        let isUnmarked = isInbound ? "-m mark --mark 0/\(marks.mask) " : ""
        add(
            chain, "! -p icmp \(isUnmarked)-m connmark ! --mark \(marks.blocked)/\(marks.mask) -j RETURN",
            item: index)
    }

    /// Packets of a flow that has passed go on their way at once.
    private mutating func addLeading(_ item: PlanItem, at index: Int, chain: String, option: String) {
        guard item.match.family == nil || item.match.family == family, let marks = plan.marks,
            let program = PlanBytecode.remainder(PlanRemainder(), family, without: 0)
        else { return }
        let isOwn = "-m mark --mark 0/\(marks.mask) -m conntrack ! --ctstatus EXPECTED "
        // A valid segment of IPv4 is no fragment, and the engine can read it whatever options it has; of IPv6 it may not.
        let isReadable = family == .inet4 && !plan.dropsIPv4Options
        for match in [item.match.narrowed(to: [6])?.withoutSYN, item.match.narrowed(to: [17])] {
            guard let match, let criteria = expressed(match, option: option), criteria.count == 1 else { continue }
            let decision =
                isReadable && match.protocols == [6] ? "-j \(target(of: item.action))" : decision(of: item, program)
            add(chain, criteria[0] + isOwn + decision, item: index)
        }
    }

    /// The packets that only a list's last item is about are decided at once.
    private mutating func addShortcut(_ list: ItemList, chain: String) {
        // What begins a connection anew is to lose the mark of the one before.
        guard let last = list.items.last, let remainder = list.remainder(family, plan.marks),
            let program = PlanBytecode.remainder(
                remainder, family, without: plan.marks == nil ? 0 : TCPFlags.syn.rawValue)
        else { return }
        // `connmark` matches nothing that has no connection, inverted neither, and what is invalid or untracked has none.
        let isValid =
            plan.marks.map { "-m mark --mark 0/\($0.mask) -m connmark ! --mark \($0.blocked)/\($0.mask) " }
            ?? Self.isValid
        add(chain, isValid + decision(of: last.element, program), item: last.offset)
    }

    /// The same for what begins a connection, where many rules stand before the last, once it has lost its mark.
    private mutating func addRenewed(_ list: ItemList, chain: String) {
        guard plan.marks != nil, list.items.count > 6, let last = list.items.last,
            let remainder = list.remainder(family, plan.marks), remainder.protocols.contains(6),
            let program = PlanBytecode.remainder(remainder, family, without: 0)
        else { return }
        add(
            chain, "-p tcp --tcp-flags SYN SYN \(Self.isValid)\(decision(of: last.element, program))",
            item: last.offset)
    }

    /// See the nftables text.
    private static let isValid = "-m conntrack ! --ctstate INVALID,UNTRACKED "

    private func decision(of item: PlanItem, _ program: String) -> String {
        "-m bpf --bytecode \"\(program)\" -j \(target(of: item.action))"
    }

    private mutating func add(_ item: PlanItem, at index: Int, chain: String, option: String, isOfFlows: Bool) {
        guard item.match.family == nil || item.match.family == family else { return }
        var action = item.action
        var alternatives: [String] = []
        if item.match.isUnreadable {
            alternatives = ["-m bpf --bytecode \"\(PlanBytecode.unreadable(family))\" "]
            // What has a mark belongs to a connection.
            if !isOfFlows { alternatives.insert("-m conntrack --ctstate INVALID,UNTRACKED ", at: 0) }
        } else if let expressed = expressed(item.match, option: option) {
            alternatives = expressed
        } else {
            action = .queue
            alternatives = [interface(item.match, option)]
        }
        if item.tellsOpening, !isOfFlows, let marks = plan.marks, marks.opened != nil,
            let tcp = item.match.narrowed(to: [6])
        {
            for criteria in expressed(tcp, option: option) ?? ["\(interface(tcp, option))-p 6 "] {
                add(chain, "\(criteria)-m connmark --mark 0/\(marks.mask) -j \(KernelPlan.opened)")
            }
        }
        for criteria in alternatives {
            rules.append(
                PlanRule(
                    chain: chain,
                    text: "\(criteria)-m comment --comment \"\(item.place)\" -j \(target(of: action))", item: index,
                    queues: action.queues))
        }
    }

    /// The interface, where it can be said: else all of them.
    private func interface(_ match: PlanMatch, _ option: String) -> String {
        match.interface.flatMap { $0.allSatisfy(\.isPlain) ? "\(option) \($0) " : nil } ?? ""
    }

    private func target(of action: PlanItem.Action) -> String {
        switch action {
        // What passes here goes on to others' rules in the same table.
        case .accept: return "RETURN"
        case .drop: return "DROP"
        case .queue, .queueFirst:
            // The balance is by the pair of addresses alone, and the same for both directions.
            let (first, last) = (plan.queues.lowerBound, plan.queues.upperBound)
            let isOne = first == last || action == .queueFirst
            return "NFQUEUE " + (isOne ? "--queue-num \(first)" : "--queue-balance \(first):\(last)")
                + (plan.failOpen ? " --queue-bypass" : "")
        }
    }

    /// The criteria, of one of which all must hold; nil where iptables cannot be told one, or would need too many rules.
    private func expressed(_ match: PlanMatch, option: String) -> [String]? {
        var common = ""
        if let name = match.interface {
            guard name.allSatisfy(\.isPlain), !name.hasPrefix("-") else { return nil }
            common += "\(option) \(name) "
        }
        // What costs most is asked last.
        var last = ""
        if let mark = match.connectionMark, let marks = plan.marks {
            last += "-m connmark --mark \(mark)/\(marks.mask) "
        }
        if match.lacksPayload {
            // See the nftables text.
            let program = PlanBytecode.payloadless(family, without: plan.payloadFlags)
            last += "-m conntrack ! --ctstate NEW -m bpf --bytecode \"\(program)\" "
        }

        // 0 is iptables' word for all of them.
        guard !match.protocols.contains(0) else { return nil }
        let protocols =
            match.protocols.isEmpty
            ? [""]
            : match.protocols.flatMap { number in
                ports(match, number).map { "-p \(number) \($0)" }
            }
        var alternatives = [common]
        func combine(_ more: [String]) { alternatives = alternatives.flatMap { text in more.map { text + $0 } } }
        let dimensions: [[String]?] = [
            protocols, addresses(match.source, "-s", "--src-range"), addresses(match.destination, "-d", "--dst-range"),
            flags(match), types(match), [last],
        ]
        guard dimensions.allSatisfy({ $0 != nil }) else { return nil }
        guard dimensions.reduce(1, { min($0 * $1!.count, Int(UInt16.max)) }) <= Self.maximumRules else { return nil }
        for dimension in dimensions { combine(dimension!) }
        return alternatives
    }

    private func addresses(_ end: PlanEndpoint, _ option: String, _ range: String) -> [String] {
        guard let addresses = end.addresses else { return [""] }
        return addresses.map { addresses in
            let first = addresses.text(of: addresses.first, family)
            if let length = addresses.prefixLength(family) { return "\(option) \(first)/\(length) " }
            return "-m iprange \(range) \(first)-\(addresses.text(of: addresses.last, family)) "
        }
    }

    /// What is said of the ports of packets of a protocol, which is TCP or UDP where there are some.
    private func ports(_ match: PlanMatch, _ number: UInt8) -> [String] {
        let (source, destination) = (match.source.ports, match.destination.ports)
        if source.count <= 1 && destination.count <= 1 {
            // Which the kernel's own expressions can say, where `multiport` is a call.
            let options = source.map { "--sport \($0.text) " } + destination.map { "--dport \($0.text) " }
            return [options.isEmpty ? "" : "-m \(number == 6 ? "tcp" : "udp") \(options.joined())"]
        }
        return Self.lists(source, "--sports").flatMap { source in
            Self.lists(destination, "--dports").map { source + $0 }
        }
    }

    private static func lists(_ ports: [NumberRange<UInt16>], _ option: String) -> [String] {
        guard !ports.isEmpty else { return [""] }
        var lists: [(texts: [String], count: Int)] = []
        for range in ports {
            let count = range.first == range.last ? 1 : 2
            if lists.isEmpty || lists[lists.count - 1].count + count > maximumPorts { lists.append(([], 0)) }
            lists[lists.count - 1].texts.append(range.text)
            lists[lists.count - 1].count += count
        }
        return lists.map { "-m multiport \(option) \($0.texts.joined(separator: ",")) " }
    }

    private func flags(_ match: PlanMatch) -> [String]? {
        guard let flags = match.flags, flags.mask != 0 else { return [""] }
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"]
        guard flags.mask >> UInt8(names.count) == 0 else { return nil }
        func list(_ bits: UInt8) -> String {
            let set = names.indices.filter { bits >> UInt8($0) & 1 != 0 }.map { names[$0] }
            return set.isEmpty ? "NONE" : set.joined(separator: ",")
        }
        return ["-m tcp --tcp-flags \(list(flags.mask)) \(list(flags.match)) "]
    }

    private func types(_ match: PlanMatch) -> [String]? {
        guard !match.icmpTypes.isEmpty else { return [""] }
        // 255 is iptables' word for all of them, and it knows ICMP in its own family only.
        guard !match.icmpTypes.contains(255), match.protocols == (family == .inet4 ? [1] : [58]) else { return nil }
        if let program = PlanBytecode.icmpTypes(match.icmpTypes, family) {
            return ["-m bpf --bytecode \"\(program)\" "]
        }
        let option = family == .inet4 ? "-m icmp --icmp-type" : "-m icmp6 --icmpv6-type"
        return match.icmpTypes.map { "\(option) \($0)\(match.icmpCode.map { "/\($0)" } ?? "") " }
    }

    /// See the nftables text.
    mutating func addDecisions(_ marks: Configuration.FlowMarks) {
        for value in marks.values {
            let mark = "--mark \(value)/\(marks.mask)"
            add(
                KernelPlan.marked,
                "-m mark \(mark) -m connmark \(mark) -j MARK --set-xmark 0/\(marks.mask)")
        }
        for value in marks.values { add(KernelPlan.marked, "-m mark --mark \(value)/\(marks.mask) -j RETURN") }
        add(KernelPlan.marked, "-j MARK --set-xmark 0/\(marks.mask)")
        if let opened = marks.opened {
            add(KernelPlan.opened, "-j CONNMARK --set-xmark \(opened)/\(marks.mask)")
            add(KernelPlan.opened, "-j MARK --set-xmark \(opened)/\(marks.mask)")
        }
        add(KernelPlan.decided, "-j CONNMARK --save-mark --nfmask \(marks.mask) --ctmask \(marks.mask)")
        add(KernelPlan.decided, "-m mark --mark \(marks.blocked)/\(marks.mask) -j DROP")
        add(KernelPlan.decided, "-j MARK --set-xmark 0/\(marks.mask)")
    }
}

extension NumberRange<UInt16> {
    fileprivate var text: String { first == last ? "\(first)" : "\(first):\(last)" }
}
