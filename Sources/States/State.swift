import Packet

/// A connection in the table: two cache lines, the first of which tells whether a packet belongs to it.
struct State: BitwiseCopyable {
    struct Flags: OptionSet, BitwiseCopyable {
        var rawValue: UInt8
        /// The place is taken.
        static let isTaken = Flags(rawValue: 1)
        /// The second end sent the first packet.
        static let isSwapped = Flags(rawValue: 2)
        /// The first packet left the host.
        static let isOut = Flags(rawValue: 4)
        /// Its packets may cross any interface in any direction, as far as its key lets them.
        static let isStatefulAll = Flags(rawValue: 8)
    }

    /// Bytes from one of its cache lines to the next.
    static let lineSize = 64

    var connection: ConnectionIdentity
    var phase: ConnectionPhase
    var flags: Flags
    /// The configuration that `entry` and `procedure` are numbers in.
    var generation: UInt16
    /// In a free place, the next free place and 1, or 0.
    var entry: Int32
    var procedure: Int32
    /// When the last packet came that fitted, in nanoseconds.
    var lastSeen: Int64

    var tcp: TCPConnection
    var decision: UInt8
    var forward: TrafficCounter
    var backward: TrafficCounter

    /// Which way a packet with this connection's key runs in it.
    @inline(__always)
    func flow(of key: StateKey) -> Flow {
        key.isSwapped == flags.contains(.isSwapped) ? .forward : .backward
    }

    /// Whether a packet crosses the interface that its flow has to, in the direction that it has to.
    @inline(__always)
    func admits(_ key: StateKey, _ flow: Flow) -> Bool {
        if flags.contains(.isStatefulAll) { return true }
        let runsForward = (key.direction == .out) == flags.contains(.isOut)
        return key.connection.interface == connection.interface && runsForward == (flow == .forward)
    }

    @inline(__always)
    mutating func count(_ length: Int, _ flow: Flow) {
        if flow == .forward { forward.add(length) } else { backward.add(length) }
    }
}

/// What one end of a connection has sent through the filter.
public struct TrafficCounter: Equatable, Sendable, BitwiseCopyable {
    /// Packets, those of the kernel's segmentation offload counted as the one that they still are.
    public var packets: UInt64 = 0
    /// Bytes of IP packets.
    public var bytes: UInt64 = 0

    @inline(__always)
    mutating func add(_ length: Int) {
        packets &+= 1
        bytes &+= UInt64(truncatingIfNeeded: length)
    }
}
