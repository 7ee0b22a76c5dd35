import ConfigLanguage
import KernelPlan
import Logging
import SystemSupport

/// The daemon's rules in the kernel: put there, emptied and taken away with the system's own programs.
struct KernelRules {
    /// Who carries the rules out.
    enum Backend: String {
        case nftables
        case iptables
    }

    private let logger: Logger
    private(set) var backend: Backend?
    /// The plan that was asked for last, and what of it the kernel carries out.
    private(set) var plans: (wanted: KernelPlan, installed: KernelPlan)?
    /// What the kernel has decided by plans before this one.
    private var before = (accepted: PlanCounters.Traffic(), dropped: PlanCounters.Traffic())
    /// What it has decided by plans before this one for the rules of the same configuration.
    private var beforeByEntry: [Int: PlanCounters.Traffic] = [:]

    init(logger: Logger) {
        self.logger = logger
    }

    /// Puts a plan in place, over whatever an earlier daemon has left.
    ///
    /// nftables where the kernel has its `queue`, else iptables and ip6tables.
    mutating func install(_ plan: KernelPlan) throws(SystemError) {
        let decided = decided
        switch backend {
        case .nftables:
            try Self.runNft(plan.nftables)
            plans = (plan, plan)
        case .iptables: try restore(plan)
        case nil:
            let isFresh = Self.installedQueues() == nil
            do throws(SystemError) {
                try Self.runNft(plan.nftables)
                backend = .nftables
                plans = (plan, plan)
            } catch let nft {
                logger.debug("nftables cannot queue here, iptables is tried", metadata: ["reason": "\(nft)"])
                do throws(SystemError) {
                    try restore(plan)
                    backend = .iptables
                } catch let iptables {
                    // Half of the rules would send packets to a queue that nobody serves.
                    if isFresh { try? Self.removeIptables() }
                    throw SystemError(
                        "cannot install the kernel rules: neither by nftables (\(nft)) nor by iptables (\(iptables)); "
                            + "the kernel needs nft_queue or xt_NFQUEUE, and the box nftables or iptables")
                }
            }
        }
        before = decided
        beforeByEntry = [:]
    }

    /// Begins to count anew for the rules of another configuration, while none of a plan is installed.
    mutating func forgetEntries() { beforeByEntry = [:] }

    /// Puts another plan for the same configuration in place.
    mutating func update(_ plan: KernelPlan) throws(SystemError) {
        guard plans?.wanted != plan else { return }
        let entries = decidedByEntry
        try install(plan)
        beforeByEntry = entries
    }

    /// What the kernel has decided by the configuration's rules, by their places in the flattened ruleset.
    var decidedByEntry: [Int: PlanCounters.Traffic] {
        guard let plan = plans?.installed, plan.decidesPackets, let counters else { return beforeByEntry }
        var decided = beforeByEntry
        for (item, counter) in zip(plan.inbound + plan.outbound, counters.inbound + counters.outbound) {
            guard let entry = item.entry, let counter, item.action == .accept || item.action == .drop else { continue }
            decided[entry] = (decided[entry] ?? PlanCounters.Traffic()) + counter
        }
        return decided
    }

    /// What the kernel has decided since the first plan was put there: packets that passed, and that were dropped.
    var decided: (accepted: PlanCounters.Traffic, dropped: PlanCounters.Traffic) {
        guard let plan = plans?.installed, plan.decidesPackets, let counters else { return before }
        return (
            before.accepted + counters.decided(plan, .accept), before.dropped + counters.decided(plan, .drop)
        )
    }

    /// What the kernel has counted by the plan that is installed; nil where it cannot be read.
    var counters: PlanCounters? {
        guard let plan = plans?.installed else { return nil }
        switch backend {
        case .nftables:
            guard let result = try? Command.run(Self.nftListing), result.status == 0 else { return nil }
            return plan.counters(inNftables: result.output)
        case .iptables:
            guard let listings = try? Self.saveIptables() else { return nil }
            return plan.counters(inIptables: listings[0], inIp6tables: listings[1])
        case nil: return nil
        }
    }

    /// Sends nothing to the queue any more.
    ///
    /// The base chains stay: the kernel drops every packet that waits in a queue when one is deleted.
    mutating func idle() throws(SystemError) {
        let (decided, entries) = (decided, decidedByEntry)
        switch backend {
        case .nftables: try Self.runNft(KernelPlan.nftablesIdle)
        case .iptables: try Self.restore(KernelPlan.iptablesIdle, KernelPlan.iptablesIdle)
        case nil: break
        }
        // The counters went with the rules.
        (before, beforeByEntry, plans) = (decided, entries, nil)
    }

