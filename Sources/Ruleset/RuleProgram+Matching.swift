/// A criterion of an entry, in the order in which people read a rule; its raw value says it in the words of the language.
public enum Criterion: String, Sendable, Hashable, CaseIterable {
    /// `in` or `out`.
    case direction = "`in` or `out`"
    /// `on`.
    case interface = "`on`"
    /// `family`, or what the addresses imply.
    case family = "`family`"
    /// `proto`, or what ports imply.
    case transportProtocol = "`proto`"
    /// That the packet has a header of layer 4, which a later fragment has not.
    case fragment = "it is a later fragment, without ports, flags and ICMP type"
    /// `flags`.
    case flags = "`flags`"
    /// That a segment of TCP opens a connection, for a `stateful` rule without `flags`.
    case opening = "`stateful` takes of TCP only what opens a connection"
    /// `icmp-type` and `code`.
    case icmp = "`icmp-type`"
    /// The addresses after `from`, tables among them.
    case source = "`from`"
    /// The ports after `from`.
    case sourcePort = "`from … port`"
    /// The addresses after `to`, tables among them.
    case destination = "`to`"
    /// The ports after `to`.
    case destinationPort = "`to … port`"
    /// `pcap-filter`.
    case packetFilter = "`pcap-filter`"
    /// `lua-filter`.
    case scriptFilter = "`lua-filter`"
}

// The packet path: whether entries match, the cheapest criteria first. What is asked here one by one
// `failedCriterion` asks in the order of reading; both are made of the same functions.
extension RuleProgram {
    /// Whether all criteria of an entry hold but its script.
    @inline(always)
    func matches(_ entry: UnsafePointer<Entry>, _ packet: PacketFacts, _ bytes: RawSpan, _ tables: TableLookup) -> Bool
    {
        guard unsafe entry.pointee.key.matches(packet.key) else { return false }
        guard unsafe entry.pointee.destination.contains(port: packet.destinationPort),
            unsafe entry.pointee.source.contains(port: packet.sourcePort),
            unsafe entry.pointee.source.contains(address: packet.source),
            unsafe entry.pointee.destination.contains(address: packet.destination)
        else { return false }
        guard unsafe entry.pointee.rest < 0 || hasProtocol(entry, packet) else { return false }
        if unsafe entry.pointee.source.lists >= 0 {
            guard unsafe hasListedPort(entry.pointee.source, packet.sourcePort),
                unsafe hasListedAddress(entry.pointee.source, packet.source, packet, tables)
            else { return false }
        }
        if unsafe entry.pointee.destination.lists >= 0 {
            guard unsafe hasListedPort(entry.pointee.destination, packet.destinationPort),
                unsafe hasListedAddress(entry.pointee.destination, packet.destination, packet, tables)
            else { return false }
        }
        return unsafe entry.pointee.rest < 0 || passesFilter(entry, packet, bytes)
    }

    /// Whether an entry is about packets of these ends and this protocol, all else aside.
    func isAbout(_ entry: UnsafePointer<Entry>, _ packet: PacketFacts, _ tables: TableLookup) -> Bool {
        let (key, source, destination) =
            unsafe (entry.pointee.key, entry.pointee.source, entry.pointee.destination)
        guard key.matches(packet.key, in: .isIPv6), key.matches(packet.key, in: .transportProtocol),
            source.contains(port: packet.sourcePort), destination.contains(port: packet.destinationPort),
            source.contains(address: packet.source), destination.contains(address: packet.destination),
            unsafe entry.pointee.rest < 0 || hasProtocol(entry, packet)
        else { return false }
        if source.lists >= 0 {
            guard unsafe hasListedPort(source, packet.sourcePort),
                unsafe hasListedAddress(source, packet.source, packet, tables)
            else { return false }
        }
        return unsafe destination.lists < 0
            || hasListedPort(destination, packet.destinationPort)
                && hasListedAddress(destination, packet.destination, packet, tables)
    }

    /// The script that a matching entry has yet to ask; -1 for none.
    @inline(always)
    func script(of entry: UnsafePointer<Entry>) -> Int32 {
        unsafe entry.pointee.rest < 0 ? -1 : rests[Int(entry.pointee.rest)].script
    }

