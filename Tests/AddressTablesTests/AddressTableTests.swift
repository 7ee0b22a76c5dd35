import AddressTables
import Packet
import SystemSupport
import Testing

/// A table whose places are the same in every run.
func makeTable(
    _ type: TableType, capacity: Int = 1000, _ entries: [TableEntry] = [], now: Int64 = 0,
    readers: ReaderEpochs = ReaderEpochs()
) throws(TableError) -> AddressTable {
    try AddressTable(
        type: type, capacity: capacity, entries: entries, now: now, readers: readers, seed: TableSeed(1, 2))
}

func prefix(_ text: String) -> Prefix { Prefix(text)! }
func address(_ text: String) -> Address { Address(text)! }

@Suite struct AddressTableTests {
    private func expect(_ error: TableError?, _ body: () throws(TableError) -> Void, _ comment: Comment) {
        var thrown: TableError?
        do throws(TableError) { try body() } catch { thrown = error }
        #expect(thrown == error, comment)
    }

    @Test func tablesDoWhatUpstreamsTestSays() throws {
        let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
        let text = String(
            decoding: try File.read("/\(folder)/Vectors/table-operations.txt", limit: 1 << 16), as: UTF8.self)
        let operations = text.split(separator: "\n").dropFirst().map { $0.split(separator: "\t").map(String.init) }
        #expect(operations.count == 107)
        let tables = [
            "ipset": try makeTable(.ipset), "lpm": try makeTable(.lpm),
            "const": try makeTable(.const, [TableEntry(prefix("192.168.1.1"))]),
        ]
        for operation in operations {
            let table = try #require(tables[operation[1]])
            let subject = prefix(operation[2])
            var result = "ok"
            do {
                switch operation[0] {
                case "insert": try table.insert(subject, now: 1)
                case "remove": try table.remove(subject, now: 1)
                default: result = table.contains(subject.address, now: 1) ? "found" : "not found"
                }
            } catch TableError.exists {
                result = "exists"
            } catch TableError.notFound {
                result = "not found"
            }
            #expect(result == operation[3], "\(operation)")
        }
    }

    @Test(arguments: [
        ("10.1.2.3", "10.1.2.3"), ("10.1.2.4", "10.1.2.0/24"), ("10.1.3.1", "10.1.0.0/16"), ("10.2.0.0", "10.0.0.0/8"),
        ("11.0.0.0", "0.0.0.0/0"), ("2001:db8::1", "2001:db8::1"), ("2001:db8::2", "2001:db8::/64"),
        ("2001:db8:0:1::", "2001:db8::/32"), ("2001:db9::", "none"), ("::ffff:10.1.2.3", "none"),
    ])
    func longestOfNestedNetworksIsFound(host: String, network: String) throws {
        let table = try makeTable(
            .lpm,
            [
                "10.1.0.0/16", "10.1.2.3", "10.0.0.0/8", "10.1.2.0/24", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1",
                "2001:db8::/64",
            ].map { TableEntry(prefix($0)) })
        #expect(table.lookup(address(host), now: 1)?.description ?? "none" == network)
        #expect(table.contains(address(host), now: 1) == (network != "none"))
    }

