import ConfigLanguage

/// What the kernel has counted for the items of a plan since it got it.
public struct PlanCounters: Sendable, Equatable {
    /// Packets, and their bytes from the IP header on.
    public struct Traffic: Sendable, Equatable {
        /// How many.
        public var packets: UInt64 = 0
        /// Their bytes.
        public var bytes: UInt64 = 0

        /// None.
        public init() {}

        /// The sum of two.
        public static func + (a: Traffic, b: Traffic) -> Traffic {
            var sum = a
            sum.packets &+= b.packets
            sum.bytes &+= b.bytes
            return sum
        }
    }

    /// For each item of the inbound list; nil for one whose packets are among `payloadless`.
    public internal(set) var inbound: [Traffic?]
    /// For each item of the outbound list; nil for one whose packets are among `payloadless`.
    public internal(set) var outbound: [Traffic?]
    /// Packets of both hooks that passed for want of a payload, where the kernel counts them together.
    public internal(set) var payloadless = Traffic()

    /// The packets that some items of a plan decided.
    public func sum(_ plan: KernelPlan, _ isWanted: (PlanItem) -> Bool) -> Traffic {
        var sum = Traffic()
        for (items, counters) in [(plan.inbound, inbound), (plan.outbound, outbound)] {
            for (item, counter) in zip(items, counters) where isWanted(item) { sum = sum + (counter ?? Traffic()) }
        }
        return sum
    }

    /// What came to the items and was decided in the kernel.
    public func decided(_ plan: KernelPlan, _ action: PlanItem.Action) -> Traffic {
        let sum = sum(plan) { $0.action == action }
        return action == .accept ? sum + payloadless : sum
    }
}

extension KernelPlan {
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
        var counters = emptyCounters
        for (chain, list) in [("inbound", \PlanCounters.inbound), ("outbound", \PlanCounters.outbound)] {
            let rules = nftablesRules.filter { $0.chain == chain && $0.text.contains("counter") }
            guard counters.add(counted[chain] ?? [], of: rules, to: list) else { return nil }
        }
        for traffic in counted["payloadless"] ?? [] { counters.payloadless = counters.payloadless + traffic }
        for (index, item) in inbound.enumerated() where item.match.lacksPayload { counters.inbound[index] = nil }
        for (index, item) in outbound.enumerated() where item.match.lacksPayload { counters.outbound[index] = nil }
        return counters
    }

    /// The counters in listings of the table `mangle` by `iptables-save -c` and `ip6tables-save -c`; nil where the rules
    /// there are not this plan's.
    public func counters(inIptables listing: String, inIp6tables listing6: String) -> PlanCounters? {
        var counters = emptyCounters
        for (family, listing) in [(Configuration.Family.inet4, listing), (.inet6, listing6)] {
            let lines = listing.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 3) }
            for (chain, list) in [("npflua-in", \PlanCounters.inbound), ("npflua-out", \PlanCounters.outbound)] {
                let counted = lines.filter { $0.count >= 3 && $0[1] == "-A" && $0[2] == chain }.compactMap { words in
                    let parts = words[0].split { "[:]".contains($0) }
                    return parts.count == 2 ? PlanCounters.Traffic(parts[0], parts[1]) : nil
                }
                let rules = iptablesRules(family).filter { $0.chain == chain }
                guard counters.add(counted, of: rules, to: list) else { return nil }
            }
        }
        return counters
    }

    private var emptyCounters: PlanCounters {
        PlanCounters(inbound: inbound.map { _ in .init() }, outbound: outbound.map { _ in .init() })
    }
}

extension PlanCounters {
    /// Adds what the rules of a chain have counted; false where they are not as many.
    fileprivate mutating func add(
        _ counted: [Traffic], of rules: [PlanRule], to list: WritableKeyPath<PlanCounters, [Traffic?]>
    ) -> Bool {
        guard counted.count == rules.count else { return false }
        for (traffic, rule) in zip(counted, rules) {
            guard let item = rule.item else { continue }
            self[keyPath: list][item] = (self[keyPath: list][item] ?? Traffic()) + traffic
        }
        return true
    }
}

extension PlanCounters.Traffic {
    fileprivate init?(_ packets: Substring, _ bytes: Substring) {
        guard let packets = UInt64(packets), let bytes = UInt64(bytes) else { return nil }
        (self.packets, self.bytes) = (packets, bytes)
    }
}
