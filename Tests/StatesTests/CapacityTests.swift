import CAllocationCounter
import Packet
import States
import TestSupport
import Testing

struct CapacityTests {
    private func client(_ number: Int) -> End {
        End(address: Address(ipv4: 0xc000_0200 &+ UInt32(number >> 16)), port: UInt16(truncatingIfNeeded: number))
    }

    private func flow(_ number: Int) -> TestPacket { datagram(client(number), server) }
    private func reply(_ number: Int) -> TestPacket { datagram(server, client(number), .in) }

    /// Upstream's test of its collector.
    @Test(arguments: [(256, 256), (128, 384)])
    func collectionGoesInSteps(step: Int, left: Int) {
        let fixture = StateFixture()
        for number in 0..<512 { #expect(fixture.send(flow(number)) == "new") }
        #expect(fixture.table.collect(step: step, now: fixture.now) == 0)
        fixture.pass(seconds: 31)
        #expect(fixture.table.collect(step: step, now: fixture.now) == step)
        #expect(fixture.table.count == left)
        while fixture.table.collect(step: step, now: fixture.now) > 0 {}
        #expect(fixture.table.count == 0)
        #expect(fixture.table.statistics.expired == 512)
        #expect(fixture.table.collect(step: step, now: fixture.now) == 0)
    }

    /// The hand comes to all: those that expire between those that live, too.
    @Test func collectionComesToEveryState() {
        let fixture = StateFixture()
        for number in 0..<1000 { #expect(fixture.send(flow(number)) == "new") }
        fixture.pass(seconds: 20)
        for number in stride(from: 0, to: 1000, by: 3) { #expect(fixture.send(flow(number)) == "state") }
        fixture.pass(seconds: 20)
        var collected = 0
        for _ in 0..<4 { collected += fixture.table.collect(step: 256, now: fixture.now) }
        #expect(collected == 666)
        #expect(fixture.list().count == 334)
        for number in 0..<1000 { #expect(fixture.lookup(flow(number)).word == (number % 3 == 0 ? "pass" : "none")) }
    }

    @Test(arguments: [1, 2, 16, 100, 1000, 5000])
    func aFullTableForgetsWhatWasNeverAnsweredAndIdleLongest(_ capacity: Int) throws {
        let fixture = StateFixture(capacity: capacity)
        for number in 0..<capacity {
            fixture.now += 1
            #expect(fixture.send(flow(number)) == "new")
        }
        #expect(fixture.table.count == capacity)
        // All but every fifth are answered.
        for number in 0..<capacity where number % 5 != 0 { #expect(fixture.send(reply(number)) == "state") }
        fixture.now += second
        #expect(fixture.send(flow(capacity)) == "new")
        #expect(fixture.table.count == capacity)
        #expect(fixture.table.statistics.evicted == 1)
        let states = Set(fixture.list().map(\.source.port))
        let missing = try #require((0..<capacity).first { !states.contains(UInt16($0)) })
        #expect(missing % 5 == 0)
        // The oldest of some thirty that are looked at.
        if capacity <= 32 { #expect(missing == 0) } else { #expect(missing < capacity / 2) }
    }

    @Test func aFullTableOfConnectionsRefuses() {
        let fixture = StateFixture(capacity: 64)
        for number in 0..<64 {
            #expect(fixture.send(flow(number)) == "new")
            #expect(fixture.send(reply(number)) == "state")
        }
        #expect(fixture.send(flow(64)) == "rule")
        #expect(fixture.table.statistics.refused == 1)
        #expect(fixture.table.statistics.evicted == 0)
        #expect(fixture.table.count == 64)
        // What has expired makes room before it is collected.
        fixture.pass(seconds: 61)
        #expect(fixture.send(flow(64)) == "new")
        #expect(fixture.table.count == 64)
        #expect(fixture.table.statistics.expired == 1)
        #expect(fixture.table.statistics.evicted == 0)
    }

    /// A flood of SYNs finds room, and takes none from those who have shaken hands.
    @Test func aFloodLeavesConnectionsAlone() {
        let fixture = StateFixture(capacity: 1000)
        for number in 0..<500 {
            let end = client(number)
            #expect(fixture.send(segment(.syn, 1000, from: end)) == "new")
            #expect(fixture.send(answer([.syn, .ack], 5000, 1001, to: end)) == "state")
            #expect(fixture.send(segment(.ack, 1001, 5001, from: end)) == "state")
        }
        for number in 500..<20_000 { #expect(fixture.send(segment(.syn, 1000, from: client(number))) == "new") }
        #expect(fixture.table.count == 1000)
        #expect(fixture.table.statistics.evicted == 19_000)
        for number in 0..<500 { #expect(fixture.send(segment(.ack, 1001, 5001, from: client(number))) == "state") }
    }

    /// Full to the last place, in one cache line of slots after the other.
    @Test(arguments: [1, 7, 16, 17, 1000, 65_536, 200_000])
    func aTableHoldsAsManyStatesAsItSays(_ capacity: Int) {
        for seed in 0..<(capacity > 10_000 ? 1 : 20) as Range<UInt64> {
            let fixture = StateFixture(capacity: capacity, seed: (seed, ~seed))
            for number in 0..<capacity { _ = fixture.send(flow(number)) }
            #expect(fixture.table.count == capacity)
            #expect(fixture.table.statistics.created == UInt64(capacity))
            #expect(fixture.table.statistics.evicted == 0)
            for number in 0..<capacity where fixture.lookup(reply(number)).word != "pass" { Issue.record("\(number)") }
        }
    }

    @Test func expiringAllIsAtOnce() {
        let fixture = StateFixture(capacity: 30)
        for number in 0..<30 { #expect(fixture.send(flow(number)) == "new") }
        fixture.table.expireAll()
        #expect(fixture.table.count == 0)
        #expect(fixture.list().isEmpty)
        #expect(fixture.lookup(flow(3)).word == "none")
        for number in 200..<230 { #expect(fixture.send(flow(number)) == "new") }
        #expect(fixture.table.count == 30)
        #expect(fixture.table.statistics.flushed == 30)
        #expect(fixture.table.statistics.evicted == 0)
        #expect(fixture.table.collect(step: 256, now: fixture.now) == 0)
        fixture.table.expireAll()
        #expect(fixture.table.collect(step: 20, now: fixture.now) == 20)
        #expect(fixture.table.collect(step: 20, now: fixture.now) == 10)
        #expect(fixture.table.statistics.expired == 0)
    }

    @Test func statesFollowTheirRulesThroughReloads() throws {
        let fixture = StateFixture()
        for number in 0..<6 {
            #expect(fixture.create(flow(number), entry: Int32(number), procedure: Int32(number % 3)))
        }
        // Rules 0…5 become 5…0, without 3; of the procedures 0, 1, 2 only 2 is left.
        fixture.table.renumber(Renumbering(entries: [5, 4, 3, -1, 1, 0], procedures: [-1, -1, 0]))
        let one = try #require(fixture.lookup(flow(1)).match)
        #expect((one.entry, one.procedure) == (4, -1))
        #expect(fixture.create(flow(6), entry: 2, procedure: 0))
        // And all one further; the last entry is forgotten by a list that is too short.
        fixture.table.renumber(Renumbering(entries: [1, 2, 3, 4, 5], procedures: [7]))
        let expected: [(Int32, Int32)] = [(-1, -1), (5, -1), (4, 7), (-1, -1), (2, -1), (1, 7), (3, 7)]
        for (number, (entry, procedure)) in expected.enumerated() {
            let match = try #require(fixture.lookup(flow(number)).match)
            #expect((match.entry, match.procedure) == (entry, procedure), "\(number)")
        }
    }

    /// A thousand reloads, with collection behind them and without.
    @Test(arguments: [0, 1, 100]) func reloadsMayComeFasterThanCollection(step: Int) throws {
        let fixture = StateFixture()
        let next = Renumbering(entries: (0..<100).map { ($0 + 1) % 100 }, procedures: [1, 0])
        for number in 0..<50 { #expect(fixture.create(flow(number), entry: Int32(number), procedure: 0)) }
        for reload in 1...1001 {
            fixture.table.renumber(next)
            #expect(fixture.table.collect(step: step, now: fixture.now) == 0)
            let number = reload % 50
            let match = try #require(fixture.lookup(flow(number)).match)
            #expect(match.entry == Int32((number + reload) % 100))
            #expect(match.procedure == Int32(reload % 2))
        }
        #expect(fixture.list().map(\.entry) == (0..<50).map { Int32(($0 + 1001) % 100) })
        for _ in 0..<1000 { fixture.table.expireAll() }
        #expect(fixture.list().isEmpty)
        #expect(fixture.send(flow(1)) == "new")
    }

    /// Collection stands in the middle of the table when a reload comes, and many states are made before it comes round.
    @Test func aTableThatGrowsAfterAReloadLosesNoState() throws {
        let fixture = StateFixture()
        for number in 0..<100 { #expect(fixture.create(flow(number), entry: 1, procedure: 1)) }
        #expect(fixture.table.collect(step: 50, now: fixture.now) == 0)
        fixture.table.renumber(Renumbering(entries: [0, 2], procedures: [0, 3]))
        for number in 100..<1000 { #expect(fixture.create(flow(number), entry: 2, procedure: 3)) }
        for _ in 0..<40 {
            #expect(fixture.table.collect(step: 50, now: fixture.now) == 0)
        }
        #expect(fixture.table.count == 1000)
        for number in 0..<1000 {
            let match = try #require(fixture.lookup(flow(number)).match, "\(number)")
            #expect((match.entry, match.procedure) == (2, 3), "\(number)")
        }
    }

    @Test func aListingIsInPieces() {
        let fixture = StateFixture()
        for number in 0..<100 { #expect(fixture.send(flow(number)) == "new") }
        var (place, pieces, ports): (Int?, Int, [UInt16]) = (0, 0, [])
        while let from = place {
            place = fixture.table.forEach(from: from, step: 30, now: fixture.now) { ports.append($0.source.port) }
            pieces += 1
        }
        #expect(pieces == 4)
        #expect(ports.sorted() == Array(0..<100))
        #expect(fixture.table.forEach(from: 100, step: 30, now: fixture.now) { _ in } == nil)
        #expect(fixture.table.forEach(from: -1, step: 30, now: fixture.now) { _ in } == nil)
        #expect(fixture.table.forEach(from: 0, step: 0, now: fixture.now) { _ in } == nil)
    }

    @Test func thePacketPathAllocatesNothing() throws {
        let fixture = StateFixture(capacity: 256) { $0.tracksEcho = true }
        let packets =
            (0..<300).flatMap { [flow($0), segment(.syn, 1000, from: client($0))] }
            + [segment(.ack, 1, 1), echo(request: true), icmpError(3, about: flow(3)), reply(1)]
        let parsed = try packets.map { ($0, try parse($0.bytes)) }
        func run() -> Int {
            var passed = 0
            for (packet, headers) in parsed {
                fixture.now += second / 10
                let span = unsafe packet.bytes.span.bytes
                guard
                    let key = fixture.table.key(
                        headers, packet: span, interface: packet.interface, direction: packet.direction)
                else { continue }
                fixture.table.prefetchIndex(key)
                fixture.table.prefetchState(key)
                if case .pass = fixture.table.lookup(key, headers, packet: span, now: fixture.now) {
                    passed += 1
                } else {
                    _ = fixture.table.create(
                        key, headers, packet: span, kind: .stateful, entry: 1, procedure: 1, now: fixture.now)
                }
                _ = fixture.table.collect(step: 1, now: fixture.now)
            }
            return passed
        }
        _ = run()
        let before = allocation_count()
        let passed = run() + run()
        #expect(allocation_count() == before)
        #expect(passed > 0)
        #expect(fixture.table.statistics.evicted > 0)
        #expect(fixture.table.statistics.expired > 0)
    }
}
