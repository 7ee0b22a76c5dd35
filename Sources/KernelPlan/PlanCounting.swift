import ConfigLanguage

/// Which items of a plan its rules count for, in the order in which one backend lists them.
///
/// To know it takes as long as to write the plan's text. A plan that is installed is listed again and again, so it is kept.
public struct PlanCounting: Sendable {
    private struct Chain {
        let name: String
        let isInbound: Bool
        /// Of each rule: the item in its hook's list, if the rule does as the item says.
        let items: [Int?]
        /// Of each rule: whether its packets go to the queue, as they do where a criterion cannot be said.
        let queues: [Bool]
    }

    private let none: PlanCounters
    /// For each listing the chains that count for items.
    private let listings: [[Chain]]

    /// As `nft list table` lists a plan.
    public init(nftables plan: KernelPlan) {
        var none = PlanCounters(plan)
        for (index, item) in plan.inbound.enumerated() where item.match.lacksPayload { none.inbound[index] = nil }
        for (index, item) in plan.outbound.enumerated() where item.match.lacksPayload { none.outbound[index] = nil }
        self.none = none
        let counting = plan.nftablesRules.filter { $0.text.contains("counter") }
        listings = [Self.chains(of: counting, plan, KernelPlan.nftablesItemChains, inbound: "in")]
    }

    /// As `iptables-save` and `ip6tables-save` list a plan.
    public init(iptables plan: KernelPlan) {
        none = PlanCounters(plan)
        listings = [Configuration.Family.inet4, .inet6].map {
            Self.chains(of: plan.iptablesRules($0), plan, KernelPlan.iptablesItemChains, inbound: "npflua-in")
        }
    }

    private static func chains(
        of rules: [PlanRule], _ plan: KernelPlan, _ names: [String], inbound: String
    ) -> [Chain] {
        let byChain = Dictionary(grouping: rules) { $0.chain }
        return names.map { name in
            let rules = byChain[name] ?? []
            let isInbound = name.hasPrefix(inbound)
            let list = isInbound ? plan.inbound : plan.outbound
            return Chain(
                name: name, isInbound: isInbound,
                items: rules.map { rule in rule.item.flatMap { list[$0].action.queues == rule.queues ? $0 : nil } },
                queues: rules.map(\.queues))
        }
    }

    /// The counters in a listing of our table by `nft list table`; nil where the rules there are not this plan's.
    public func counters(inNftables listing: String) -> PlanCounters? {
        var counted: [String: [PlanCounters.Traffic]] = [:]
        var chain = ""
        let words = listing.split { $0.isWhitespace }
        for (index, word) in words.enumerated() {
            if word == "chain", index + 2 < words.count, words[index + 2] == "{" { chain = String(words[index + 1]) }
            guard word == "counter", index + 4 < words.count, words[index + 1] == "packets",
                words[index + 3] == "bytes",
                let traffic = PlanCounters.Traffic(words[index + 2], words[index + 4])
            else { continue }
            counted[chain, default: []].append(traffic)
        }
        guard var counters = counters(of: [counted]) else { return nil }
        for traffic in counted["payloadless"] ?? [] { counters.payloadless = counters.payloadless + traffic }
        return counters
    }

    /// The counters in listings for IPv4 and IPv6; nil where the rules there are not this plan's.
    public func counters(inIptables inet4: IptablesListing, _ inet6: IptablesListing) -> PlanCounters? {
        counters(of: [inet4.counted, inet6.counted])
    }

    /// - Parameter counted: for each listing, by chain, what each rule has counted.
    private func counters(of counted: [[String: [PlanCounters.Traffic]]]) -> PlanCounters? {
        var counters = none
        for (counted, chains) in zip(counted, listings) {
            for chain in chains {
                let list = chain.isInbound ? \PlanCounters.inbound : \PlanCounters.outbound
                let counted = counted[chain.name] ?? []
                guard counted.count == chain.items.count else { return nil }
                for (traffic, (item, isQueued)) in zip(counted, zip(chain.items, chain.queues)) {
                    if isQueued { counters.queued = counters.queued + traffic }
                    guard let item, let sum = counters[keyPath: list][item] else { continue }
                    counters[keyPath: list][item] = sum + traffic
                }
            }
        }
        return counters
    }
}

extension PlanCounters {
    fileprivate init(_ plan: KernelPlan) {
        self.init(inbound: plan.inbound.map { _ in .init() }, outbound: plan.outbound.map { _ in .init() })
    }
}

extension KernelPlan {
    /// A listing of our table by `nft list table` without what its rules have counted.
    public static func withoutCounters(nftables listing: String) -> String {
        var isCount = false
        return listing.utf8.split { " \t\n".utf8.contains($0) }.compactMap { word in
            defer { isCount = word.elementsEqual("packets".utf8) || word.elementsEqual("bytes".utf8) }
            return isCount ? nil : String(Substring(word))
        }.joined(separator: " ")
    }
}

extension PlanCounters.Traffic {
    /// Of `[packets:bytes]`.
    init?(_ word: Substring.UTF8View) {
        let parts = word.split { "[:]".utf8.contains($0) }
        guard parts.count == 2 else { return nil }
        self.init(Substring(parts[0]), Substring(parts[1]))
    }

    fileprivate init?(_ packets: Substring, _ bytes: Substring) {
        guard let packets = UInt64(packets), let bytes = UInt64(bytes) else { return nil }
        (self.packets, self.bytes) = (packets, bytes)
    }
}
