import AddressTables
import Packet
import TestSupport
import Testing

@Suite struct RandomOperationTests {
    /// Random changes and lookups, in tables where much is nested, gone and back again: no difference to the reference.
    @Test(arguments: [(TableType.lpm, 1 as UInt64), (.ipset, 2)])
    func millionOperationsAgreeWithTheReference(type: TableType, seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let capacity = 600
        let table = try makeTable(type, capacity: capacity)
        // Room enough that collecting decides nothing but which of the expired are counted.
        var reference = ReferenceTable(type: type)
        var now: Int64 = 1
        var (found, missed, changed, differences) = (0, 0, 0, 0)
        for step in 0..<1_000_000 {
            let prefix = randomPrefix(type, &random)
            let expires = random.next() % 3 == 0 ? TableEntry.never : now + Int64(random.next() % 2000)
            var agree = true
            switch random.next() % 16 {
            case 0, 1, 2:
                guard reference.entries.count < capacity else { break }
                agree =
                    result { () throws(TableError) in try table.insert(prefix, expires: expires, now: now) }
                    == result { () throws(TableError) in try reference.insert(prefix, expires: expires, now: now) }
                changed += 1
            case 3:
                guard reference.entries.count < capacity else { break }
                reference.add(prefix, expires: expires, now: now)
                agree = table.add(prefix, expires: expires, now: now) == nil
            case 4, 5, 6, 7:
                let victim = random.next() % 2 == 0 ? reference.entries.randomElement(using: &random)?.key : nil
                agree =
                    result { () throws(TableError) in try table.remove(victim ?? prefix, now: now) }
                    == result { () throws(TableError) in try reference.remove(victim ?? prefix, now: now) }
            case 8 where step % 64 == 0:
                table.collect(now: now, steps: 2 * capacity)
                reference.collect(now: now)
                agree = table.list(now: now) == reference.list(now: now)
            case 9 where step % 4096 < 16:
                try table.replace(with: reference.list(now: now), now: now)
                reference.collect(now: now)
            case 10: now += Int64(random.next() % 8)
            default:
                let address = randomPrefix(type, &random).address
                let expected = reference.lookup(address, now: now)
                agree =
                    table.lookup(address, now: now) == expected
                    && table.contains(address, now: now) == (expected != nil)
                if expected == nil { missed += 1 } else { found += 1 }
            }
            if !agree {
                differences += 1
                if differences == 1 { Issue.record("step \(step): \(prefix) at \(now)") }
            }
        }
        #expect(differences == 0)
        // The comparison says little if the lookups find nothing, or all.
        #expect(found > 50_000 && missed > 50_000 && changed > 50_000, "\(found) \(missed) \(changed)")
        for entry in table.list(now: now) { try table.remove(entry.prefix, now: now) }
        table.collect(now: .max - 1, steps: 4 * capacity)
        #expect(table.count == table.list(now: 1).count)
    }

    private func result(_ body: () throws(TableError) -> Void) -> TableError? {
        do throws(TableError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    /// Few bits that differ, at every depth of either family, so that networks nest and meet again.
    private func randomPrefix(_ type: TableType, _ random: inout SplitMix64) -> Prefix {
        let sparse = random.next() & random.next() & random.next() & random.next()
        let address: Address =
            switch random.next() % 4 {
            case 0: Address(ipv4: UInt32(truncatingIfNeeded: sparse))
            case 1: Address(ipv4: 0x0a00_0000 | UInt32(random.next() % 300))
            case 2: Address(high: 0x2001_0db8_0000_0000 | random.next() % 4, low: sparse & random.next())
            default: Address(high: 0, low: random.next() % 300)
            }
        let width = address.family == .ipv4 ? 32 : 128
        guard type == .lpm, random.next() % 4 != 0 else { return Prefix(address, length: width)! }
        // A network of few bits makes all that is asked for a hit: seldom one, and soon gone.
        let shortest = random.next() % 256 == 0 ? 0 : width * 3 / 4
        return Prefix(address, length: shortest + Int(random.next() % UInt64(width - shortest + 1)))!
    }

    /// Real sizes: every entry of a large table is found, and nothing that is not there.
    @Test(arguments: [TableType.lpm, .ipset])
    func largeTableHoldsWhatWasPutIn(type: TableType) throws {
        var random = SplitMix64(state: 3)
        var entries: Set<Prefix> = []
        while entries.count < 200_000 {
            let isIPv6 = random.next() % 2 == 0
            let address =
                isIPv6
                ? Address(high: random.next() >> 3 | 1 << 61, low: random.next())
                : Address(ipv4: UInt32(truncatingIfNeeded: random.next()))
            let length = isIPv6 ? 24 + random.next() % 105 : 16 + random.next() % 17
            entries.insert(Prefix(address, length: type == .lpm ? Int(length) : isIPv6 ? 128 : 32)!)
        }
        let table = try makeTable(type, capacity: entries.count, entries.map { TableEntry($0) })
        #expect(table.count == entries.count)
        #expect(entries.allSatisfy { table.contains($0.address, now: 1) })
        #expect(table.list(now: 1).count == entries.count)
        // A longer network of the same address may be there; then the address is that one's.
        let exact = entries.count { table.lookup($0.address, now: 1)?.prefix == $0 }
        #expect(exact > entries.count * 9 / 10)
        for prefix in entries { try table.remove(prefix, now: 1) }
        #expect(table.count == 0)
        #expect(!entries.contains { table.contains($0.address, now: 1) })
        for prefix in entries { try table.insert(prefix, now: 1) }
        #expect(table.count == entries.count)
        #expect(entries.allSatisfy { table.contains($0.address, now: 1) })
    }
}
