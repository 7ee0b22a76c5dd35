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
    /// Packets of both hooks that were sent to the queue.
    public internal(set) var queued = Traffic()

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
        result.queued = merge(queued, other.queued)
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
