import AddressTables
import Packet
import TestSupport
import Testing

/// What is fetched for a batch of lookups is advice: it changes no answer.
@Suite struct LookupBatchTests {
    /// Sizes at the ends, and what packets come in.
    private static let sizes = [0, 1, 2, 31, 32]

    /// Few addresses at every depth of either family, so that networks nest, and others that are anywhere.
    private func address(_ random: inout SplitMix64) -> Address {
        let sparse = random.next() & random.next() & random.next()
        return switch random.next() % 5 {
        case 0: Address(ipv4: UInt32(truncatingIfNeeded: random.next()))
        case 1: Address(ipv4: 0x0a00_0000 | UInt32(random.next() % 3000))
        case 2: Address(high: random.next() >> 3 | 1 << 61, low: random.next())
        case 3: Address(high: 0x2001_0db8_0000_0000 | random.next() % 4, low: sparse)
        default: Address(high: 0, low: random.next() % 3000)
        }
    }

    private func prefix(_ type: TableType, _ random: inout SplitMix64) -> Prefix {
        let address = address(&random)
        let width = address.family == .ipv4 ? 32 : 128
        guard type == .lpm else { return Prefix(address, length: width)! }
        return Prefix(address, length: width / 2 + Int(random.next() % UInt64(width / 2 + 1)))!
    }

    /// Batches with changes in between, and in the batch, from an empty table to one of thousands and back.
    @Test(arguments: [(TableType.lpm, 1 as UInt64), (.ipset, 2)])
    func lookupsAfterwardsAgreeWithTheReference(type: TableType, seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let table = try makeTable(type, capacity: 20_000)
        var reference = ReferenceTable(type: type)
        var batch = LookupBatch(capacity: 32)
        var (now, found, missed, differences) = (1 as Int64, 0, 0, 0)
        for round in 0..<4000 {
            let addresses = (0..<Self.sizes[Int(random.next() % 5)]).map { _ in
                random.next() % 2 == 0
                    ? reference.entries.randomElement(using: &random)?.key.address ?? address(&random)
                    : address(&random)
            }
            for address in addresses { batch.append(address) }
            table.prefetch(&batch)
            for address in addresses {
                let expected = reference.lookup(address, now: now) != nil
                if table.contains(address, now: now) != expected { differences += 1 }
                if expected { found += 1 } else { missed += 1 }
                // As the script of a packet does, for the next one of the batch.
                let prefix = prefix(type, &random)
                if round % 1000 < 500 {
                    let expires = random.next() % 3 == 0 ? TableEntry.never : now + Int64(random.next() % 5000)
                    _ = table.add(prefix, expires: expires, now: now)
                    reference.add(prefix, expires: expires, now: now)
                } else if let victim = reference.entries.randomElement(using: &random)?.key {
                    _ = table.discard(victim, now: now)
                    try? reference.remove(victim, now: now)
                }
            }
            now += 1
            if round % 64 == 0 {
                table.collect(now: now, steps: 40_000)
                reference.collect(now: now)
            }
            if round % 500 == 250 { try table.replace(with: reference.list(now: now), now: now) }
        }
        #expect(differences == 0)
        #expect(found > 5000 && missed > 5000, "\(found) \(missed)")
        #expect(table.refused == 0)
    }

    /// The limits of `TableIndex`, which were measured: a hash takes more memory an entry.
    @Test(arguments: [(TableType.lpm, 32_768), (.ipset, 8192)])
    func largeTablesSayThatTheyGain(type: TableType, most: Int) throws {
        func host(_ number: Int) -> Prefix { Prefix(Address(ipv4: UInt32(number)), length: 32)! }
        let entries = (0..<most).map { TableEntry(host($0), expires: 10) }
        let table = try makeTable(type, capacity: 40_000, entries)
        #expect(!table.gainsFromPrefetching)
        #expect(table.add(host(most), expires: 20, now: 1) == nil)
        #expect(table.gainsFromPrefetching)
        #expect(table.discard(host(0), now: 1) == nil)
        #expect(!table.gainsFromPrefetching)
        try table.insert(host(0), now: 1)
        #expect(table.gainsFromPrefetching)
        table.collect(now: 15, steps: 40_000)
        #expect(!table.gainsFromPrefetching && table.count == 2)
        try table.replace(with: (0...most).map { TableEntry(host($0)) }, now: 15)
        #expect(table.gainsFromPrefetching)
        try table.flush()
        #expect(!table.gainsFromPrefetching)
    }
}
