import KernelPlan
import SystemSupport

/// What the kernel's programs list of npflua's rules, this daemon's or what another has left.
struct KernelListing {
    /// Our table, as nft prints it; nil where it is not there.
    private(set) var nftables: String?
    /// What `iptables-save` prints of ours; nil where that cannot be had.
    private(set) var inet4: IptablesListing?
    /// What `ip6tables-save` prints of ours; nil where that cannot be had.
    private(set) var inet6: IptablesListing?

    /// Asks the programs now: one backend's, or all.
    static func now(_ backend: KernelRules.Backend?) -> KernelListing {
        var listing = KernelListing()
        var asked: [([String], (inout KernelListing, String) -> Void)] = []
        if backend != .iptables {
            asked.append((["nft", "list", "table"] + KernelPlan.nftablesTable, { $0.nftables = $1 }))
        }
        if backend != .nftables {
            asked.append((["iptables-save"] + KernelPlan.iptablesSaveArguments, { $0.inet4 = IptablesListing($1) }))
            asked.append((["ip6tables-save"] + KernelPlan.iptablesSaveArguments, { $0.inet6 = IptablesListing($1) }))
        }
        let commands = asked.map { ($0.0, "") }
        // Where a program is not there, the others may be.
        let results = (try? Command.runTogether(commands)) ?? commands.map { try? Command.run($0.0) }
        for (asked, result) in zip(asked, results) {
            if let result, result.status == 0 { asked.1(&listing, result.output) }
        }
        return listing
    }

    /// The queues that the rules name; nil where there are none.
    var queues: ClosedRange<UInt16>? {
        let texts = [nftables, inet4?.lines.joined(separator: "\n"), inet6?.lines.joined(separator: "\n")]
        return texts.lazy.compactMap { $0.flatMap(KernelPlan.queues(inListing:)) }.first
    }

    /// What the rules of a plan have counted; nil where they are not all there.
    func counters(_ plan: KernelPlan, _ backend: KernelRules.Backend?) -> PlanCounters? {
        switch backend {
        case .nftables: return nftables.flatMap(plan.counters(inNftables:))
        case .iptables:
            guard let inet4, let inet6 else { return nil }
            return plan.counters(inIptables: inet4, inet6)
        case nil: return nil
        }
    }

    /// All of a backend's rules without what they have counted; nil where some are missing.
    func lines(_ backend: KernelRules.Backend?) -> [String]? {
        switch backend {
        case .nftables: return nftables.map { [KernelPlan.withoutCounters(nftables: $0)] }
        case .iptables:
            guard let inet4, let inet6, inet4.isComplete, inet6.isComplete else { return nil }
            return inet4.lines + inet6.lines
        case nil: return nil
        }
    }
}