    /// Takes away everything that `install` has put there.
    mutating func remove() throws(SystemError) {
        switch backend {
        case .nftables: try Self.runNft(KernelPlan.nftablesRemoval)
        case .iptables: try Self.removeIptables()
        case nil: break
        }
        backend = nil
        plans = nil
    }

    /// Takes away what an earlier daemon has left, whoever carried it out.
    ///
    /// Does nothing where nothing is left.
    static func removeLeftovers() throws(SystemError) {
        if (try? Command.run(["nft", "list", "table"] + KernelPlan.nftablesTable))?.status == 0 {
            try runNft(KernelPlan.nftablesRemoval)
        }
        for program in iptablesPrograms {
            guard (try? Command.run([program] + KernelPlan.iptablesProbe))?.status == 0 else { continue }
            try removeIptables(program)
        }
    }

    /// The queues that npflua's rules in the kernel name; nil where there are none.
    static func installedQueues() -> ClosedRange<UInt16>? {
        let listings =
            [nftListing]
            + iptablesPrograms.map { [$0] + KernelPlan.iptablesProbe }
        // Where a program is not there, the others may be.
        let results =
            (try? Command.runTogether(listings.map { ($0, "") }))
            ?? listings.compactMap { try? Command.run($0) }
        for result in results where result.status == 0 {
            if let queues = KernelPlan.queues(inListing: result.output) { return queues }
        }
        return nil
    }

    private static let iptablesPrograms = ["iptables", "ip6tables"]
    private static let nftListing = ["nft", "list", "table"] + KernelPlan.nftablesTable

    /// By iptables: a kernel that lacks some of its matches is given the plan that sends everything to the queue.
    private mutating func restore(_ plan: KernelPlan) throws(SystemError) {
        do throws(SystemError) {
            try Self.restore(plan.iptablesRestore(.inet4), plan.iptablesRestore(.inet6))
            plans = (plan, plan)
        } catch {
            let simple = plan.queueingAll
            try Self.restore(simple.iptablesRestore(.inet4), simple.iptablesRestore(.inet6))
            logger.warning("the kernel cannot decide by these rules, every packet goes to the queue: \(error)")
            plans = (plan, simple)
        }
        // Somebody may have flushed the chain that ours hang on.
        try Self.addJumps()
    }

    private static func restore(_ inet4: String, _ inet6: String) throws(SystemError) {
        let commands = zip(iptablesPrograms, [inet4, inet6]).map { program, text in
            (["\(program)-restore"] + KernelPlan.iptablesRestoreArguments, text)
        }
        for (command, result) in zip(commands, try Command.runTogether(commands)) { try check(result, of: command.0) }
    }

    private static func addJumps() throws(SystemError) {
        for (program, listing) in zip(iptablesPrograms, try saveIptables()) {
            let lines = listing.split(separator: "\n")
            for jump in KernelPlan.iptablesJumps where !lines.contains(where: { $0.hasSuffix(jump.listed) }) {
                try check([program] + jump.add)
            }
        }
    }

    /// What the table `mangle` has for IPv4 and for IPv6, with counters.
    private static func saveIptables() throws(SystemError) -> [String] {
        let commands = iptablesPrograms.map { (["\($0)-save", "-c", "-t", "mangle"], "") }
        let results = try Command.runTogether(commands)
        for (command, result) in zip(commands, results) { try check(result, of: command.0) }
        return results.map(\.output)
    }

    private static func removeIptables() throws(SystemError) {
        for program in iptablesPrograms { try removeIptables(program) }
    }

    private static func removeIptables(_ program: String) throws(SystemError) {
        for jump in KernelPlan.iptablesJumps {
            while try Command.run([program] + jump.check).status == 0 { try check([program] + jump.delete) }
        }
        try check(["\(program)-restore"] + KernelPlan.iptablesRestoreArguments, input: KernelPlan.iptablesRemoval)
    }

    private static func runNft(_ text: String) throws(SystemError) {
        try check(["nft", "-f", "-"], input: text)
    }

    private static func check(_ arguments: [String], input: String = "") throws(SystemError) {
        try check(try Command.run(arguments, input: Array(input.utf8)), of: arguments)
    }

    private static func check(_ result: CommandResult, of arguments: [String]) throws(SystemError) {
        guard result.status == 0 else {
            let said = result.errorOutput.split(separator: "\n").first.map(String.init) ?? "status \(result.status)"
            throw SystemError("\(arguments[0]): \(said)")
        }
    }
}