    @Test func removingANetworkLeavesThoseWithinAndAround() throws {
        let table = try makeTable(.lpm, ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"].map { TableEntry(prefix($0)) })
        try table.remove(prefix("10.1.0.0/16"), now: 1)
        #expect(table.lookup(address("10.1.2.1"), now: 1)?.description == "10.1.2.0/24")
        #expect(table.lookup(address("10.1.3.1"), now: 1)?.description == "10.0.0.0/8")
        expect(.notFound, { () throws(TableError) in try table.remove(prefix("10.1.0.0/17"), now: 1) }, "other length")
    }

    @Test(arguments: TableType.allCases)
    func whatATypeDoesNotAllowIsRefused(type: TableType) throws {
        let table = try makeTable(type, [TableEntry(prefix("192.0.2.1"))])
        let mask: TableError? = type == .lpm ? nil : type == .const ? .immutable : .maskNotAllowed
        let change: TableError? = type == .const ? .immutable : nil
        expect(mask, { () throws(TableError) in try table.insert(prefix("10.0.0.0/8"), now: 1) }, "insert a network")
        #expect(table.add(prefix("10.0.0.0/9"), expires: 9, now: 1) == mask)
        expect(mask, { () throws(TableError) in try table.remove(prefix("10.0.0.0/8"), now: 1) }, "remove a network")
        expect(change, { () throws(TableError) in try table.insert(prefix("10.0.0.1"), now: 1) }, "insert")
        #expect(table.add(prefix("10.0.0.2"), expires: 9, now: 1) == change)
        expect(change, { () throws(TableError) in try table.remove(prefix("192.0.2.1"), now: 1) }, "remove")
        expect(change, { () throws(TableError) in try table.flush() }, "flush")
        expect(
            type == .lpm ? nil : .maskNotAllowed,
            { () throws(TableError) in try table.replace(with: [TableEntry(prefix("10.0.0.0/8"))], now: 1) },
            "replace by a network")
        // Contents as a whole may be replaced in every type.
        try table.replace(with: [TableEntry(prefix("192.0.2.7"))], now: 1)
        #expect(table.list(now: 1).map(\.description) == ["192.0.2.7"])
    }

    @Test(arguments: TableType.allCases)
    func failedReplacementChangesNothing(type: TableType) throws {
        let old = TableEntry(prefix("192.0.2.1"))
        let table = try makeTable(type, capacity: 2, [old])
        let other = TableEntry(prefix("192.0.2.2"))
        expect(
            .exists, { () throws(TableError) in try table.replace(with: [other, other], now: 1) }, "an entry twice")
        let three = (3...5).map { TableEntry(prefix("192.0.2.\($0)")) }
        expect(.full, { () throws(TableError) in try table.replace(with: three, now: 1) }, "too many")
        #expect(table.list(now: 1) == [old])
        #expect(table.contains(old.prefix.address, now: 1))
    }

    @Test(arguments: [TableType.ipset, .lpm])
    func entriesMatchUntilTheyExpire(type: TableType) throws {
        let table = try makeTable(type)
        let host = prefix("192.0.2.1")
        try table.insert(host, expires: 100, now: 50)
        #expect(table.contains(host.address, now: 99))
        #expect(!table.contains(host.address, now: 100))
        #expect(table.lookup(host.address, now: 60)?.remaining(at: 60) == 40)
        #expect(table.list(now: 100) == [])
        expect(.exists, { () throws(TableError) in try table.insert(host, expires: 300, now: 99) }, "still there")
        // It is out of the table, though it was not collected.
        expect(.notFound, { () throws(TableError) in try table.remove(host, now: 100) }, "expired")
        try table.insert(host, expires: 200, now: 100)
        #expect(table.contains(host.address, now: 199))
        try table.insert(host, now: 200)
        #expect(table.contains(host.address, now: .max - 1))
        #expect(table.lookup(host.address, now: 300)?.remaining(at: 300) == nil)
    }

    /// A network of every length, alone and beside ten others, has just the addresses that agree in its bits.
    @Test(arguments: ["203.0.113.85", "2001:db8:5555:5555:5555:5555:5555:5555"], [0, 1, 2, 10])
    func networkHasTheAddressesThatAgreeInItsBits(text: String, neighbours: Int) throws {
        let base = address(text)
        let width = base.family == .ipv4 ? 32 : 128
        func flipped(_ bit: Int) -> Address {
            let (high, low): (UInt64, UInt64) = bit < 64 ? (0, 1 << UInt64(bit)) : (1 << UInt64(bit - 64), 0)
            return base.family == .ipv4
                ? Address(ipv4: UInt32(base.low ^ low)) : Address(high: base.high ^ high, low: base.low ^ low)
        }
        for length in 0...width {
            for expires in [TableEntry.never, 100] {
                let table = try makeTable(.lpm, [TableEntry(Prefix(base, length: length)!, expires: expires)])
                // Beside it are addresses that differ from those asked for in two bits.
                for number in 0..<neighbours {
                    let near = flipped(number * 3)
                    let other =
                        base.family == .ipv4
                        ? Address(ipv4: UInt32(near.low ^ 2)) : Address(high: near.high, low: near.low ^ 2)
                    try? table.insert(Prefix(other, length: width)!, expires: expires, now: 1)
                }
                for bit in 0..<width {
                    let isIn = bit < width - length
                    #expect(table.contains(flipped(bit), now: 1) == isIn, "/\(length), bit \(bit), \(expires)")
                    #expect((table.lookup(flipped(bit), now: 1) != nil) == isIn, "/\(length), bit \(bit), \(expires)")
                }
                #expect(table.contains(base, now: 1) && table.contains(base, now: 100) == (expires != 100))
            }
        }
    }

    @Test func widerNetworkMatchesOnceTheNarrowerIsExpired() throws {
        let table = try makeTable(
            .lpm, [TableEntry(prefix("10.0.0.0/8")), TableEntry(prefix("10.1.0.0/16"), expires: 9)])
        #expect(table.lookup(address("10.1.0.1"), now: 8)?.description == "10.1.0.0/16")
        #expect(table.lookup(address("10.1.0.1"), now: 9)?.description == "10.0.0.0/8")
        #expect(table.contains(address("10.1.0.1"), now: 9))
    }

    @Test(arguments: [TableType.ipset, .lpm])
    func addExtendsButNeverShortens(type: TableType) throws {
        let table = try makeTable(type)
        let host = prefix("2001:db8::1")
        for (expires, now, until) in [(100, 0, 100), (50, 10, 100), (200, 20, 200), (300, 250, 300)]
            as [(Int64, Int64, Int64)]
        {
            #expect(table.add(host, expires: expires, now: now) == nil)
            #expect(table.lookup(host.address, now: now)?.expires == until)
        }
        #expect(table.add(host, expires: TableEntry.never, now: 260) == nil)
        #expect(table.add(host, expires: 400, now: 270) == nil)
        #expect(table.contains(host.address, now: 500))
        #expect(table.count == 1)
    }

    @Test(arguments: [TableType.ipset, .lpm])
    func fullTableRefusesAndCounts(type: TableType) throws {
        let table = try makeTable(type, capacity: 4)
        for number in 1...4 { try table.insert(prefix("192.0.2.\(number)"), expires: 100, now: 1) }
        expect(.full, { () throws(TableError) in try table.insert(prefix("192.0.2.5"), now: 2) }, "insert")
        #expect(table.add(prefix("192.0.2.6"), expires: 50, now: 2) == .full)
        #expect(table.refused == 1)
        // What is there is not refused, and what is expired gives way.
        #expect(table.add(prefix("192.0.2.1"), expires: 200, now: 2) == nil)
        #expect(table.add(prefix("192.0.2.6"), expires: 200, now: 100) == nil)
        #expect(table.list(now: 100).map(\.description) == ["192.0.2.1", "192.0.2.6"])
    }

    @Test(arguments: [TableType.ipset, .lpm])
    func collectingTakesExpiredEntriesInSteps(type: TableType) throws {
        let table = try makeTable(
            type, (0..<512).map { TableEntry(Prefix(Address(ipv4: $0), length: 32)!, expires: $0 % 2 == 0 ? 10 : 20) })
        #expect(table.collect(now: 10, steps: 256) == 128)
        #expect(table.count == 384)
        #expect(table.collect(now: 10, steps: 256) == 128)
        #expect(table.collect(now: 10, steps: 1024) == 0)
        #expect(table.collect(now: 20, steps: 1024) == 256)
        #expect(table.count == 0)
    }

    @Test func listIsInOrderAndReadsBack() throws {
        let texts = [
            "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.0", "192.0.2.1", "::/0", "2001:db8::/32", "ff02::1",
        ]
        let table = try makeTable(.lpm, texts.reversed().map { TableEntry(prefix($0)) })
        #expect(table.list(now: 1).map(\.description) == texts)
        #expect(table.list(now: 1).map { Prefix($0.description) } == texts.map { Prefix($0) })
        try table.flush()
        #expect(table.list(now: 1) == [])
        #expect(table.count == 0)
        #expect(!table.contains(address("10.0.0.0"), now: 1))
    }

    @Test func expiredEntriesAreLeftOutFromTheStart() throws {
        let table = try makeTable(.const, [TableEntry(prefix("10.0.0.1"), expires: 5)], now: 5)
        #expect(table.count == 0)
    }

    /// In a process of its own: other tests take memory at the same time.
    @Test func manyLargeTablesTakeLittleMemoryWhileTheyAreEmpty() async {
        await #expect(processExitsWith: .success) {
            func residentPages() throws -> Int {
                let text = String(decoding: try File.read("/proc/self/statm", limit: 4096), as: UTF8.self)
                return try #require(Int(text.split(separator: " ")[1]))
            }
            let before = try residentPages()
            let tables = try TableType.allCases.flatMap { type in
                try (0..<40).map { _ in try makeTable(type, capacity: AddressTable.defaultCapacity) }
            }
            #expect(tables.allSatisfy { !$0.contains(address("10.0.0.1"), now: 1) })
            let used = try residentPages() - before
            #expect(used < tables.count * 8)
        }
    }
}
