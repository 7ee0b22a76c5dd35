import KernelPlan
import SystemSupport

/// What the kernel's programs list of npflua's rules, this daemon's or what another has left.
struct KernelListing {
    /// Our table, as nft prints it; nil where it is not there.
    fileprivate(set) var nftables: String?
    /// What `iptables-save` prints of ours; nil where that cannot be had.
    fileprivate(set) var inet4: IptablesListing?
    /// What `ip6tables-save` prints of ours; nil where that cannot be had.
    fileprivate(set) var inet6: IptablesListing?

    /// Asks the programs now: one backend's, or all.
    ///
    /// - Parameter whileWaiting: is called every tenth of a second.
    static func now(_ backend: KernelRules.Backend?, whileWaiting: () -> Void = {}) -> KernelListing {
        PendingListing(backend).awaited(whileWaiting)
    }

    /// The queues that the rules name; nil where there are none.
    var queues: ClosedRange<UInt16>? {
        let texts = [nftables, inet4?.lines.joined(separator: "\n"), inet6?.lines.joined(separator: "\n")]
        return texts.lazy.compactMap { $0.flatMap(KernelPlan.queues(inListing:)) }.first
    }

    /// What the rules of a plan have counted; nil where they are not all there.
    func counters(_ counting: PlanCounting, _ backend: KernelRules.Backend?) -> PlanCounters? {
        switch backend {
        case .nftables: return nftables.flatMap(counting.counters(inNftables:))
        case .iptables:
            guard let inet4, let inet6 else { return nil }
            return counting.counters(inIptables: inet4, inet6)
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

/// A listing that the programs are about to print.
///
/// They take as long as a small configuration to load, so they are started before that.
struct PendingListing: ~Copyable {
    private var nft: RunningCommand?
    private var inet4: RunningCommand?
    private var inet6: RunningCommand?

    /// Starts the programs: one backend's, or all; where one is not there, the others may be.
    init(_ backend: KernelRules.Backend?) {
        if backend != .iptables { nft = try? Command.start(["nft", "list", "table"] + KernelPlan.nftablesTable) }
        guard backend != .nftables else { return }
        inet4 = try? Command.start(["iptables-save"] + KernelPlan.iptablesSaveArguments)
        inet6 = try? Command.start(["ip6tables-save"] + KernelPlan.iptablesSaveArguments)
    }

    /// What they have printed, once they have ended.
    consuming func awaited(_ whileWaiting: () -> Void) -> KernelListing {
        var listing = KernelListing()
        listing.nftables = Self.output(of: nft, whileWaiting)
        listing.inet4 = Self.output(of: inet4, whileWaiting).map { IptablesListing($0) }
        listing.inet6 = Self.output(of: inet6, whileWaiting).map { IptablesListing($0) }
        return listing
    }

    /// Nil where it failed, or has not ended in time.
    private static func output(of command: consuming RunningCommand?, _ whileWaiting: () -> Void) -> String? {
        guard var command, command.wait(milliseconds: 10_000, whileWaiting: whileWaiting) == 0 else { return nil }
        return command.output
    }
}
