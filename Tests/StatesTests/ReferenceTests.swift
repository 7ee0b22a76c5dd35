import Packet
import States
import TestSupport
import Testing

/// A million random steps in a small world, against the reference.
struct ReferenceTests {
    private static let hosts = ["192.0.2.1", "192.0.2.2", "198.51.100.7"].map { Address($0)! }
    private static let hosts6 = ["2001:db8::1", "2001:db8::2"].map { Address($0)! }
    private static let flagChoices: [TCPFlags] = [
        .syn, .syn, [.syn, .ack], [.syn, .ack], .ack, .ack, .ack, [.ack, .psh], [.fin, .ack], .fin, .rst, [.rst, .ack],
        [],
        [.syn, .fin],
    ]
    /// Far from 0 and from each other's windows, so that nothing wraps.
    private static let base = 10_000_000

    private func packet(_ random: inout SplitMix64) -> ReferencePacket {
        func choice<T>(_ values: [T]) -> T { values[Int(random.next() % UInt64(values.count))] }
        let isIPv4 = choice([true, true, false])
        let hosts = isIPv4 ? Self.hosts : Self.hosts6
        let transport: IPProtocol = choice([.tcp, .tcp, .udp, isIPv4 ? .icmp : .icmpv6])
        let (source, destination) = (choice(hosts), choice(hosts))
        let ports: (UInt16, UInt16) = (choice([80, 81]), choice([80, 81]))
        var packet = ReferencePacket(
            transport: transport, source: End(address: source, port: ports.0),
            destination: End(address: destination, port: ports.1), interface: choice([2, 2, 3]),
            direction: choice([.in, .out]))
        if transport != .tcp && transport != .udp {
            // A request's identifier is its sender's port; who talks to itself would be hard to tell apart.
            if choice([true, false]) { packet.source.port = 0 } else { packet.destination.port = 0 }
        }
        packet.isQuoted = choice([true, false, false, false, false, false, false, false])
        if transport == .tcp {
            packet.segment = .init(
                flags: choice(Self.flagChoices),
                sequence: Self.base + choice([-300, -100, -1, 0, 1, 2, 100, 101, 300]),
                acknowledgment: Self.base + choice([-300, -70_000, -1, 0, 1, 2, 100, 101, 300]),
                window: choice([0, 1, 100, 200, 400]), length: choice([0, 0, 0, 1, 99, 100]))
        }
        return packet
    }

    /// The packet's bytes.
    private func octets(_ packet: ReferencePacket) -> TestPacket {
        let (source, destination) = (packet.source, packet.destination)
        var made: TestPacket
        switch packet.transport {
        case .tcp:
            let parts = packet.segment!
            made = segment(
                parts.flags, UInt32(parts.sequence), UInt32(parts.acknowledgment), window: UInt16(parts.window),
                length: parts.length, from: source, to: destination, packet.direction)
        case .udp: made = datagram(source, destination, packet.direction)
        default:
            made = echo(
                request: destination.port == 0, identifier: source.port | destination.port, source.address,
                destination.address, packet.direction)
        }
        if packet.isQuoted {
            let isIPv4 = source.address.family == .ipv4
            made = icmpError(isIPv4 ? 3 : 1, about: made, packet.direction == .in ? .out : .in)
        }
        return made.on(packet.interface, made.direction)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func theTableDoesWhatTheReferenceDoes(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let pool = try (0..<20_000).map { _ in
            let packet = packet(&random)
            let made = octets(packet)
            return (packet, made, try parse(made.bytes))
        }
        let fixture = StateFixture(seed: (seed, seed)) { $0.tracksEcho = true }
        let reference = ReferenceStates(fixture.table.parameters)
        var words: [String: Int] = [:]
        for step in 0..<250_000 {
            switch random.next() % 1000 {
            case 0:
                (fixture.table.parameters.keyInterface, fixture.table.parameters.keyDirection) = (
                    random.next() & 1 == 0, random.next() & 1 == 0
                )
                reference.parameters = fixture.table.parameters
            case 1:
                if random.next() % 8 == 0 {
                    fixture.table.expireAll()
                    reference.byKey = [:]
                }
            case 2:
                fixture.table.renumber(Renumbering(entries: (0..<100).map { 99 - $0 }, procedures: []))
                for state in unique(reference) { state.entry = 99 - state.entry }
            case 3...12: fixture.now += Int64(random.next() % 40) * second
            case 13...22:
                while fixture.table.collect(step: 64, now: fixture.now) > 0 {}
                reference.collect(now: fixture.now)
            case 23: fixture.now += 90_000 * second
            default: fixture.now += Int64(random.next() % 1000) * 1_000_000
            }

            let (packet, made, headers) = pool[Int(random.next() % UInt64(pool.count))]
            let span = unsafe made.bytes.span.bytes
            let key = fixture.table.key(
                headers, packet: span, interface: made.interface, direction: made.direction)!
            let lookup = fixture.table.lookup(key, headers, packet: span, now: fixture.now)
            let (word, state) = reference.lookup(packet, now: fixture.now)
            words[word, default: 0] += 1
            guard lookup.word == word, lookup.match?.entry == state?.entry else {
                Issue.record("step \(step): \(lookup), not \(word): \(packet)")
                return
            }
            guard word != "pass", random.next() & 1 == 0 else { continue }
            let kind: StateKind = random.next() & 1 == 0 ? .stateful : .statefulAll
            let entry = Int32(random.next() % 100)
            let isMade = fixture.table.create(
                key, headers, packet: span, kind: kind, entry: entry, procedure: 0, now: fixture.now)
            guard isMade == reference.create(packet, kind, entry: entry, now: fixture.now) else {
                Issue.record("step \(step): create: \(isMade): \(packet)")
                return
            }
        }
        fixture.pass(seconds: 100_000)
        while fixture.table.collect(step: 64, now: fixture.now) > 0 {}
        reference.collect(now: fixture.now)
        #expect(fixture.table.count == reference.count)
        #expect(fixture.table.statistics.invalid == UInt64(reference.invalid))
        // Nothing is compared often if it happens seldom.
        for word in ["none", "pass", "invalid"] { #expect(words[word, default: 0] > 5_000, "\(word): \(words)") }
    }

    private func unique(_ reference: ReferenceStates) -> [ReferenceStates.State] {
        Dictionary(reference.byKey.values.map { (ObjectIdentifier($0), $0) }, uniquingKeysWith: { first, _ in first })
            .values.map { $0 }
    }
}
