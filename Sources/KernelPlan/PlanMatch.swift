public import ConfigLanguage
public import Packet

/// What a packet must be for an item of the plan: every criterion that is there must hold.
public struct PlanMatch: Sendable, Hashable {
    /// Whether the packet is one that the engine alone can judge, and nothing else is asked of it: without a valid
    /// connection (which every malformed segment is), with IPv4 options or IPv6 extension headers, a fragment, or of
    /// IPv6 with a payload below two bytes.
    public var isUnreadable = false
    /// The interface; nil for all.
    public var interface: String?
    /// The family, where an end has addresses theirs; nil for both.
    public var family: Configuration.Family?
    /// The protocols in ascending order, one of which it must have, and TCP and UDP alone where there are ports; empty for
    /// all.
    public var protocols: [UInt8] = []
    /// Where it comes from.
    public var source = PlanEndpoint()
    /// Where it goes to.
    public var destination = PlanEndpoint()
    /// What its TCP flags must be.
    public var flags: PlanFlags?
    /// The ICMP types, one of which it must have; empty for all.
    public var icmpTypes: [UInt8] = []
    /// The ICMP code, where there is one type.
    public var icmpCode: UInt8?
    /// What its connection's mark must have in the flow mark's bits.
    public var connectionMark: UInt32?
    /// Whether it must be of TCP or UDP and have no payload, and none of the plan's `payloadFlags`.
    public var lacksPayload = false

    /// Every packet.
    public static let any = PlanMatch()

    /// The same for packets that go the other way.
    var swapped: PlanMatch {
        var match = self
        (match.source, match.destination) = (destination, source)
        return match
    }

    /// The same for packets of some protocols; nil where there are none.
    ///
    /// - Parameter wanted: in ascending order.
    func narrowed(to wanted: [UInt8]) -> PlanMatch? {
        var match = self
        match.protocols = protocols.isEmpty ? wanted : protocols.filter(wanted.contains)
        return match.protocols.isEmpty ? nil : match
    }

    /// The same with a mark of the connection.
    func marked(_ mark: UInt32) -> PlanMatch {
        var match = self
        match.connectionMark = mark
        return match
    }

    /// The same for packets without payload; nil where there are none.
    var payloadless: PlanMatch? {
        var match = narrowed(to: [6, 17])
        match?.lacksPayload = true
        return match
    }

    /// The same for segments without SYN; nil where there are none.
    var withoutSYN: PlanMatch? {
        let syn = TCPFlags.syn.rawValue
        var match = self
        var flags = flags ?? PlanFlags(match: 0, mask: 0)
        guard flags.match & syn == 0 else { return nil }
        flags.mask |= syn
        match.flags = flags
        return match
    }

    /// Whether no packet matches both, as far as interface, family, protocol, mark, addresses and ports tell.
    func isApart(from other: PlanMatch) -> Bool {
        func differ<Value: Equatable>(_ path: KeyPath<PlanMatch, Value?>) -> Bool {
            guard let own = self[keyPath: path], let others = other[keyPath: path] else { return false }
            return own != others
        }
        return differ(\.interface) || differ(\.family) || differ(\.connectionMark)
            || !(protocols.isEmpty || other.protocols.isEmpty) && !protocols.contains(where: other.protocols.contains)
            || source.isApart(from: other.source) || destination.isApart(from: other.destination)
    }

    /// What it costs to hold it, counted in rules and in elements of sets.
    var size: Int {
        1 + (source.addresses?.count ?? 0) + (destination.addresses?.count ?? 0) + source.ports.count
            + destination.ports.count
    }
}

/// One end of a packet.
public struct PlanEndpoint: Sendable, Hashable {
    /// The addresses of the match's family, one range of which must hold it: ascending, apart from each other and never
    /// empty; nil for all.
    public var addresses: [AddressRange]?
    /// The ports, one range of which must hold it, ascending and apart; empty for all.
    public var ports: [NumberRange<UInt16>] = []

    /// Whether no end is both, of packets of one family.
    func isApart(from other: PlanEndpoint) -> Bool {
        func areApart<Number>(_ a: [NumberRange<Number>], _ b: [NumberRange<Number>]) -> Bool {
            !a.contains { one in b.contains { one.first <= $0.last && $0.first <= one.last } }
        }
        if !ports.isEmpty, !other.ports.isEmpty, areApart(ports, other.ports) { return true }
        guard let addresses, let others = other.addresses else { return false }
        return areApart(addresses, others)
    }
}

/// The addresses of one family from the first to the last, as numbers in host order.
public typealias AddressRange = NumberRange<UInt128>

extension AddressRange {
    /// All addresses of a family but those of `ranges`, which ascend and are apart.
    static func complement(of ranges: [AddressRange], in family: Configuration.Family) -> [AddressRange] {
        let whole = AddressRange(all: family)
        var rest: [AddressRange] = []
        var next: UInt128? = whole.first
        for range in ranges {
            if let start = next, range.first > start { rest.append(AddressRange(first: start, last: range.first - 1)) }
            next = range.last == whole.last ? nil : range.last + 1
        }
        if let next { rest.append(AddressRange(first: next, last: whole.last)) }
        return rest
    }

    /// All addresses of a family.
    init(all family: Configuration.Family) {
        self.init(first: 0, last: UInt128.max >> UInt128(128 - family.bitWidth))
    }

    /// The length of the prefix that the range is; nil for one that is none.
    func prefixLength(_ family: Configuration.Family) -> Int? {
        let hosts = first ^ last
        guard hosts & (hosts &+ 1) == 0, first & hosts == 0 else { return nil }
        return family.bitWidth - (128 - hosts.leadingZeroBitCount)
    }
}

/// Of the TCP flags in `mask` exactly those in `match` are set.
public struct PlanFlags: Sendable, Hashable {
    /// The flags that must be set.
    public var match: UInt8
    /// The flags that are looked at.
    public var mask: UInt8
}
