/// A rule in one of netfilter's own chains that leads to a chain of ours, for IPv4 and for IPv6.
public struct IptablesJump: Sendable, Equatable {
    private let chain: String
    private let own: String

    init(from chain: String, to own: String) {
        self.chain = chain
        self.own = own
    }

    /// Arguments of `iptables` and `ip6tables` that add the jump.
    public var add: [String] { ["-w", "-t", "mangle", "-I", chain, "-j", own] }

    // Before all others: after a rule that accepts, no packet would come to ours.
    var insertion: String { "-I \(chain) -j \(own)" }
    var deletion: String { "-D \(chain) -j \(own)" }
    /// The jump as iptables-save prints it.
    var listed: String { "-A \(chain) -j \(own)" }
}

/// What `iptables-save -c -t mangle`, or `ip6tables-save`, prints of our rules.
public struct IptablesListing: Sendable, Equatable {
    /// Our chains, their rules and the jumps to them, without counters, in their order.
    public let lines: [String]
    /// What the rules of each chain have counted.
    let counted: [String: [PlanCounters.Traffic]]

    /// Reads a listing, in which other people's rules may be.
    public init(_ text: String) {
        var lines: [String] = []
        var counted: [String: [PlanCounters.Traffic]] = [:]
        let jumps = KernelPlan.iptablesJumps.map(\.listed)
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 3)
            if line.first == UInt8(ascii: ":"), let word = words.first {
                let chain = String(Substring(word.dropFirst()))
                if KernelPlan.iptablesChains.contains(chain) { lines.append(":\(chain)") }
                continue
            }
            guard words.count >= 3, let traffic = PlanCounters.Traffic(words[0]) else { continue }
            let chain = String(Substring(words[2]))
            let rule = String(Substring(line[words[1].startIndex...]))
            if KernelPlan.iptablesChains.contains(chain) {
                lines.append(rule)
                counted[chain, default: []].append(traffic)
            } else if jumps.contains(rule) {
                lines.append(rule)
            }
        }
        self.lines = lines
        self.counted = counted
    }

    /// The jumps that are not there.
    var missingJumps: [IptablesJump] { KernelPlan.iptablesJumps.filter { !lines.contains($0.listed) } }
    /// The jumps that are there too often, each as often as it is too much.
    var surplusJumps: [IptablesJump] {
        KernelPlan.iptablesJumps.flatMap { jump in jumps.filter { $0 == jump }.dropFirst() }
    }
    /// The jumps that are there, each as often as it is.
    var jumps: [IptablesJump] { lines.flatMap { line in KernelPlan.iptablesJumps.filter { $0.listed == line } } }
    /// Whether all that a plan needs is there.
    public var isComplete: Bool {
        missingJumps.isEmpty && surplusJumps.isEmpty
            && KernelPlan.iptablesChains.allSatisfy { lines.contains(":\($0)") }
    }
}
