import Engine
import Packet
import TestSupport
import Testing

@Suite struct FlowTableTests {
    private func key(_ source: Address, _ destination: Address, _ sourcePort: UInt16, _ destinationPort: UInt16) throws
        -> FlowKey
    {
        try #require(
            FlowKey(
                PacketHeaders(
                    transportProtocol: .tcp, source: source, destination: destination, sourcePort: sourcePort,
                    destinationPort: destinationPort)))
    }

    @Test func bothDirectionsAreOneFlowAndOthersAreNot() throws {
        let forth = try key(alice, bob, 1000, 22)
        #expect(try forth == key(bob, alice, 22, 1000))
        for other in [
            try key(alice, bob, 1001, 22), try key(alice, bob, 22, 1000), try key(alice, alice, 1000, 22),
            try key(alice6, bob6, 1000, 22),
        ] { #expect(forth != other) }
        // A host that speaks to itself: the ports alone tell the directions.
        #expect(try key(alice, alice, 1, 2) == key(alice, alice, 2, 1))
    }

    @Test func decisionHoldsUntilTheFlowIsIdleOrOpensAnew() throws {
        let (passed, blocked) = (try key(alice, bob, 1000, 22), try key(alice, bob, 1001, 22))
        let minute: Int64 = 60_000_000_000
        var table = FlowTable(seed: 9)
        #expect(table.decision(for: passed, opening: false, now: 1) == nil)
        #expect(table.decide(passed, .pass, entry: 5, now: 1) == false)
        #expect(table.decide(blocked, .block, entry: 6, now: 1) == false)
        #expect(table.decision(for: passed, opening: false, now: 9 * minute)?.entry == 5)
        #expect(table.decision(for: passed, opening: false, now: 18 * minute)?.verdict == .pass)
        #expect(table.decision(for: passed, opening: false, now: 29 * minute) == nil)

        #expect(table.decide(passed, .pass, entry: 5, now: 30 * minute) == false)
        #expect(table.decide(blocked, .block, entry: 6, now: 30 * minute) == false)
        #expect(table.decision(for: passed, opening: true, now: 30 * minute) == nil)
        #expect(table.decision(for: passed, opening: false, now: 30 * minute) == nil)
        // The opener of a flow cannot unblock it.
        #expect(table.decision(for: blocked, opening: true, now: 30 * minute)?.verdict == .block)
    }

    @Test func tableNeverGrowsAndForgetsTheLongestIdle() throws {
        var table = FlowTable(seed: 9)
        var random = SplitMix64(state: 42)
        var forgotten = 0
        let count = 200_000
        for time in 1...count {
            let other = Address(ipv4: UInt32(truncatingIfNeeded: random.next()))
            let key = try key(alice, other, UInt16(truncatingIfNeeded: random.next()), 22)
            if table.decide(key, .pass, entry: 1, now: Int64(time)) { forgotten += 1 }
            #expect(table.decision(for: key, opening: false, now: Int64(time)) != nil)
        }
        // It has room for 65,536; whatever did not fit was told.
        #expect(forgotten >= count - 65_536)
        #expect(forgotten < count - 50_000, "sets are filled unevenly")
    }

    @Test func flowPassedByOneProcedureIsNotPassedByAnother() throws {
        let flow = try key(alice, bob, 1000, 22)
        var table = FlowTable(seed: 9)
        #expect(table.isEmpty == true)
        #expect(table.decide(flow.passed(by: 0), .pass, entry: 5, now: 1) == false)
        #expect(table.isEmpty == false)
        #expect(table.decision(for: flow.passed(by: 0), opening: false, now: 2) != nil)
        #expect(table.decision(for: flow.passed(by: 1), opening: false, now: 2) == nil)
        #expect(table.decision(for: flow, opening: false, now: 2) == nil)
    }

    @Test func fragmentsHaveNoFlow() {
        var headers = PacketHeaders(transportProtocol: .udp, source: alice, destination: bob)
        headers.isFragment = true
        #expect(FlowKey(headers) == nil)
    }
}
