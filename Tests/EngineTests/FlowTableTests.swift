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

    private static let minute: Int64 = 60_000_000_000

    @Test func decisionHoldsUntilTheFlowIsIdleOrOpensAnew() throws {
        let (passed, blocked) = (try key(alice, bob, 1000, 22), try key(alice, bob, 1001, 22))
        let seen = try key(alice, bob, 1002, 22)
        let minute = Self.minute
        var table = FlowTable(seed: 9)
        func standing(_ key: FlowKey, opening: Bool = false, _ now: Int64) -> FlowTable.Standing? {
            table.find(key, opening: opening, now: now).map { table[$0].standing }
        }
        #expect(standing(passed, 1) == nil)
        for (key, standing) in [(passed, FlowTable.Standing.passed), (blocked, .blocked), (seen, .inspected)] {
            let noted = table.note(key, standing, rule: 5, now: 1)
            #expect(noted.place != nil && !noted.forgets)
        }
        let found = table.find(passed, opening: false, now: 9 * minute)
        #expect(try table[#require(found)].rule == 5)
        #expect(standing(passed, 18 * minute) == .passed)
        #expect(standing(seen, 9 * minute) == .inspected)
        #expect(standing(passed, 29 * minute) == nil)

        for (key, standing) in [(passed, FlowTable.Standing.passed), (blocked, .blocked), (seen, .inspected)] {
            _ = table.note(key, standing, rule: 5, now: 30 * minute)
        }
        for key in [passed, seen] {
            #expect(standing(key, opening: true, 30 * minute) == nil)
            #expect(standing(key, 30 * minute) == nil)
        }
        // The opener of a flow cannot unblock it.
        #expect(standing(blocked, opening: true, 30 * minute) == .blocked)
    }

    @Test func connectionThatBeginsIsNewToAllCalls() throws {
        let (flow, other) = (try key(alice, bob, 1000, 22), try key(alice, bob, 1001, 22))
        var table = FlowTable(seed: 9)
        let noted: [(FlowKey, FlowTable.Standing)] = [
            (flow.treated(by: 1), .passed), (flow.treated(by: 2), .inspected), (flow, .blocked),
            (other.treated(by: 1), .passed),
        ]
        for (key, standing) in noted { _ = table.note(key, standing, rule: 5, now: 1) }
        table.begin(try key(bob, alice, 22, 1000))
        #expect(
            noted.map { key, _ in table.find(key, opening: false, now: 2).map { table[$0].standing } }
                == [nil, nil, .blocked, .passed])
    }

    @Test func tableNeverGrowsAndForgetsTheLongestIdle() throws {
        var table = FlowTable(seed: 9)
        var random = SplitMix64(state: 42)
        var forgotten = 0
        let count = 200_000
        let tick: Int64 = 1 << 26
        for time in 1...count {
            let other = Address(ipv4: UInt32(truncatingIfNeeded: random.next()))
            let key = try key(alice, other, UInt16(truncatingIfNeeded: random.next()), 22)
            // The whole in less than the ten minutes in which none is over.
            let now = Int64(time / 25) * tick
            let noted = table.note(key, .passed, rule: 1, now: now)
            if noted.forgets { forgotten += 1 }
            #expect(table.find(key, opening: false, now: now) == noted.place)
            #expect(noted.place != nil)
        }
        // It has room for 65,536; whatever did not fit was told.
        #expect(forgotten >= count - 65_536)
        #expect(forgotten < count - 50_000, "sets are filled unevenly")
    }

    /// Flows of one set, by trial: those that end at the places of the first.
    private func neighbours(_ count: Int, _ table: inout FlowTable) throws -> [FlowKey] {
        let first = try key(alice, bob, 1, 22)
        let home = try #require(table.note(first, .inspected, rule: 1, now: 1).place) / 4
        var found = [first]
        var number: UInt32 = 0
        while found.count < count {
            number += 1
            let other = try key(alice, Address(ipv4: number), 2, 22)
            let place = try #require(table.note(other, .inspected, rule: 1, now: 1).place)
            if place / 4 == home { found.append(other) }
        }
        return found
    }

    @Test func blockedFlowsAreTheLastToBeForgotten() throws {
        var trial = FlowTable(seed: 9)
        let keys = try neighbours(7, &trial)
        let tick: Int64 = 1 << 26
        var table = FlowTable(seed: 9)
        _ = table.note(keys[0], .blocked, rule: 1, now: tick)
        for index in 1...3 { _ = table.note(keys[index], .passed, rule: 1, now: Int64(1 + index) * tick) }
        // The blocked flow has been idle longest, and another goes.
        #expect(table.note(keys[4], .inspected, rule: 1, now: 9 * tick).forgets)
        #expect(table.find(keys[0], opening: false, now: 10 * tick) != nil)
        #expect(table.find(keys[1], opening: false, now: 10 * tick) == nil)
        // Noted again a flow is at its place.
        let again = table.note(keys[4], .passed, rule: 1, now: 10 * tick)
        #expect(again.place == table.find(keys[4], opening: false, now: 10 * tick) && !again.forgets)

        for index in 1...3 { _ = table.note(keys[index], .blocked, rule: 1, now: Int64(10 + index) * tick) }
        // All are blocked: what is not finds no place, and another blocked one takes that of the longest idle.
        let passed = table.note(keys[5], .passed, rule: 1, now: 20 * tick)
        #expect(passed.place == nil && !passed.forgets)
        let blocked = table.note(keys[6], .blocked, rule: 1, now: 20 * tick)
        #expect(blocked.place != nil && blocked.forgets)
        #expect(table.find(keys[0], opening: false, now: 20 * tick) == nil)
        // What is over is nothing.
        let late = table.note(keys[5], .passed, rule: 1, now: 20 * Self.minute)
        #expect(late.place != nil && !late.forgets)
    }

    @Test func flowPassedByOneCallIsNotPassedByAnother() throws {
        let flow = try key(alice, bob, 1000, 22)
        var table = FlowTable(seed: 9)
        #expect(table.isEmpty == true)
        #expect(table.note(flow.treated(by: 0), .passed, rule: 5, now: 1).place != nil)
        #expect(table.isEmpty == false)
        #expect(table.find(flow.treated(by: 0), opening: false, now: 2) != nil)
        #expect(table.find(flow.treated(by: 1), opening: false, now: 2) == nil)
        #expect(table.find(flow, opening: false, now: 2) == nil)
    }

    @Test func kernelIsToldOnceASecond() throws {
        var table = FlowTable(seed: 9)
        let place = try #require(table.note(key(alice, bob, 1000, 22), .passed, rule: 5, now: 0).place)
        var told = 0
        for milliseconds in 0..<10_000 where table.takesTelling(at: place, now: Int64(milliseconds) * 1_000_000) {
            told += 1
        }
        #expect(9...11 ~= told)
    }

    @Test func fragmentsHaveNoFlow() {
        var headers = PacketHeaders(transportProtocol: .udp, source: alice, destination: bob)
        headers.isFragment = true
        #expect(FlowKey(headers) == nil)
    }
}
