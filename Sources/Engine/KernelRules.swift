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
    /// Called every tenth of a second while a program runs.
    var whileWaiting: () -> Void = {}
    /// How many packets of our rules have come to the queues, or were dropped for want of room there, modulo 2³²; nil where
    /// that is not known.
    var arrivals: () -> UInt32? = { nil }
    private(set) var backend: Backend?
    /// The plan that was asked for last, and what of it the kernel carries out.
    private(set) var plans: (wanted: KernelPlan, installed: KernelPlan)?
    /// How the installed plan is counted.
    private var counting: PlanCounting?
    /// Whether an installation has failed half-way, so that nobody knows what is there.
    private var isUnknown = false
    /// What the kernel has decided by plans before this one.
    private var before = (accepted: PlanCounters.Traffic(), dropped: PlanCounters.Traffic())
    private var unseen = UnseenCount()
    /// What it has decided by plans before this one for the rules of the same configuration.
    private var beforeByEntry: [Int: PlanCounters.Traffic] = [:]
    /// What the rules had counted when they became those of the present configuration; nil for nothing.
    private var zero: PlanCounters?
    /// How the rules were listed when they were as we had put them there; nil where that is not known.
    private var untouched: [String]?

    init(logger: Logger) {
        self.logger = logger
    }

    /// Puts a plan in place, for a configuration that is to run now.
    ///
    /// nftables where the kernel has its `queue`, else iptables and ip6tables. The rules that are there stay if they are
    /// just those: a reload heals what somebody has flushed, and else costs little.
    ///
    /// - Parameter listing: what is there, if that was asked for before.
    mutating func install(_ plan: KernelPlan, over listing: KernelListing? = nil) throws(SystemError) {
        let listing = listing ?? .now(backend, whileWaiting: whileWaiting)
        if !keeps(plan, listing) { try replace(by: plan, over: listing, counters(in: listing)) }
        beforeByEntry = [:]
    }

    /// The same, by a listing that was begun before.
    ///
    /// Other rules are put in place by what is there then, so that no jump is missed and nothing counted is lost.
    mutating func install(_ plan: KernelPlan, after pending: consuming PendingListing?) throws(SystemError) {
        guard plans?.wanted == plan, let pending, keeps(plan, pending.awaited(whileWaiting)) else {
            return try install(plan)
        }
        beforeByEntry = [:]
    }

    /// Whether the rules that are listed are just those of a plan; then they begin to count anew.
    private mutating func keeps(_ plan: KernelPlan, _ listing: KernelListing) -> Bool {
        guard !isUnknown, let plans, plans.wanted == plan, plans.installed == plan,
            let counters = counters(in: listing), let untouched, listing.lines(backend) == untouched
        else { return false }
        before = decided(counters)
        zero = zero.map { $0 + counters } ?? counters
        return true
    }

    /// Begins to count anew for the rules of another configuration, while none of a plan is installed.
    mutating func forgetEntries() { beforeByEntry = [:] }

    /// Puts another plan for the same configuration in place.
    mutating func update(_ plan: KernelPlan) throws(SystemError) {
        guard isUnknown || plans?.wanted != plan else { return }
        let listing = KernelListing.now(backend, whileWaiting: whileWaiting)
        let counters = counters(in: listing)
        let entries = decidedByEntry(counters, since: beforeByEntry)
        try replace(by: plan, over: listing, counters)
        beforeByEntry = entries
    }

    /// What the kernel has decided by the configuration's rules, by their places in the flattened ruleset.
    var decidedByEntry: [Int: PlanCounters.Traffic] {
        guard plans?.installed.decidesPackets == true else { return beforeByEntry }
        return decidedByEntry(counters, since: beforeByEntry)
    }

    /// What the kernel has decided since the first plan was put there: packets that passed, and that were dropped; and how
    /// many that were sent to a queue the daemon has not seen (`set fail open`), nil where that is not known.
    mutating func decided() -> (accepted: PlanCounters.Traffic, dropped: PlanCounters.Traffic, unseen: UInt64?) {
        guard let plan = plans?.installed, plan.decidesPackets || plan.failOpen else {
            return (before.accepted, before.dropped, plans == nil && unseen.count == 0 ? nil : unseen.count)
        }
        let counters = counters
        let (accepted, dropped) = decided(counters)
        return (accepted, dropped, noteUnseen(counters) ? unseen.count : nil)
    }

    /// What the kernel has counted by the plan that is installed; nil where it cannot be read.
    var counters: PlanCounters? { plans == nil ? nil : counters(in: .now(backend, whileWaiting: whileWaiting)) }

    private func counters(in listing: KernelListing) -> PlanCounters? {
        guard let counting, let counters = listing.counters(counting, backend) else { return nil }
        return zero.map { counters - $0 } ?? counters
    }

    private func decided(
        _ counters: PlanCounters?
    ) -> (accepted: PlanCounters.Traffic, dropped: PlanCounters.Traffic) {
        guard let plan = plans?.installed, let counters else { return before }
        return (before.accepted + counters.decided(plan, .accept), before.dropped + counters.decided(plan, .drop))
    }

    /// - Returns: whether the count of what nobody has seen is known.
    @discardableResult
    private mutating func noteUnseen(_ counters: PlanCounters?) -> Bool {
        guard let plan = plans?.installed, plan.failOpen else { return plans != nil }
        guard !isUnknown, let counters, let arrivals = arrivals() else { return false }
        unseen.note(sent: (zero.map { counters + $0 } ?? counters).queued.packets, arrivals: arrivals)
        return true
    }

    private func decidedByEntry(
        _ counters: PlanCounters?, since before: [Int: PlanCounters.Traffic] = [:]
    ) -> [Int: PlanCounters.Traffic] {
        guard let plan = plans?.installed, let counters else { return before }
        var decided = before
        for (item, counter) in zip(plan.inbound + plan.outbound, counters.inbound + counters.outbound) {
            guard let entry = item.entry, let counter, item.action == .accept || item.action == .drop else { continue }
            decided[entry] = (decided[entry] ?? PlanCounters.Traffic()) + counter
        }
        return decided
    }

    /// Sends nothing to the queue any more.
    ///
    /// The base chains stay: the kernel drops every packet that waits in a queue when one is deleted.
    mutating func idle() throws(SystemError) {
        let counters = counters
        let (decided, entries) = (decided(counters), decidedByEntry(counters, since: beforeByEntry))
        noteUnseen(counters)
        switch backend {
        case .nftables: try Self.runNft(KernelPlan.nftablesIdle, whileWaiting)
        case .iptables: try Self.restore(KernelPlan.iptablesIdle, KernelPlan.iptablesIdle, whileWaiting)
        case nil: break
        }
        // The counters went with the rules.
        (before, beforeByEntry) = (decided, entries)
        hold(nil)
    }

    /// Takes away everything that `install` has put there.
    mutating func remove() throws(SystemError) {
        let listing = KernelListing.now(backend, whileWaiting: whileWaiting)
        if backend == .iptables && (listing.inet4 == nil || listing.inet6 == nil) { throw Self.unlisted }
        try Self.remove(listing, whileWaiting)
        backend = nil
        hold(nil)
    }

    /// Takes note of what is there now, by the backend that there is.
    private mutating func hold(_ plans: (wanted: KernelPlan, installed: KernelPlan)?) {
        self.plans = plans
        isUnknown = false
        counting = plans.flatMap { plans in
            switch backend {
            case .nftables: PlanCounting(nftables: plans.installed)
            case .iptables: PlanCounting(iptables: plans.installed)
            case nil: nil
            }
        }
    }

    /// Takes away what is listed, whoever has left it.
    static func remove(_ listing: KernelListing, _ whileWaiting: () -> Void = {}) throws(SystemError) {
        if listing.nftables != nil { try runNft(KernelPlan.nftablesRemoval, whileWaiting) }
        for (family, listing) in [("iptables", listing.inet4), ("ip6tables", listing.inet6)] {
            guard let listing, !listing.lines.isEmpty else { continue }
            try check(
                ["\(family)-restore"] + KernelPlan.iptablesRestoreArguments,
                input: KernelPlan.iptablesRemoval(of: listing), whileWaiting)
        }
    }

    private mutating func replace(
        by plan: KernelPlan, over listing: KernelListing, _ counters: PlanCounters?
    ) throws(SystemError) {
        let decided = decided(counters)
        noteUnseen(counters)
        let arrived = arrivals()
        untouched = nil
        isUnknown = true
        switch backend {
        case .nftables:
            try Self.runNft(plan.nftables, whileWaiting)
            hold((plan, plan))
        case .iptables: hold(try restore(plan, over: listing))
        case nil:
            do throws(SystemError) {
                try Self.runNft(plan.nftables, whileWaiting)
                backend = .nftables
                hold((plan, plan))
            } catch let nft {
                logger.debug("nftables cannot queue here, iptables is tried", metadata: ["reason": "\(nft)"])
                do throws(SystemError) {
                    let plans = try restore(plan, over: listing)
                    backend = .iptables
                    hold(plans)
                } catch let iptables {
                    // Half of the rules would send packets to a queue that nobody serves.
                    if listing.queues == nil {
                        try? Self.remove(.now(.iptables, whileWaiting: whileWaiting), whileWaiting)
                    }
                    throw SystemError(
                        "cannot install the kernel rules: neither by nftables (\(nft)) nor by iptables (\(iptables)); "
                            + "the kernel needs nft_queue or xt_NFQUEUE, and the box nftables or iptables")
                }
            }
        }
        (before, zero) = (decided, nil)
        unseen.restart(arrivals: arrived ?? 0)
        // At once: what somebody changes later is not as it should be.
        let new = KernelListing.now(backend, whileWaiting: whileWaiting)
        if self.counters(in: new) != nil { untouched = new.lines(backend) }
    }

    /// By iptables: a kernel that lacks some of its matches is given the plan that sends everything to the queue.
    private func restore(
        _ plan: KernelPlan, over listing: KernelListing
    ) throws(SystemError) -> (wanted: KernelPlan, installed: KernelPlan) {
        do throws(SystemError) {
            try Self.restore(plan, over: listing, whileWaiting)
            return (plan, plan)
        } catch {
            let simple = plan.queueingAll
            // What failed for one family may have been done for the other.
            try Self.restore(simple, over: .now(.iptables, whileWaiting: whileWaiting), whileWaiting)
            logger.warning("the kernel cannot decide by these rules, every packet goes to the queue: \(error)")
            return (plan, simple)
        }
    }

    private static func restore(
        _ plan: KernelPlan, over listing: KernelListing, _ whileWaiting: () -> Void
    ) throws(SystemError) {
        guard let inet4 = listing.inet4, let inet6 = listing.inet6 else { throw unlisted }
        // Somebody may have flushed the chains that ours hang on.
        try restore(plan.iptablesRestore(.inet4, over: inet4), plan.iptablesRestore(.inet6, over: inet6), whileWaiting)
    }

    private static func restore(_ inet4: String, _ inet6: String, _ whileWaiting: () -> Void) throws(SystemError) {
        let commands = zip(["iptables-restore", "ip6tables-restore"], [inet4, inet6]).map { program, text in
            ([program] + KernelPlan.iptablesRestoreArguments, text)
        }
        let results = try Command.runTogether(commands, whileWaiting: whileWaiting)
        for (command, result) in zip(commands, results) { try check(result, of: command.0) }
    }

    private static let unlisted = SystemError(
        "iptables-save or ip6tables-save does not list the table mangle, so nobody knows which rules are there")

    private static func runNft(_ text: String, _ whileWaiting: () -> Void) throws(SystemError) {
        try check(["nft", "-f", "-"], input: text, whileWaiting)
    }

    private static func check(_ arguments: [String], input: String, _ whileWaiting: () -> Void) throws(SystemError) {
        try check(try Command.run(arguments, input: Array(input.utf8), whileWaiting: whileWaiting), of: arguments)
    }

    private static func check(_ result: CommandResult, of arguments: [String]) throws(SystemError) {
        guard result.status == 0 else {
            let said = result.errorOutput.split(separator: "\n").first.map(String.init) ?? "status \(result.status)"
            throw SystemError("\(arguments[0]): \(said)")
        }
    }
}
