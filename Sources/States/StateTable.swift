import CLinuxShim
public import Packet
import SystemSupport

/// The connections that stateful rules have let through, for one worker.
///
/// A packet is looked up before the rules are asked: one that fits a connection passes, and is treated by the procedure
/// of the rule that passed the connection's first packet. All memory is mapped at the start, and is used only as states
/// are made; nothing is allocated, moved or searched for longer than a bound. Times are in nanoseconds of a clock that does
/// not go back.
///
/// All but `init`, `parameters`, `renumber` and `forEach` is part of the packet path.
@safe
public struct StateTable: ~Copyable {
    /// The most states that a table can be made for.
    public static let maximumCapacity = 1 << 24
    /// Places that are looked at for one to make room.
    static let evictionProbes = 32

    /// What the configuration sets; a change counts from the next packet on, and loses no state.
    public var parameters: StateParameters {
        didSet { timeouts = PhaseTimeouts(parameters.timeouts) }
    }
    /// The most states there can be.
    public let capacity: Int
    /// The states there are.
    public internal(set) var count = 0
    /// Places that are taken: by states, and by those that `expireAll` ended and `collect` has not met yet.
    var used = 0
    /// What has happened so far.
    public internal(set) var statistics = StateStatistics()

    let places: UnsafeMutablePointer<State>
    private let memory: MappedMemory
    var index: StateIndex
    let hasher: SipHash
    var timeouts: PhaseTimeouts
    /// Places from this one on have never been used.
    var usedPlaces = 0
    /// The place that was given back last and 1, the start of a list; 0 if there is none.
    var firstFree: Int32 = 0
    /// States that have a key of each form: those of an older form are those that were made before `parameters` changed.
    var statesOfForm = [4 of Int](repeating: 0)
    /// Where `collect` goes on.
    var hand = 0
    /// Places that `collect` has to pass until all states are of this generation.
    var placesBehind = 0
    var generation: UInt16 = 0
    /// How many generations have begun since all states were of one.
    var lag = 0
    /// How entries and procedures of older generations are numbered now, the oldest generation's first.
    var renumberings: [Renumbering] = []

    /// A table without states.
    /// - Parameters:
    ///   - capacity: the most states there can be, 1 to `maximumCapacity`. A state takes 136 bytes or a little more.
    ///   - seed: what hashes start from; a secret, or senders could choose connections that collide.
    public init(capacity: Int, seed: (UInt64, UInt64), parameters: StateParameters) {
        precondition((1...Self.maximumCapacity).contains(capacity))
        self.capacity = capacity
        self.parameters = parameters
        hasher = SipHash(key: seed)
        timeouts = PhaseTimeouts(parameters.timeouts)
        index = StateIndex(capacity: capacity)
        memory = MappedMemory(states: capacity * MemoryLayout<State>.stride)
        unsafe places = memory.base.bindMemory(to: State.self, capacity: capacity)
    }

    /// The connection that a packet belongs to, or that the packet quoted by an ICMP error belongs to; nil for what is
    /// never tracked: fragments, and protocols other than TCP, UDP and, with `alg "icmp"`, ICMP echo.
    ///
    /// - Parameters:
    ///   - interface: the index by which the kernel knows the interface.
    ///   - direction: how the packet crosses it.
    public func key(
        _ headers: PacketHeaders, packet: RawSpan, interface: UInt32, direction: Direction
    ) -> StateKey? {
        var subject = headers
        var direction = direction
        let isError = headers.isICMPError
        if isError {
            // The quoted packet has to be one that the error's receiver has sent.
            guard let quoted = headers.quotedHeaders(packet), quoted.source == headers.destination else { return nil }
            subject = quoted
        }
        guard !headers.isFragment else { return nil }

        let ports: (UInt16, UInt16)
        switch subject.transportProtocol {
        case .tcp, .udp: ports = (subject.sourcePort, subject.destinationPort)
        case .icmp, .icmpv6:
            guard parameters.tracksEcho, let isRequest = subject.isEchoRequest else { return nil }
            let identifier = subject.echoIdentifier(packet)
            ports = isRequest ? (identifier, 0) : (0, identifier)
        default: return nil
        }
        // The quoted packet went the other way.
        if isError { direction = direction == .in ? .out : .in }
        return StateKey(
            headers: subject, ports: ports, interface: interface, direction: direction,
            quotedSequenceNumber: isError ? subject.quotedSequenceNumber(packet) : nil, form: parameters.keyForm,
            hasher: hasher)
    }

