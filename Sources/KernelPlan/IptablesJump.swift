/// A rule in one of netfilter's own chains that leads to a chain of ours, as arguments of `iptables` and `ip6tables`.
///
/// iptables-restore cannot ask whether a rule is there, so the caller does. To install: run `add` if no line of what
/// iptables-save prints ends as `listed`, or if `check` has another status than 0. To remove: run `delete` as long as `check` has the status 0.
public struct IptablesJump: Sendable, Equatable {
    /// Has the status 0 if the jump is there.
    public let check: [String]
    /// Adds the jump.
    public let add: [String]
    /// How the jump's line ends in what `iptables-save` prints.
    public let listed: String
    /// Removes the jump, once.
    public let delete: [String]

    init(from chain: String, to own: String) {
        func arguments(_ action: String) -> [String] { ["-w", "-t", "mangle", action, chain, "-j", own] }
        check = arguments("-C")
        // Before all others: after a rule that accepts, no packet would come to ours.
        add = arguments("-I")
        listed = "-A \(chain) -j \(own)"
        delete = arguments("-D")
    }
}
