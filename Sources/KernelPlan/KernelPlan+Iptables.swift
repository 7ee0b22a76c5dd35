/// A rule in one of netfilter's own chains that leads to a chain of ours, as arguments of `iptables` and `ip6tables`.
///
/// iptables-restore cannot ask whether a rule is there, so the caller does. To install: run `check`, and `add` if
/// its status is not 0. To remove: run `delete` as long as `check` has the status 0.
public struct IptablesJump: Sendable, Equatable {
    /// Has the status 0 if the jump is there.
    public let check: [String]
    /// Adds the jump.
    public let add: [String]
    /// Removes the jump, once.
    public let delete: [String]

    fileprivate init(from chain: String, to own: String) {
        func arguments(_ action: String) -> [String] { ["-w", "-t", "mangle", action, chain, "-j", own] }
        check = arguments("-C")
        // Before all others: after a rule that accepts, no packet would come to ours.
        add = arguments("-I")
        delete = arguments("-D")
    }
}

/// For kernels without `nft_queue`. The same texts and arguments serve IPv4 and IPv6.
///
/// To install: `iptablesRestore`, then each jump. To stop: `iptablesIdle`. To remove: `iptablesIdle`, each jump,
/// `iptablesRemoval`.
extension KernelPlan {
    private static let inbound = "npflua-in"
    private static let outbound = "npflua-out"

    /// The arguments of `iptables-restore` and `ip6tables-restore` for the texts below: other rules stay, and the
    /// lock is waited for.
    public static let iptablesRestoreArguments = ["--noflush", "-w"]

    /// The jumps to our chains.
    public static let iptablesJumps = [
        IptablesJump(from: "PREROUTING", to: inbound), IptablesJump(from: "POSTROUTING", to: outbound),
    ]

    /// Arguments of `iptables` and `ip6tables` whose status is 0 if a chain of ours is there.
    public static let iptablesProbe = ["-w", "-t", "mangle", "-S", inbound]

    /// The plan as one transaction for iptables-restore: fills our two chains anew.
    public var iptablesRestore: String {
        // The balance is by the pair of addresses alone, and the same for both directions.
        let target =
            queues.count == 1
            ? "--queue-num \(queues.lowerBound)" : "--queue-balance \(queues.lowerBound):\(queues.upperBound)"
        let queue = "-j NFQUEUE \(target)" + (failOpen ? " --queue-bypass" : "")
        // See the nftables text for the first of these.
        return Self.iptables([
            "-A \(Self.inbound) -m conntrack --ctstate INVALID",
            "-A \(Self.outbound) -m mark --mark \(Self.answerMark) -j RETURN",
            "-A \(Self.inbound) ! -i lo \(queue)",
            "-A \(Self.outbound) ! -o lo \(queue)",
        ])
    }

    /// For iptables-restore: our chains, empty.
    ///
    /// Packets pass untouched.
    public static var iptablesIdle: String { iptables([]) }

    /// For iptables-restore, when the jumps are gone: removes our chains, whether they are there or not.
    public static var iptablesRemoval: String {
        iptables(["-X \(inbound)", "-X \(outbound)"])
    }

    /// Naming a chain creates it or, if it is there, empties it.
    private static func iptables(_ rules: [String]) -> String {
        (["*mangle", ":\(inbound) - [0:0]", ":\(outbound) - [0:0]"] + rules + ["COMMIT", ""])
            .joined(separator: "\n")
    }
}
