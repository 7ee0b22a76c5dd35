/// What the daemon answers: one JSON object on one line.
public struct ControlResponse: Codable, Sendable, Hashable {
    /// The protocol's version that the daemon speaks.
    public var version: Int
    /// Whether the request was carried out.
    public var ok: Bool
    /// Why it was not, as it is to be shown to a person; `file:line:column: …` for a file.
    public var error: String?
    /// The answer to `show`.
    public var rules: RulesReport?
    /// The answer to `stats`.
    public var statistics: StatisticsReport?
    /// The answer to `lua-list`.
    public var states: [LuaStateReport]?
    /// The answer to `rule` and `table`, lines as they are to be shown, to `reload`, the warnings, and to `kernel-text`, the
    /// texts for nft, iptables-restore and ip6tables-restore.
    public var lines: [String]?
    /// The answer to `connections`.
    public var connections: [ConnectionReport]?
    /// Where the list of connections goes on; nil at its end.
    public var next: Int?
    /// The answer to `explain`, one for each packet.
    public var explanations: [ExplanationReport]?

    /// The answer to `kernel`.
    public var kernel: KernelReport?

    /// Makes an answer that says that the request was carried out.
    public init() {
        version = ControlRequest.currentVersion
        ok = true
    }

    /// Makes an answer that says why the request was not carried out.
    public init(error: String) {
        version = ControlRequest.currentVersion
        ok = false
        self.error = error
    }
}

/// The active rules with their counters.
public struct RulesReport: Codable, Sendable, Hashable {
    /// Whether packets are being inspected.
    public var active: Bool
    /// Whether a configuration is loaded; without one everything passes.
    public var loaded: Bool
    /// The configuration in its own language, a comment with the counters behind each rule.
    public var text: String
    /// The rules alone.
    public var rules: [RuleReport]

    /// Makes a report of its parts.
    public init(active: Bool, loaded: Bool, text: String, rules: [RuleReport]) {
        self.active = active
        self.loaded = loaded
        self.text = text
        self.rules = rules
    }
}

/// A rule and what it has counted since it was loaded.
public struct RuleReport: Codable, Sendable, Hashable {
    /// The rule's place in the flattened ruleset, counted from 1 with every group as an entry.
    public var entry: Int
    /// The rule in its own language.
    public var rule: String
    /// Packets that the rule decided, and their bytes from the IP header on.
    public var packets: UInt64
    /// See `packets`.
    public var bytes: UInt64
    /// Calls of the rule's script.
    public var calls: UInt64
    /// Packets that the script blocked.
    public var blocks: UInt64
    /// Calls that failed: an error, a limit, a wrong answer.
    public var errors: UInt64

    /// Makes a report of its parts.
    public init(
        entry: Int, rule: String, packets: UInt64, bytes: UInt64, calls: UInt64, blocks: UInt64, errors: UInt64
    ) {
        self.entry = entry
        self.rule = rule
        self.packets = packets
        self.bytes = bytes
        self.calls = calls
        self.blocks = blocks
        self.errors = errors
    }
}

/// The totals of the daemon since its start.
public struct StatisticsReport: Codable, Sendable, Hashable {
    /// A section of named counters, in the order in which they are to be shown.
    public struct Section: Codable, Sendable, Hashable {
        /// The section's heading.
        public var title: String
        /// Its counters.
        public var counters: [Counter]

        /// Makes a section of its parts.
        public init(_ title: String, _ counters: [Counter]) {
            self.title = title
            self.counters = counters
        }
    }

    /// A named counter.
    public struct Counter: Codable, Sendable, Hashable {
        /// What is counted.
        public var name: String
        /// How often it happened.
        public var value: UInt64

        /// Makes a counter of its parts.
        public init(_ name: String, _ value: UInt64) {
            self.name = name
            self.value = value
        }
    }

    /// The sections in order.
    public var sections: [Section]
    /// The queues that the daemon takes packets from, one a worker.
    public var queues: ClosedRange<UInt16>
    /// The sums of the kernel's own counters of these queues, where the daemon may read them.
    public var kernelQueues: [Counter]?