    /// Has the memory fetched that tells where a key's state is.
    ///
    /// A batch of packets waits for memory once if this is called for all of them, then `prefetchState`, then `lookup`. Both are
    /// advice: they change nothing, and what they have seen may change.
    public func prefetchIndex(_ key: StateKey) { index.prefetch(key.hash, bucket: 0) }

    /// Has the state fetched that a key may belong to, once its place in the index is near.
    ///
    /// - Returns: whether there seems to be such a state.
    @discardableResult
    public func prefetchState(_ key: StateKey) -> Bool {
        var candidates = index.candidates(key.hash, bucket: 0)
        let isEmpty = candidates.isEmpty
        if isEmpty { index.prefetch(key.hash, bucket: 1) }
        while let place = candidates.next() {
            let state = unsafe UnsafeRawPointer(places + place)
            unsafe linux_prefetch(state)
            unsafe linux_prefetch(state + State.lineSize)
        }
        return !isEmpty
    }

    /// Whether a packet belongs to a connection and fits it; then the state is refreshed and follows it.
    ///
    /// An ICMP error passes by the state of what it quotes, and leaves that as it is.
    public mutating func lookup(_ key: StateKey, _ headers: PacketHeaders, packet: RawSpan, now: Int64) -> StateLookup {
        guard let place = find(key, now: now) else { return .none }
        let state = unsafe places + place
        let flow = unsafe state.pointee.flow(of: key)
        guard unsafe state.pointee.admits(key, flow) else { return .none }

        if let sequenceNumber = key.quotedSequenceNumber {
            if unsafe key.connection.transportProtocol == .tcp && !state.pointee.tcp.mayHaveSent(sequenceNumber, flow) {
                statistics.invalid &+= 1
                return .invalid
            }
            return unsafe .pass(StateMatch(state.pointee, place: place, flow: flow))
        }

        if key.connection.transportProtocol == .tcp {
            let segment = TCPSegment(of: packet, headers: headers)
            let check = unsafe state.pointee.tcp.inspect(segment, flow, phase: &state.pointee.phase, parameters)
            guard check == .valid else {
                statistics.note(check)
                return .invalid
            }
        } else if flow == .backward {
            unsafe state.pointee.phase = .answered
        }
        unsafe state.pointee.lastSeen = now
        unsafe state.pointee.count(headers.originalLength, flow)
        return unsafe .pass(StateMatch(state.pointee, place: place, flow: flow))
    }

    /// What `lookup` would say of a packet, which leaves every connection as it is, and is not counted.
    public mutating func peek(_ key: StateKey, _ headers: PacketHeaders, packet: RawSpan, now: Int64) -> StateLookup {
        guard let place = find(key, now: now) else { return .none }
        let before = unsafe (state: places[place], statistics: statistics)
        defer {
            unsafe places[place] = before.state
            statistics = before.statistics
        }
        return lookup(key, headers, packet: packet, now: now)
    }

