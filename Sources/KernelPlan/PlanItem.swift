/// What the kernel does with some packets.
public struct PlanItem: Sendable, Equatable {
    /// What becomes of a packet.
    public enum Action: String, Sendable, Hashable {
        /// It passes.
        case accept
        /// It is dropped.
        case drop
        /// The daemon decides.
        case queue
        /// The daemon decides, and its first worker is asked first: the packet may concern a flow of any worker.
        case queueFirst = "queue first"

        /// Whether the daemon decides.
        var queues: Bool { self == .queue || self == .queueFirst }
    }

    /// Which packets, of those that no item before this one matches.
    public var match: PlanMatch
    /// What becomes of them.
    public var action: Action
    /// Whether the daemon is told, where marks can tell it, which packet of TCP is a connection's first that it gets.
    public var tellsOpening = false
    /// The place of the rule in the flattened ruleset, counted from 1; 0 where no rule matched, nil where the item is
    /// about no rule.
    public var entry: Int?
    /// Where the rule stands, as `file:line`, or what the item is there for.
    public var place: String
    /// The rule in its own language, or what is said of the packets.
    public var text: String
}
