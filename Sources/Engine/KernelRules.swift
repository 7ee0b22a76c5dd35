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

    init(logger: Logger) {
        self.logger = logger
    }

    /// Puts a plan in place, over whatever an earlier daemon has left.
    ///
    /// nftables where the kernel has its `queue`, else iptables and ip6tables.
    mutating func install(_ plan: KernelPlan) throws(SystemError) {
        switch backend {
        case .nftables: try Self.runNft(plan.nftables)
        case .iptables:
            try Self.restore(plan.iptablesRestore)
            // Somebody may have flushed the chain that ours hang on.
            try Self.addJumps()
        case nil:
            let isFresh = Self.installedQueues() == nil
            do throws(SystemError) {
                try Self.runNft(plan.nftables)
                backend = .nftables
            } catch let nft {
                logger.debug("nftables cannot queue here, iptables is tried", metadata: ["reason": "\(nft)"])
                do throws(SystemError) {
                    try Self.restore(plan.iptablesRestore)
                    try Self.addJumps()
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
    }

    /// Sends nothing to the queue any more.
    ///
    /// The base chains stay: the kernel drops every packet that waits in a queue when one is deleted.
    func idle() throws(SystemError) {
        switch backend {
        case .nftables: try Self.runNft(KernelPlan.nftablesIdle)
        case .iptables: try Self.restore(KernelPlan.iptablesIdle)
        case nil: break
        }
    }

    /// Takes away everything that `install` has put there.
    mutating func remove() throws(SystemError) {
        switch backend {
        case .nftables: try Self.runNft(KernelPlan.nftablesRemoval)
        case .iptables: try Self.removeIptables()
        case nil: break
        }
        backend = nil
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
            [["nft", "list", "table"] + KernelPlan.nftablesTable]
            + iptablesPrograms.map { [$0] + KernelPlan.iptablesProbe }
        for listing in listings {
            guard let result = try? Command.run(listing), result.status == 0 else { continue }
            if let queues = KernelPlan.queues(inListing: result.output) { return queues }
        }
        return nil
    }

    private static let iptablesPrograms = ["iptables", "ip6tables"]

    private static func restore(_ text: String) throws(SystemError) {
        for program in iptablesPrograms {
            try check(["\(program)-restore"] + KernelPlan.iptablesRestoreArguments, input: text)
        }
    }

    private static func addJumps() throws(SystemError) {
        for program in iptablesPrograms {
            for jump in KernelPlan.iptablesJumps where try Command.run([program] + jump.check).status != 0 {
                try check([program] + jump.add)
            }
        }
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
        let result = try Command.run(arguments, input: Array(input.utf8))
        guard result.status == 0 else {
            let said = result.errorOutput.split(separator: "\n").first.map(String.init) ?? "status \(result.status)"
            throw SystemError("\(arguments[0]): \(said)")
        }
    }
}
