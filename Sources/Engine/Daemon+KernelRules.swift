import ConfigLanguage
public import ControlProtocol
public import KernelPlan
import Logging
import Ruleset
import SystemSupport

// What the kernel decides by itself, and what it is asked about that.
extension Daemon {
    /// The plan for a configuration that is to run now.
    func plan(for configuration: LoadedConfiguration) -> KernelPlan {
        configuration.kernelPlan(queues: workers.queues, formerStates: formerStates)
    }

    /// Which packets may belong to a state, when another configuration takes the place of this one.
    func statesBeside(_ new: LoadedConfiguration) -> PlanStates {
        if new.endsConnections { return PlanStates() }
        // The kernel has the running configuration's plan, unless it is behind, or asked for nothing.
        let running = isKernelBehind ? nil : kernelRules.plans?.wanted
        return formerStates.union((running ?? plan(for: configuration)).states)
    }

    /// Puts a configuration's rules into the kernel, or has those that are there end.
    ///
    /// A reload heals what somebody has flushed.
    ///
    /// - Parameter listing: what is there, if that was asked for before.
    func installRules(of configuration: LoadedConfiguration, after listing: consuming PendingListing?) throws {
        guard configuration.installsKernelRules else {
            guard kernelRules.backend != nil else { return }
            try kernelRules.idle()
            // The kernel drops what waits in its queue when the chains go.
            ticksToRemoval = 2
            return
        }
        ticksToRemoval = 0
        try kernelRules.install(plan(for: configuration), after: listing)
    }

    /// Has the kernel follow what changed without a reload: dynamic rules, and tables that were replaced.
    func followChanges() throws {
        guard isInspecting, configuration.installsKernelRules else { return }
        // Until it has succeeded, each tick tries again: the kernel must not go on by what holds no longer.
        isKernelBehind = true
        try kernelRules.update(plan(for: configuration))
        isKernelBehind = false
    }

    /// Takes away rules that are done with, and forgets former states once there is none.
    func tidyKernelRules() {
        do {
            if ticksToRemoval > 0 {
                ticksToRemoval -= 1
                if ticksToRemoval == 0 { try kernelRules.remove() }
            }
            if isKernelBehind && isInspecting {
                if configuration.installsKernelRules {
                    try followChanges()
                } else {
                    try installRules(of: configuration, after: nil)
                    isKernelBehind = false
                }
            }
            guard isInspecting, !formerStates.isEmpty, workers.sum({ $0.place.totals.states.current.value }) == 0 else {
                return
            }
            formerStates = PlanStates()
            try followChanges()
        } catch {
            logger.error("the kernel rules stay as they are: \(error)")
        }
    }

    /// What the kernel does with which packets, and what it has counted.
    func kernelReport() -> KernelReport {
        let plan = kernelRules.plans?.installed ?? plan(for: configuration)
        let counters = kernelRules.counters
        let isIdle = !isInspecting || ticksToRemoval > 0
        var report = KernelReport(plan, backend: isIdle ? nil : kernelRules.backend?.rawValue)
        for (index, counter) in ((counters?.inbound ?? []) + (counters?.outbound ?? [])).enumerated() {
            report.items[index].packets = counter?.packets
            report.items[index].bytes = counter?.bytes
        }
        report.payloadless = counters?.payloadless.packets
        return report
    }

    /// The texts to install by hand.
    func kernelTexts() -> [String] { plan(for: configuration).texts }

    /// What the kernel has decided, for `stats`.
    func kernelStatistics() -> StatisticsReport.Section {
        let decided = kernelRules.decided()
        return .init(
            "Packets decided in the kernel",
            [.init("passed", decided.accepted.packets), .init("blocked", decided.dropped.packets)]
                + (decided.unseen.map { [.init("sent to a queue and not seen", $0)] } ?? []))
    }
}

extension KernelPlan {
    /// For `nft -f -`, for iptables-restore and for ip6tables-restore.
    ///
    /// Their table and chains have names of their own: those of the daemon come and go with it.
    public var texts: [String] {
        [nftables, iptablesRestore(.inet4), iptablesRestore(.inet6)].map(Self.named)
    }

    /// A text or an argument with the names of what an administrator installs.
    public static func named(_ text: String) -> String {
        text.replacing("inet npflua", with: "inet npflua_own").replacing("npflua-", with: "npflua-own-")
    }
}

extension KernelReport {
    /// What a plan says, without counters.
    public init(_ plan: KernelPlan, backend: String?) {
        self.init(
            backend: backend,
            items: plan.inbound.map { Item($0, direction: "in") } + plan.outbound.map { Item($0, direction: "out") })
    }
}

extension KernelReport.Item {
    fileprivate init(_ item: PlanItem, direction: String) {
        self.init(
            direction: direction, action: item.action.rawValue, place: item.place, text: item.text, entry: item.entry)
    }
}
