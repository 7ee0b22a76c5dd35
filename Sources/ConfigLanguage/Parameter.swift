/// A parameter of `set`, by its name in the language.
public enum Parameter: String, Sendable, Hashable, CaseIterable {
    /// What happens to packets that cannot be judged: `open` or `closed`.
    case fail
    /// The first NFQUEUE number.
    case queueNumber = "queue.number"
    /// The packets that wait in a queue at most.
    case queueLength = "queue.length"
    /// The workers, each with a queue of its own; 0: as many as there are processors.
    case queueWorkers = "queue.workers"
    /// The bytes of a packet that the kernel copies for the daemon; 0: as many as anything may look at.
    case queueBytes = "queue.bytes"
    /// The bits of connections' marks that tell the kernel of decided flows; 0 for none.
    case flowMark = "flow.mark"
    /// Whether the daemon puts its own rules into the kernel.
    case kernelRules = "kernel.rules"
    /// The Lua instructions that a call may take.
    case luaInstructions = "lua.instructions"
    /// The bytes that a Lua state may take.
    case luaMemory = "lua.memory"
    /// The milliseconds that a call may take.
    case luaTime = "lua.time"
    /// Whether scripts may change packets.
    case luaEdit = "lua.edit"
    /// The states of each worker at most.
    case stateLimit = "state.limit"
    /// Whether a state is of one interface.
    case stateKeyInterface = "state.key.interface"
    /// Whether a state tells directions apart.
    case stateKeyDirection = "state.key.direction"
    /// The seconds for which a state without an answer is kept.
    case genericTimeoutNew = "state.generic.timeout.new"
    /// The seconds for which a state with an answer is kept.
    case genericTimeoutEstablished = "state.generic.timeout.established"
    /// The seconds for which a finished state is kept.
    case genericTimeoutClosed = "state.generic.timeout.closed"
    /// The bytes by which an acknowledgment may miss the window.
    case tcpMaxAckWindow = "state.tcp.max_ack_win"
    /// Whether a reset's sequence number must be exact.
    case tcpStrictOrderRST = "state.tcp.strict_order_rst"
    /// The seconds for which a connection that is being opened is kept.
    case tcpTimeoutNew = "state.tcp.timeout.new"
    /// The seconds for which an idle open connection is kept.
    case tcpTimeoutEstablished = "state.tcp.timeout.established"
    /// The seconds for which a connection closed by one end is kept.
    case tcpTimeoutHalfClose = "state.tcp.timeout.half_close"
    /// The seconds for which a connection that is being closed is kept.
    case tcpTimeoutClose = "state.tcp.timeout.close"
    /// The seconds for which a closed connection is kept for late segments.
    case tcpTimeoutTimeWait = "state.tcp.timeout.time_wait"
    /// The states that are looked at in one step of collection.
    case gcStep = "gc.step"
    /// The milliseconds between two collections when there is much to collect.
    case gcIntervalMin = "gc.interval_min"
    /// The milliseconds between two collections when there is little to collect.
    case gcIntervalMax = "gc.interval_max"
    /// The entries of a table at most.
    case tableLimit = "table.limit"
    /// Whether IPv4 packets with options are dropped.
    case ip4DropOptions = "ip4.drop_options"
    /// Whether IPv6 packets with extension headers are dropped.
    case ip6DropOptions = "ip6.drop_options"
    /// Whether IPv4 fragments are put together: the kernel's part.
    case ip4Reassembly = "ip4.reassembly"
    /// Whether IPv6 fragments are put together: the kernel's part.
    case ip6Reassembly = "ip6.reassembly"
    /// Whether rules are compiled: they always are.
    case bpfJIT = "bpf.jit"
    /// The lowest port of address translation: the kernel's part.
    case portmapMinPort = "portmap.min_port"
    /// The highest port of address translation: the kernel's part.
    case portmapMaxPort = "portmap.max_port"
}

extension Parameter {
    /// How a value is written.
    public enum Form: Sendable, Hashable {
        /// As a number, with or without a suffix.
        case number
        /// As `on` or `off`, 1 or 0.
        case flag
        /// As `open` or `closed`.
        case policy
        /// As a number in hexadecimal whose bits are meant.
        case mask
    }