    @inline(always)
    private func hasProtocol(_ entry: UnsafePointer<Entry>, _ packet: PacketFacts) -> Bool {
        let rest = unsafe rests[Int(entry.pointee.rest)]
        return unsafe rest.protocolCount == 0
            || protocols.contains(packet.transportProtocol, from: rest.firstProtocol, count: rest.protocolCount)
    }

    @inline(always)
    private func hasListedPort(_ test: EndpointTest, _ port: UInt16) -> Bool {
        let lists = unsafe lists + Int(test.lists)
        return unsafe lists.pointee.portCount == 0
            || ports.contains(port, from: lists.pointee.firstPort, count: lists.pointee.portCount)
    }

    @inline(always)
    private func hasListedAddress(
        _ test: EndpointTest, _ address: UInt128, _ packet: PacketFacts, _ tables: TableLookup
    ) -> Bool {
        let lists = unsafe lists + Int(test.lists)
        guard unsafe lists.pointee.hasAddresses else { return true }
        return unsafe isMember(lists, address, packet, tables) != lists.pointee.isNegated
    }

    private func isMember(
        _ lists: UnsafePointer<EndpointLists>, _ address: UInt128, _ packet: PacketFacts, _ lookup: TableLookup
    ) -> Bool {
        if unsafe addresses.contains(address, from: lists.pointee.firstRange, count: lists.pointee.rangeCount) {
            return true
        }
        if unsafe lists.pointee.hashMask >= 0 {
            let hash = unsafe hashes + Int(lists.pointee.hash)
            if unsafe AddressHash.contains(address, at: hash, mask: lists.pointee.hashMask) { return true }
        }
        let first = unsafe tables + Int(lists.pointee.firstTable)
        var index = 0
        while unsafe index < Int(lists.pointee.tableCount) {
            if unsafe lookup.contains(address, isIPv6: packet.isIPv6, table: first[index]) { return true }
            index &+= 1
        }
        return false
    }

    @inline(always)
    private func passesFilter(
        _ entry: UnsafePointer<Entry>, _ packet: PacketFacts, _ bytes: RawSpan
    ) -> Bool {
        let rest = unsafe rests[Int(entry.pointee.rest)]
        return unsafe rest.instructionCount == 0
            || BPFProgram.accepts(
                bytes, originalLength: packet.originalLength, instructions + Int(rest.firstInstruction),
                count: rest.instructionCount)
    }
}

// MARK: For people

extension RuleProgram {
    /// The first criterion of an entry, in the order of reading, that does not hold; nil where the entry matches, its
    /// script not asked.
    func failedCriterion(
        _ entry: UnsafePointer<Entry>, _ packet: PacketFacts, _ bytes: RawSpan, _ tables: TableLookup
    ) -> Criterion? {
        let key = unsafe entry.pointee.key
        let (source, destination) = unsafe (entry.pointee.source, entry.pointee.destination)
        let hasRest = unsafe entry.pointee.rest >= 0
        if !key.matches(packet.key, in: .direction) { return .direction }
        if !key.matches(packet.key, in: .interface) { return .interface }
        if !key.matches(packet.key, in: .isIPv6) { return .family }
        if !key.matches(packet.key, in: .transportProtocol) { return .transportProtocol }
        if hasRest, unsafe !hasProtocol(entry, packet) { return .transportProtocol }
        if !key.matches(packet.key, in: .isLaterFragment) { return .fragment }
        if !key.matches(packet.key, in: .flags) { return .flags }
        if !key.matches(packet.key, in: .isNotOpening) { return .opening }
        if !key.matches(packet.key, in: .icmp) { return .icmp }
        if !source.contains(address: packet.source) { return .source }
        if source.lists >= 0, unsafe !hasListedAddress(source, packet.source, packet, tables) { return .source }
        if !source.contains(port: packet.sourcePort) { return .sourcePort }
        if source.lists >= 0, unsafe !hasListedPort(source, packet.sourcePort) { return .sourcePort }
        if !destination.contains(address: packet.destination) { return .destination }
        if destination.lists >= 0, unsafe !hasListedAddress(destination, packet.destination, packet, tables) {
            return .destination
        }
        if !destination.contains(port: packet.destinationPort) { return .destinationPort }
        if destination.lists >= 0, unsafe !hasListedPort(destination, packet.destinationPort) {
            return .destinationPort
        }
        if hasRest, unsafe !passesFilter(entry, packet, bytes) { return .packetFilter }
        return nil
    }
}