    /// Makes a report of its parts.
    public init(sections: [Section], queues: ClosedRange<UInt16>, kernelQueues: [Counter]?) {
        self.sections = sections
        self.queues = queues
        self.kernelQueues = kernelQueues
    }
}

/// A live Lua state: one rule's, on one worker.
public struct LuaStateReport: Codable, Sendable, Hashable {
    /// The script that it runs.
    public var script: String
    /// The function that it calls.
    public var function: String
    /// The rule's place in the flattened ruleset.
    public var entry: Int
    /// The worker that owns it, from 0.
    public var worker: Int
    /// Bytes that it held after its last call.
    public var memory: Int

    /// Makes a report of its parts.
    public init(script: String, function: String, entry: Int, worker: Int, memory: Int) {
        self.script = script
        self.function = function
        self.entry = entry
        self.worker = worker
        self.memory = memory
    }
}

/// A connection that has a state.
public struct ConnectionReport: Codable, Sendable, Hashable {
    /// The side that opened it.
    public var source: String
    /// Its port, or an ICMP echo's identifier.
    public var sourcePort: UInt16
    /// The other side.
    public var destination: String
    /// Its port.
    public var destinationPort: UInt16
    /// The number of the transport protocol.
    public var transportProtocol: UInt8
    /// The interface that the state is bound to; nil where it is bound to none.
    public var interface: String?
    /// The place of the rule that made the state.
    public var entry: Int
    /// How the connection stands, in a word.
    public var phase: String
    /// Seconds since its last packet.
    public var idle: Int

    /// Makes a report of its parts.
    public init(
        source: String, sourcePort: UInt16, destination: String, destinationPort: UInt16, transportProtocol: UInt8,
        interface: String?, entry: Int, phase: String, idle: Int
    ) {
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
        self.destinationPort = destinationPort
        self.transportProtocol = transportProtocol
        self.interface = interface
        self.entry = entry
        self.phase = phase
        self.idle = idle
    }
}

/// What becomes of a described packet, and why.
public struct ExplanationReport: Codable, Sendable, Hashable {
    /// What the rules alone say: `pass`, `block`, or `nomatch`.
    public var ruleset: String
    /// The place of the deciding rule, 0 for none.
    public var entry: Int
    /// What the whole filter says, states included: `pass` or `block`.
    public var decision: String
    /// The deciding rule in its own language.
    public var rule: String?
    /// Its place in its file.
    public var location: String?
    /// The walk, a line each.
    public var steps: [String]

    /// Makes a report of its parts.
    public init(
        ruleset: String, entry: Int, decision: String, rule: String?, location: String?, steps: [String]
    ) {
        self.ruleset = ruleset
        self.entry = entry
        self.decision = decision
        self.rule = rule
        self.location = location
        self.steps = steps
    }
}

/// What the kernel does with which packets: the first item of its direction that matches decides.
public struct KernelReport: Codable, Sendable, Hashable {
    /// Some packets, and what becomes of them.
    public struct Item: Codable, Sendable, Hashable {
        /// `in` or `out`.
        public var direction: String
        /// `accept`, `drop`, `queue` or `queue first`.
        public var action: String
        /// Where the rule stands, or `npflua` for an item that is about none.
        public var place: String
        /// The rule in its own language, or which packets it is about.
        public var text: String
        /// The rule's place in the flattened ruleset; nil for an item that is about none.
        public var entry: Int?
        /// Packets that the item decided since the rules were put there; nil where that is not known.
        public var packets: UInt64?
        /// Their bytes from the IP header on.
        public var bytes: UInt64?

        /// Makes an item without counters.
        public init(direction: String, action: String, place: String, text: String, entry: Int?) {
            self.direction = direction
            self.action = action
            self.place = place
            self.text = text
            self.entry = entry
        }
    }

    /// `nftables` or `iptables`; nil where no rules are installed.
    public var backend: String?
    /// The items, those about packets that come in first.
    public var items: [Item]
    /// Packets that passed for want of a payload, where the kernel counts them together.
    public var payloadless: UInt64?

    /// Makes a report without counters.
    public init(backend: String?, items: [Item]) {
        self.backend = backend
        self.items = items
    }
}