    /// How the value is written.
    public var form: Form {
        switch self {
        case .fail: .policy
        case .flowMark: .mask
        case .kernelRules, .luaEdit, .stateKeyInterface, .stateKeyDirection, .tcpStrictOrderRST, .ip4DropOptions,
            .ip6DropOptions,
            .ip4Reassembly, .ip6Reassembly, .bpfJIT:
            .flag
        default: .number
        }
    }

    /// The value that holds where nothing is set; NPF's, in npf-params(7), for the parameters that NPF has.
    public var defaultValue: Int {
        switch self {
        case .fail, .queueWorkers, .queueBytes, .genericTimeoutClosed, .ip4DropOptions, .ip6DropOptions, .ip6Reassembly:
            0
        case .kernelRules, .luaEdit, .stateKeyInterface, .stateKeyDirection, .tcpStrictOrderRST, .ip4Reassembly,
            .bpfJIT:
            1
        case .queueNumber: 2014
        case .queueLength: 1024
        case .flowMark: 0xc000_0000
        case .luaInstructions: 1_000_000
        case .luaMemory: 8 << 20
        case .luaTime: 20
        case .stateLimit, .tableLimit: 1_048_576
        case .genericTimeoutNew, .tcpTimeoutNew: 30
        case .genericTimeoutEstablished: 60
        case .tcpMaxAckWindow: 66_000
        case .tcpTimeoutEstablished: 86_400
        case .tcpTimeoutHalfClose: 21_600
        case .tcpTimeoutClose: 10
        case .tcpTimeoutTimeWait: 240
        case .gcStep: 256
        case .gcIntervalMin: 50
        case .gcIntervalMax: 5_000
        case .portmapMinPort: 1024
        case .portmapMaxPort: 49_151
        }
    }

    /// The values that it may have.
    public var range: ClosedRange<Int> {
        switch self {
        case .flowMark: 0...0xffff_ffff
        case _ where form != .number: 0...1
        case .queueNumber: 0...65_535
        case .queueLength: 1...1_048_576
        case .queueWorkers: 0...64
        case .queueBytes: 0...65_531
        case .luaInstructions: 1...1_000_000_000
        case .luaMemory: 65_536...4_294_967_296
        case .luaTime: 1...10_000
        case .stateLimit, .tableLimit: 1...16_777_216
        case .tcpMaxAckWindow: 0...1_073_741_824
        case .gcStep: 1...1_048_576
        case .gcIntervalMin, .gcIntervalMax: 10...3_600_000
        case .portmapMinPort, .portmapMaxPort: 1...65_535
        default: 0...31_536_000
        }
    }

    /// The least value but 0, which says something else.
    var leastBesideZero: Int {
        // All headers fit: 60 bytes of IPv4 and as many of TCP, or what IPv6 comes with, and what an ICMP error quotes.
        self == .queueBytes ? 256 : 0
    }

    /// What the suffix `k` stands for; `m`, `g` and `t` are its powers.
    var kilo: UInt64 { self == .luaMemory || self == .queueBytes ? 1024 : 1000 }

    /// What makes the parameter say nothing here; nil for one that holds.
    public var note: String? {
        switch self {
        case .ip4Reassembly, .ip6Reassembly:
            "`\(rawValue)` says nothing here: the kernel puts fragments together before it hands packets over"
        case .genericTimeoutClosed: "`\(rawValue)` says nothing here: UDP and ICMP do not close a connection"
        case .bpfJIT: "`bpf.jit` says nothing here: rules are always compiled"
        case .portmapMinPort, .portmapMaxPort:
            "`\(rawValue)` says nothing here: addresses are translated by the kernel; give the ports to its `masquerade to`"
        default: nil
        }
    }

    /// `value` as the language writes it.
    func text(_ value: Int) -> String {
        switch form {
        case .number: String(value)
        case .flag: value == 1 ? "on" : "off"
        case .policy: value == 1 ? "open" : "closed"
        case .mask: "0x" + String(value, radix: 16)
        }
    }
}
