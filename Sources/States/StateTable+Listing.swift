public import Packet

/// A state as it is listed.
public struct ListedState: Sendable, BitwiseCopyable {
    /// One end of a connection.
    public struct Endpoint: Equatable, Sendable, BitwiseCopyable {
        /// The address.
        public var address: Address
        /// The TCP or UDP port; of an ICMP echo the identifier at the end that asks, 0 at the other.
        public var port: UInt16
        /// What it has sent.
        public var traffic: TrafficCounter
    }

    /// Who sent the first packet.
    public let source: Endpoint
    /// To whom.
    public let destination: Endpoint
    /// TCP, UDP, ICMP or ICMPv6.
    public let transportProtocol: IPProtocol
    /// The interface that the first packet crossed, as the kernel numbers it.
    public let interface: UInt32
    /// How it crossed it.
    public let direction: Direction
    /// What the rule asked for.
    public let kind: StateKind
    /// The stage of the connection.
    public let phase: ConnectionPhase
    /// The rule that passed the first packet; -1 if the configuration has it no more.
    public let entry: Int32
    /// That rule's procedure; -1 for none.
    public let procedure: Int32
    /// The state's byte for decisions about its flow.
    public let decision: UInt8
    /// When the last packet came that fitted, in nanoseconds.
    public let lastSeen: Int64
    /// When the state expires if no other one comes, in nanoseconds.
    public let expiry: Int64

    init(_ state: State, timeout: Int64) {
        let connection = state.connection
        func address(_ high: UInt64, _ low: UInt64) -> Address {
            connection.family == .ipv4
                ? Address(ipv4: UInt32(truncatingIfNeeded: low)) : Address(high: high, low: low)
        }
        let isSwapped = state.flags.contains(.isSwapped)
        let first = Endpoint(
            address: address(connection.firstHigh, connection.firstLow),
            port: UInt16(truncatingIfNeeded: connection.ports &>> 16),
            traffic: isSwapped ? state.backward : state.forward)
        let second = Endpoint(
            address: address(connection.secondHigh, connection.secondLow),
            port: UInt16(truncatingIfNeeded: connection.ports), traffic: isSwapped ? state.forward : state.backward)
        source = isSwapped ? second : first
        destination = isSwapped ? first : second
        transportProtocol = connection.transportProtocol
        interface = connection.interface
        direction = state.flags.contains(.isOut) ? .out : .in
        kind = state.flags.contains(.isStatefulAll) ? .statefulAll : .stateful
        phase = state.phase
        entry = state.entry
        procedure = state.procedure
        decision = state.decision
        lastSeen = state.lastSeen
        expiry = state.lastSeen &+ timeout
    }
}

extension StateTable {
    /// Shows states that have not expired, a bounded piece of the table at a time.
    ///
    /// The worker calls this between batches of packets, and hands what it has copied to whoever asked. A state that lives
    /// through all calls is shown once.
    /// - Parameters:
    ///   - place: 0 at first, then what the last call returned.
    ///   - step: how many places are looked at.
    /// - Returns: where to go on, nil at the end.
    public mutating func forEach(from place: Int, step: Int, now: Int64, _ body: (ListedState) -> Void) -> Int? {
        guard place >= 0, place < usedPlaces, step > 0 else { return nil }
        let end = usedPlaces &- place > step ? place &+ step : usedPlaces
        for place in place..<end where isTaken(place) {
            guard renumber(place), unsafe !hasExpired(places[place], now: now) else { continue }
            unsafe body(ListedState(places[place], timeout: timeouts[places[place].phase]))
        }
        return end < usedPlaces ? end : nil
    }
}