    /// Makes a state for a packet that a stateful rule passes; it is the connection's first, and runs forward.
    ///
    /// When the table is full, a connection that was never answered or is over makes room, the one that has been idle
    /// longest of a few. A SYN takes over from an unanswered or finished connection between the same ports.
    /// - Parameters:
    ///   - entry: the rule, as `StateMatch` gives it back.
    ///   - procedure: the rule's procedure, as `StateMatch` gives it back; -1 for none.
    /// - Returns: false if none was made: there is one already, there is no room, or the packet is an ICMP error.
    public mutating func create(
        _ key: StateKey, _ headers: PacketHeaders, packet: RawSpan, kind: StateKind, entry: Int32, procedure: Int32,
        now: Int64
    ) -> Bool {
        guard key.quotedSequenceNumber == nil else { return false }
        let segment = TCPSegment(of: packet, headers: headers)
        let isTCP = key.connection.transportProtocol == .tcp
        // Behind the one that is found first there may be others, with keys of older forms.
        while let old = find(key, now: now) {
            guard unsafe isTCP && segment.kind == .syn && places[old].phase.isReplaceable else { return false }
            remove(old)
            statistics.replaced &+= 1
        }
        guard let place = freePlace(key.hash, now: now) else {
            statistics.refused &+= 1
            return false
        }
        var flags: State.Flags = [.isTaken]
        if key.isSwapped { flags.insert(.isSwapped) }
        if key.direction == .out { flags.insert(.isOut) }
        if kind == .statefulAll { flags.insert(.isStatefulAll) }
        unsafe places[place] = State(
            connection: key.connection, phase: isTCP ? TCPConnection.firstPhase(segment) : .new, flags: flags,
            generation: generation, entry: entry, procedure: procedure, lastSeen: now,
            tcp: TCPConnection(opening: segment), decision: 0, forward: TrafficCounter(), backward: TrafficCounter())
        unsafe places[place].forward.add(headers.originalLength)
        guard index.insert(place, hash: key.hash) else {
            giveBack(place)
            statistics.refused &+= 1
            return false
        }
        count &+= 1
        used &+= 1
        statesOfForm[Int(key.connection.form.rawValue)] &+= 1
        statistics.created &+= 1
        return true
    }

    /// A byte that belongs to a state, for whoever decides the rest of a flow; 0 at first.
    ///
    /// - Parameter place: a state's, as `lookup` has just given it.
    public subscript(decisionAt place: Int32) -> UInt8 {
        get { unsafe isTaken(Int(place)) ? places[Int(place)].decision : 0 }
        set { if isTaken(Int(place)) { unsafe places[Int(place)].decision = newValue } }
    }

    func isTaken(_ place: Int) -> Bool {
        unsafe place >= 0 && place < usedPlaces && places[place].flags.contains(.isTaken)
    }
}

extension StateTable {
    /// Where the connection of a key is, if it is and has not expired.
    @inline(__always)
    private mutating func find(_ key: StateKey, now: Int64) -> Int? {
        if let place = findSame(key, now: now) { return place }
        if statesOfForm[Int(key.connection.form.rawValue)] == used { return nil }
        return findOlderForm(key, now: now)
    }

    /// The connection of a key among those that were made when another form of keys was set.
    @inline(never)
    private mutating func findOlderForm(_ key: StateKey, now: Int64) -> Int? {
        for form in statesOfForm.indices where statesOfForm[form] > 0 && form != Int(key.connection.form.rawValue) {
            let older = StateKey(key, form: KeyForm(rawValue: UInt8(form)), hasher: hasher)
            if let place = findSame(older, now: now) { return place }
        }
        return nil
    }

    @inline(__always)
    private mutating func findSame(_ key: StateKey, now: Int64) -> Int? {
        for bucket in 0..<2 {
            var candidates = index.candidates(key.hash, bucket: bucket)
            while let place = candidates.next() {
                guard unsafe places[place].connection == key.connection else { continue }
                guard renumber(place), unsafe !hasExpired(places[place], now: now) else {
                    expire(place)
                    return nil
                }
                return place
            }
        }
        return nil
    }

    @inline(__always)
    func hasExpired(_ state: State, now: Int64) -> Bool { now &- state.lastSeen > timeouts[state.phase] }
}

extension MappedMemory {
    /// In large pages: a lookup among a million states has no use for the translation of more addresses than it reads.
    init(states size: Int) {
        guard let memory = MappedMemory(size: size, inUse: size) else {
            fatalError("no memory for the states: \(size) bytes")
        }
        self = memory
    }
}
