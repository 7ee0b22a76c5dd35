package import Packet
import SystemSupport

/// What scripts have decided about flows, and how much they have looked at of others, in fixed memory.
///
/// A passed flow is passed by the call that said so: its packets still meet the rules, and other calls. A blocked flow
/// is blocked everywhere. So the call is a part of the key.
///
/// Sixteen thousand sets of four: a flow lives in the one set that its addresses, protocol and ports hash to, the
/// same for both directions and all calls. A new one takes the place of the one in its set that has been idle longest, of
/// a blocked one last, so the table never grows and never searches; a flow that was forgotten is looked at anew.
@safe
package struct FlowTable: ~Copyable {
    /// How far a flow is decided.
    package enum Standing: UInt8, BitwiseCopyable {
        /// Nothing is known: a free place.
        case free
        /// A script looks at it, and what it has seen is counted.
        case inspected
        /// A call has passed it.
        case passed
        /// A script has blocked it.
        case blocked
    }

    /// What is known of a flow: 64 bytes.
    package struct Entry: BitwiseCopyable {
        fileprivate var key = FlowKey()
        /// When the flow's last packet came, in ticks.
        fileprivate var lastSeen: UInt32 = 0
        /// The rule that handed the packet to the script.
        package fileprivate(set) var rule: Int32 = 0
        /// What the script has seen of the packets that the lower end sends, and of the other's.
        fileprivate var seenOfLower: UInt32 = 0
        fileprivate var seenOfHigher: UInt32 = 0
        package fileprivate(set) var standing = Standing.free
        fileprivate var inspection = Inspection()
        /// The second, modulo 2¹⁶, in which the kernel was told last; 0 for never.
        fileprivate var told: UInt16 = 0
    }

    /// How what is seen of a flow is counted.
    fileprivate struct Inspection: OptionSet, BitwiseCopyable {
        var rawValue: UInt8 = 0
        /// Both directions must be looked at.
        static let needsBoth = Inspection(rawValue: 1)
        /// The packets of the lower end, or of the other, are counted when they go out: a forwarded packet that comes to
        /// the same script when it comes in and when it goes out is still one.
        static let lowerGoesOut = Inspection(rawValue: 2)
        static let higherGoesOut = Inspection(rawValue: 4)
    }

    private static let ways = 4
    private static let sets = 16_384
    private static let places = ways * sets
    /// A tick is this power of two in nanoseconds: a fifteenth of a second.
    private static let tickShift: Int64 = 26
    /// A flow that has been silent for this long is over: ten minutes in ticks.
    private static let idleLimit = UInt32(600_000_000_000 >> tickShift)

    /// Zeros, which are free places, until a flow is noted: so untouched pages cost no memory.
    private let entries: UnsafeMutablePointer<Entry>
    private let memory: MappedMemory
    private let seed: UInt64
    /// Whether no flow was ever noted.
    package private(set) var isEmpty = true

    package init(seed: UInt64) {
        self.seed = seed
        guard let memory = MappedMemory(size: Self.places * MemoryLayout<Entry>.stride) else {
            fatalError("no memory for the flow table")
        }
        unsafe entries = memory.base.bindMemory(to: Entry.self, capacity: Self.places)
        self.memory = memory
    }

    /// What is known at a place that `find` or `note` gave, until the table is next changed.
    @inline(__always)
    package subscript(place: Int) -> Entry { unsafe entries[place] }

    /// The place of what is known of a flow, refreshed by its packet; nil where nothing is.
    ///
    /// A TCP segment that opens a connection starts afresh: it is another flow than the one before. A blocked one stays
    /// blocked until it is idle, or the opener of a flow could unblock it at will.
    @inline(__always)
    package mutating func find(_ key: FlowKey, opening: Bool, now: Int64) -> Int? {
        let first = set(of: key)
        let tick = Self.tick(now)
        for place in first..<first &+ Self.ways {
            let entry = unsafe entries + place
            guard unsafe entry.pointee.standing != .free && entry.pointee.key == key else { continue }
            let isOver = unsafe tick &- entry.pointee.lastSeen > Self.idleLimit
            if unsafe isOver || (opening && entry.pointee.standing != .blocked) {
                unsafe entry.pointee.standing = .free
                return nil
            }
            unsafe entry.pointee.lastSeen = tick
            return place
        }
        return nil
    }

    /// Begins a flow afresh, whatever calls have to do with it: it is another than the one before.
    ///
    /// A blocked one stays blocked.
    @inline(__always)
    package mutating func begin(_ key: FlowKey) {
        let first = set(of: key)
        for place in first..<first &+ Self.ways {
            let entry = unsafe entries + place
            guard unsafe entry.pointee.standing == .passed || entry.pointee.standing == .inspected,
                unsafe entry.pointee.key.treated(by: key.call) == key
            else { continue }
            unsafe entry.pointee.standing = .free
        }
    }

    /// Notes a flow that is decided, or that is looked at.
    ///
    /// - Parameter needsBoth: of a flow that is looked at, whether both of its directions must be.
    /// - Returns: its place, nil where all places of its set are blocked flows' and this one is not; and whether another
    ///   flow, still alive, was forgotten for it.
    package mutating func note(
        _ key: FlowKey, _ standing: Standing, rule: Int32, needsBoth: Bool = false, now: Int64
    ) -> (place: Int?, forgets: Bool) {
        isEmpty = false
        let first = set(of: key)
        let tick = Self.tick(now)
        var best = first
        var bestWorth = UInt64.max
        for place in first..<first &+ Self.ways {
            let worth = unsafe worth(of: entries + place, key, tick)
            if worth < bestWorth { (best, bestWorth) = (place, worth) }
        }
        let entry = unsafe entries + best
        let isOther = bestWorth > Self.nothing
        guard unsafe !isOther || entry.pointee.standing != .blocked || standing == .blocked else { return (nil, false) }
        unsafe entry.pointee = Entry()
        unsafe entry.pointee.key = key
        unsafe entry.pointee.lastSeen = tick
        unsafe entry.pointee.rule = rule
        unsafe entry.pointee.standing = standing
        if needsBoth { unsafe entry.pointee.inspection = .needsBoth }
        return (best, isOther)
    }

    /// What is lost by taking the place of an entry that is over, more than by taking the flow's own.
    private static let nothing: UInt64 = 1

    /// What is lost if a flow takes an entry's place.
    @inline(__always)
    private func worth(of entry: UnsafeMutablePointer<Entry>, _ key: FlowKey, _ tick: UInt32) -> UInt64 {
        let idle = unsafe tick &- entry.pointee.lastSeen
        if unsafe entry.pointee.standing == .free { return Self.nothing }
        if unsafe entry.pointee.key == key { return 0 }
        if idle > Self.idleLimit { return Self.nothing }
        let blocked: UInt64 = unsafe entry.pointee.standing == .blocked ? 1 << 32 : 0
        return blocked | UInt64(~idle)
    }

    /// Counts what a script has seen of a flow.
    ///
    /// - Parameters:
    ///   - amount: bytes or packets of this packet.
    ///   - limit: how many there must be in a direction.
    /// - Returns: whether that is enough of each direction that matters.
    package mutating func count(
        _ amount: UInt32, upTo limit: UInt32, of headers: PacketHeaders, _ direction: Direction, at place: Int
    ) -> Bool {
        var entry = unsafe entries[place]
        let ofLower = FlowKey.isFromLowerEnd(headers)
        let goesOut: Inspection = ofLower ? .lowerGoesOut : .higherGoesOut
        let seen = ofLower ? entry.seenOfLower : entry.seenOfHigher
        if seen == 0 && direction == .out { entry.inspection.insert(goesOut) }
        if seen < limit && entry.inspection.contains(goesOut) == (direction == .out) {
            if ofLower { entry.seenOfLower &+= amount } else { entry.seenOfHigher &+= amount }
            unsafe entries[place] = entry
        }
        let (lower, higher) = (entry.seenOfLower >= limit, entry.seenOfHigher >= limit)
        return entry.inspection.contains(.needsBoth) ? lower && higher : lower || higher
    }

    /// Whether the kernel is to be told now what is decided about a flow: once a second as long as packets come.
    ///
    /// That they come tells that it does not know: it has forgotten the connection, or does not track it at all.
    @inline(__always)
    package mutating func takesTelling(at place: Int, now: Int64) -> Bool {
        let second = max(UInt16(truncatingIfNeeded: now &>> 30), 1)
        guard unsafe entries[place].told != second else { return false }
        unsafe entries[place].told = second
        return true
    }

    /// Carries the flows over to another configuration, and forgets those about which its scripts may decide otherwise.
    mutating func renumber(_ continuity: FlowContinuity) {
        guard !isEmpty && !continuity.isIdentity else { return }
        for place in 0..<Self.places {
            let entry = unsafe entries + place
            guard unsafe entry.pointee.standing != .free else { continue }
            let rule = unsafe continuity.rule(entry.pointee.rule)
            let call = unsafe entry.pointee.key.call
            let newCall = call < 0 ? -1 : continuity.call(call)
            if rule > 0 && (call < 0 || newCall >= 0) {
                unsafe entry.pointee.rule = rule
                unsafe entry.pointee.key.call = newCall
            } else {
                unsafe entry.pointee.standing = .free
            }
        }
    }

    @inline(__always)
    private static func tick(_ now: Int64) -> UInt32 { UInt32(truncatingIfNeeded: now &>> tickShift) }

    @inline(__always)
    private func set(of key: FlowKey) -> Int {
        Int(key.hash(seed: seed) & UInt64(Self.sets &- 1)) &* Self.ways
    }
}
