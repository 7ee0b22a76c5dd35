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

        /// What `a` has counted and `b` has not.
        public static func - (a: Traffic, b: Traffic) -> Traffic {
            var difference = a
            difference.packets &-= b.packets
            difference.bytes &-= b.bytes
            return difference
        }

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

    /// What two listings of one plan have counted together.
    public static func + (a: PlanCounters, b: PlanCounters) -> PlanCounters { a.merged(b, +) }

    /// What `a` has counted and `b`, an earlier listing of the same plan, has not.
    public static func - (a: PlanCounters, b: PlanCounters) -> PlanCounters { a.merged(b, -) }

    private func merged(_ other: PlanCounters, _ merge: (Traffic, Traffic) -> Traffic) -> PlanCounters {
        func merged(_ a: [Traffic?], _ b: [Traffic?]) -> [Traffic?] {
            zip(a, b).map { a, b in a.map { merge($0, b ?? Traffic()) } }
        }
        var result = PlanCounters(
            inbound: merged(inbound, other.inbound), outbound: merged(outbound, other.outbound))
        result.payloadless = merge(payloadless, other.payloadless)
        return result
    }

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
        let counting = nftablesRules.filter { $0.text.contains("counter") }
        for chain in Self.nftablesItemChains {
            let rules = counting.filter { $0.chain == chain }
            guard counters.add(counted[chain] ?? [], of: rules, isInbound: chain.hasPrefix("in")) else { return nil }
        }
        for traffic in counted["payloadless"] ?? [] { counters.payloadless = counters.payloadless + traffic }
        for (index, item) in inbound.enumerated() where item.match.lacksPayload { counters.inbound[index] = nil }
        for (index, item) in outbound.enumerated() where item.match.lacksPayload { counters.outbound[index] = nil }
        return counters
    }

    /// A listing of our table by `nft list table` without what its rules have counted.
    public static func withoutCounters(nftables listing: String) -> String {
        var isCount = false
        return listing.utf8.split { " \t\n".utf8.contains($0) }.compactMap { word in
            defer { isCount = word.elementsEqual("packets".utf8) || word.elementsEqual("bytes".utf8) }
            return isCount ? nil : String(Substring(word))
        }.joined(separator: " ")
    }

    /// The counters in listings for IPv4 and IPv6; nil where the rules there are not this plan's.
    public func counters(inIptables inet4: IptablesListing, _ inet6: IptablesListing) -> PlanCounters? {
        var counters = emptyCounters
        for (family, listing) in [(Configuration.Family.inet4, inet4), (.inet6, inet6)] {
            let all = iptablesRules(family)
            for chain in Self.iptablesItemChains {
                let rules = all.filter { $0.chain == chain }
                let isInbound = chain.hasPrefix("npflua-in")
                guard counters.add(listing.counted[chain] ?? [], of: rules, isInbound: isInbound) else { return nil }
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
    fileprivate mutating func add(_ counted: [Traffic], of rules: [PlanRule], isInbound: Bool) -> Bool {
        guard counted.count == rules.count else { return false }
        let list = isInbound ? \PlanCounters.inbound : \PlanCounters.outbound
        for (traffic, rule) in zip(counted, rules) {
            guard let item = rule.item else { continue }
            self[keyPath: list][item] = (self[keyPath: list][item] ?? Traffic()) + traffic
        }
        return true
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
