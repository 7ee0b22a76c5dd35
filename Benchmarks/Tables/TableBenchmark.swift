import AddressTables
import Packet
import TestSupport

/// What lookups in tables of a million entries cost: nanoseconds, and as a ratio to one load of random memory.
@main
enum TableBenchmark {
    private static let entries = 1_000_000
    /// Enough that the addresses asked for do not stay in the caches.
    private static let lookups = 1 << 20
    /// The packets that a worker takes at once.
    private static let batchSize = 32

    static func main() throws {
        var random = SplitMix64(state: 1)
        let memory = (0..<(8 << 20)).map { _ in random.next() }
        let places = (0...lookups).map { _ in Int(random.next() % UInt64(memory.count)) }
        let baseline = nanoseconds(count: lookups) { Int(memory[places[$0]] & 1) }
        Report.row("one load of 64 MiB of random memory", baseline, baseline: baseline)
        var place = 0
        let chain = nanoseconds(count: lookups) { index in
            // The index keeps the chain from running in a short circle.
            place = Int((memory[place] &+ UInt64(index)) % UInt64(memory.count))
            return place
        }
        Report.row("one load, at a place that the load before has given", chain, baseline: baseline)

        for family in [AddressFamily.ipv4, .ipv6] {
            let networks = distinct(&random) { Prefix(address(family, &$0), length: length(family, &$0))! }
            let table = try make(.lpm, networks, family)
            for (name, addresses) in [
                ("in a network of the table", pick(&random) { host(in: networks[Int($0.next() % 1_000_000)], &$0) }),
                ("any address", pick(&random) { address(family, &$0) }),
            ] {
                let share = addresses.count { table.contains($0, now: 1) } * 100 / addresses.count
                Report.row(
                    "  contains, \(name) (\(share)% are)",
                    nanoseconds(count: lookups) { table.contains(addresses[$0], now: 1) ? 1 : 0 }, baseline: baseline)
                Report.row(
                    "  contains, in batches of \(batchSize), \(name)", batched(addresses, table), baseline: baseline,
                    most: 150)
                Report.row(
                    "  longest network, \(name)",
                    nanoseconds(count: lookups) { table.lookup(addresses[$0], now: 1) == nil ? 0 : 1 },
                    baseline: baseline)
            }
            try changes(table, pick(&random) { address(family, &$0) })
        }
        for family in [AddressFamily.ipv4, .ipv6] {
            let members = distinct(&random) { Prefix(address(family, &$0), length: family == .ipv4 ? 32 : 128)! }
            let table = try make(.ipset, members, family)
            for (name, addresses) in [
                ("an address of the table", pick(&random) { members[Int($0.next() % 1_000_000)].address }),
                ("any address", pick(&random) { address(family, &$0) }),
            ] {
                Report.row(
                    "  contains, \(name)",
                    nanoseconds(count: lookups) { table.contains(addresses[$0], now: 1) ? 1 : 0 }, baseline: baseline)
                Report.row(
                    "  contains, in batches of \(batchSize), \(name)", batched(addresses, table), baseline: baseline)
            }
            try changes(table, pick(&random) { address(family, &$0) })
        }
    }

    /// What a lookup costs in batches as a worker makes them.
    private static func batched(_ addresses: [Address], _ table: AddressTable) -> Double {
        var batch = LookupBatch(capacity: batchSize)
        let nanoseconds = nanoseconds(count: lookups / batchSize) { number in
            let first = number * batchSize
            for index in first..<(first + batchSize) { batch.append(addresses[index]) }
            table.prefetch(&batch)
            var found = 0
            for index in first..<(first + batchSize) { found &+= table.contains(addresses[index], now: 1) ? 1 : 0 }
            return found
        }
        return nanoseconds / Double(batchSize)
    }

    private static func make(
        _ type: TableType, _ prefixes: [Prefix], _ family: AddressFamily
    ) throws -> AddressTable {
        let contents = prefixes.map { TableEntry($0) }
        let before = Report.residentBytes
        let start = processorTime
        let table = try AddressTable(type: type, entries: contents, readers: ReaderEpochs(), seed: TableSeed(1, 2))
        let milliseconds = Int((processorTime - start) / 1e6)
        // The entries that were given must not be freed before.
        let bytes = withExtendedLifetime(contents) { (Report.residentBytes - before) / entries }
        print("\(type), \(family), \(entries) random entries: built in \(milliseconds) ms, \(bytes) bytes an entry")
        return table
    }

    /// Single insertions and removals, one after another, in the full table.
    private static func changes(_ table: AddressTable, _ addresses: [Address]) throws {
        let room = (0..<AddressTable.defaultCapacity - entries).filter { !table.contains(addresses[$0], now: 1) }
        let prefixes = room.map { Prefix(addresses[$0], length: addresses[$0].family == .ipv4 ? 32 : 128)! }
        let start = processorTime
        for prefix in prefixes {
            try table.insert(prefix, now: 1)
            try table.remove(prefix, now: 1)
        }
        let time = (processorTime - start) / Double(2 * prefixes.count)
        print("  insert or remove one entry: \(Report.text(time)) ns")
    }

    private static func distinct(_ random: inout SplitMix64, _ make: (inout SplitMix64) -> Prefix) -> [Prefix] {
        var seen = Set<Prefix>(minimumCapacity: entries)
        var list: [Prefix] = []
        while list.count < entries {
            let prefix = make(&random)
            if seen.insert(prefix).inserted { list.append(prefix) }
        }
        return list
    }

    private static func pick(_ random: inout SplitMix64, _ make: (inout SplitMix64) -> Address) -> [Address] {
        (0...lookups).map { _ in make(&random) }
    }

    /// IPv6 addresses are those of 2000::/3, which are the ones in use.
    private static func address(_ family: AddressFamily, _ random: inout SplitMix64) -> Address {
        family == .ipv4
            ? Address(ipv4: UInt32(truncatingIfNeeded: random.next()))
            : Address(high: random.next() >> 3 | 1 << 61, low: random.next())
    }

    /// Lengths of which a million different networks can be had, each as likely: 18...32, or 24...128.
    private static func length(_ family: AddressFamily, _ random: inout SplitMix64) -> Int {
        family == .ipv4 ? 18 + Int(random.next() % 15) : 24 + Int(random.next() % 105)
    }

    /// Any address of a network: its bits, and behind them those of another address.
    private static func host(in network: Prefix, _ random: inout SplitMix64) -> Address {
        var host = address(network.address.family, &random)
        let outside = Prefix(host, length: network.length)!.address
        host.high ^= outside.high ^ network.address.high
        host.low ^= outside.low ^ network.address.low
        return host
    }
}
