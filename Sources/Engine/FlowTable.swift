import Glibc
package import Packet

/// The flows that scripts have decided with `"pass-flow"` or `"block-flow"`, in fixed memory.
///
/// A passed flow is passed by the procedure that said so: its packets still meet the rules, and other procedures. A
/// blocked flow is blocked everywhere. So a procedure is a part of the key.
///
/// Sixteen thousand sets of four: a flow lives in the one set that its addresses, protocol and ports hash to, the
/// same for both directions. A new flow takes the place of the one in its set that has been idle longest, so the
/// table never grows and never searches; a flow that was forgotten is simply decided again by its rule.
@safe
package struct FlowTable: ~Copyable {
    /// What was decided for a flow.
    package struct Entry: BitwiseCopyable {
        package var key: FlowKey
        /// When the flow's last packet came, in nanoseconds; 0 for a free place.
        package var lastSeen: Int64
        /// The rule whose script decided.
        package var entry: Int32
        package var verdict: Verdict
    }

    private static let ways = 4
    private static let sets = 16_384
    /// A flow that has been silent for this long is over: nanoseconds.
    private static let idleLimit: Int64 = 600_000_000_000

    /// Zeros, which are free places, until a flow is decided: so untouched pages cost no memory.
    private let places: UnsafeMutablePointer<Entry>
    private let seed: UInt64
    /// Whether no flow was ever decided.
    package private(set) var isEmpty = true

    package init(seed: UInt64) {
        self.seed = seed
        guard let zeros = unsafe calloc(Self.sets * Self.ways, MemoryLayout<Entry>.stride) else {
            fatalError("no memory for the flow table")
        }
        unsafe places = zeros.bindMemory(to: Entry.self, capacity: Self.sets * Self.ways)
    }

    deinit {
        unsafe free(places)
    }

    /// The decision for the flow of a packet, refreshed by it.
    ///
    /// A TCP segment that opens a connection starts afresh: it is another flow than the one that was passed before.
    /// A blocked one stays blocked until it is idle, or the opener of a flow could unblock it at will.
    @inline(__always)
    package mutating func decision(for key: FlowKey, opening: Bool, now: Int64) -> Entry? {
        let set = unsafe set(of: key)
        for way in 0..<Self.ways where unsafe set[way].lastSeen != 0 && set[way].key == key {
            let isOver = unsafe now &- set[way].lastSeen > Self.idleLimit
            if unsafe isOver || (opening && set[way].verdict == .pass) {
                unsafe set[way].lastSeen = 0
                return nil
            }
            unsafe set[way].lastSeen = max(now, 1)
            return unsafe set[way]
        }
        return nil
    }

    /// Notes a decision.
    ///
    /// Returns whether another flow, still alive, was forgotten for it.
    package mutating func decide(_ key: FlowKey, _ verdict: Verdict, entry: Int32, now: Int64) -> Bool {
        isEmpty = false
        let set = unsafe set(of: key)
        var place = 0
        for way in 0..<Self.ways {
            if unsafe set[way].lastSeen != 0 && set[way].key == key {
                place = way
                break
            }
            if unsafe set[way].lastSeen < set[place].lastSeen { place = way }
        }
        let forgotten =
            unsafe set[place].lastSeen != 0 && set[place].key != key
            && now &- set[place].lastSeen <= Self.idleLimit
        unsafe set[place] = Entry(key: key, lastSeen: max(now, 1), entry: entry, verdict: verdict)
        return forgotten
    }

    @inline(__always)
    private func set(of key: FlowKey) -> UnsafeMutablePointer<Entry> {
        unsafe places + Int(key.hash(seed: seed) & UInt64(Self.sets &- 1)) &* Self.ways
    }
}

/// What tells one flow from another, the same for both of its directions.
package struct FlowKey: BitwiseCopyable, Equatable {
    private var lowHigh: UInt64 = 0
    private var lowLow: UInt64 = 0
    private var highHigh: UInt64 = 0
    private var highLow: UInt64 = 0
    private var ports: UInt32 = 0
    private var family: UInt8 = 0
    private var transportProtocol: UInt8 = 0
    private var procedure: Int32 = -1

    /// The same flow as a procedure has passed it.
    @inline(__always)
    package func passed(by procedure: Int32) -> FlowKey {
        var key = self
        key.procedure = procedure
        return key
    }

    /// The flow of a packet; nil for a fragment, whose ports are not there to see.
    @inline(__always)
    package init?(_ headers: PacketHeaders) {
        guard !headers.isFragment else { return nil }
        let source = (headers.source.high, headers.source.low, headers.sourcePort)
        let destination = (headers.destination.high, headers.destination.low, headers.destinationPort)
        let (first, second) = source < destination ? (source, destination) : (destination, source)
        (lowHigh, lowLow) = (first.0, first.1)
        (highHigh, highLow) = (second.0, second.1)
        ports = UInt32(first.2) << 16 | UInt32(second.2)
        family = headers.family.rawValue
        transportProtocol = headers.transportProtocol.rawValue
    }

    /// A hash whose seed keeps a sender from choosing the set that its flows fall into.
    @inline(__always)
    func hash(seed: UInt64) -> UInt64 {
        var hash = seed
        mix(&hash, lowHigh)
        mix(&hash, lowLow)
        mix(&hash, highHigh)
        mix(&hash, highLow)
        mix(&hash, UInt64(ports) << 32 | UInt64(UInt32(bitPattern: procedure)))
        mix(&hash, UInt64(transportProtocol) << 8 | UInt64(family))
        return hash
    }

    /// One round of the finalizer of MurmurHash3, which spreads every bit over all.
    @inline(__always)
    private func mix(_ hash: inout UInt64, _ word: UInt64) {
        hash ^= word
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        hash ^= hash >> 33
    }
}
