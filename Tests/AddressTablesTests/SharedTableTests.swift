import AddressTables
import CAllocationCounter
import Packet
import Synchronization
import SystemSupport
import TestSupport
import Testing

@Suite struct SharedTableTests {
    private final class Flags: Sendable {
        let isOver = Atomic<Bool>(false)
        let wrong = Atomic<Int>(0)
        let lookups = Atomic<Int>(0)
        let refusals = Atomic<Int>(0)
    }

    private func host(_ number: Int) -> Prefix { Prefix(Address(ipv4: UInt32(number)), length: 32)! }

    /// Two threads read and one adds while another changes everything around what must not change.
    @Test(arguments: [TableType.lpm, .ipset])
    func readersAlwaysFindWhatDoesNotChange(type: TableType) throws {
        var random = SplitMix64(state: 4)
        let constant = (0..<500).map { _ in host(Int(random.next() & 0x00ff_ffff) << 1) }
        let constants = Set(constant).map { TableEntry($0) }
        let readers = ReaderEpochs()
        let table = try makeTable(type, capacity: 20_000, constants, readers: readers)
        let flags = Flags()
        do {
            var threads: [Thread] = []
            for _ in 0..<2 {
                threads.append(
                    try Thread {
                        guard let reader = readers.register() else { return }
                        var batch = LookupBatch(capacity: constants.count)
                        while !flags.isOver.load(ordering: .relaxed) {
                            reader.enter()
                            for entry in constants { batch.append(entry.prefix.address) }
                            table.prefetch(&batch)
                            for entry in constants {
                                if !table.contains(entry.prefix.address, now: 1) {
                                    flags.wrong.wrappingAdd(1, ordering: .relaxed)
                                }
                                // Odd addresses of the upper half are never put in.
                                let absent = Address(
                                    ipv4: UInt32(truncatingIfNeeded: entry.prefix.address.low) | 0x8000_0001)
                                if table.contains(absent, now: 1) { flags.wrong.wrappingAdd(1, ordering: .relaxed) }
                            }
                            reader.leave()
                            flags.lookups.wrappingAdd(1, ordering: .relaxed)
                        }
                    })
            }
            threads.append(
                try Thread {
                    guard let reader = readers.register() else { return }
                    for number in 0..<20_000 {
                        reader.enter()
                        let prefix = Prefix(Address(ipv4: UInt32(number % 4000) << 12 | 1), length: 32)!
                        if let error = table.add(prefix, expires: 1_000_000, now: 1) {
                            flags.refusals.wrappingAdd(error == .busy ? 0 : 1, ordering: .relaxed)
                        }
                        reader.leave()
                    }
                })
            for round in 0..<40 {
                let others = (0..<1000).map { _ in host(Int(random.next() & 0x00ff_ffff) << 1 | 1) }
                for prefix in others { try? table.insert(prefix, now: 1) }
                for prefix in others { try? table.remove(prefix, now: 1) }
                if round % 8 == 0 { try table.replace(with: constants, now: 1) }
                table.collect(now: 1)
                #expect(table.list(now: 1).count >= constants.count)
            }
            while flags.lookups.load(ordering: .relaxed) < 20 {}
            flags.isOver.store(true, ordering: .relaxed)
        }
        #expect(flags.wrong.load(ordering: .relaxed) == 0)
        #expect(flags.refusals.load(ordering: .relaxed) == 0)
        #expect(constants.allSatisfy { table.contains($0.prefix.address, now: 1) })
    }

    /// A thread that is joined when the array it is in goes.
    private final class Thread {
        private let thread: WorkerThread

        init(_ body: @escaping @Sendable () -> Void) throws(Errno) {
            thread = try WorkerThread(name: "reader", body)
        }
    }

    @Test(arguments: [TableType.lpm, .ipset])
    func additionsToALockedTableAreMadeWhenItIsUnlocked(type: TableType) throws {
        let table = try makeTable(type, capacity: 3000)
        let flags = Flags()
        var failure: Errno?
        table.whileLocked {
            do throws(Errno) {
                try WorkerThread(name: "worker") {
                    for number in 0..<1100 {
                        let error = table.add(Prefix(Address(ipv4: UInt32(number)), length: 32)!, expires: 100, now: 1)
                        if let error { flags.refusals.wrappingAdd(error == .busy ? 1 : 1000, ordering: .relaxed) }
                    }
                }.join()
            } catch {
                failure = error
            }
        }
        #expect(failure == nil)
        #expect(flags.refusals.load(ordering: .relaxed) == 76)
        #expect(table.refused == 76)
        #expect(table.list(now: 1).map(\.prefix) == (0..<1024).map { host($0) })
        // The ring goes round.
        #expect(table.add(host(2000), expires: 100, now: 1) == nil)
        #expect(table.count == 1025)
    }

    @Test(arguments: [TableType.lpm, .ipset])
    func workersRemoveWhatTheyAndOthersHaveAdded(type: TableType) throws {
        let table = try makeTable(type, capacity: 10, [TableEntry(host(1)), TableEntry(host(2))])
        #expect(table.discard(host(1), now: 1) == nil)
        #expect(table.discard(host(1), now: 1) == .notFound)
        let flags = Flags()
        var failure: Errno?
        table.whileLocked {
            do throws(Errno) {
                try WorkerThread(name: "worker") {
                    let answers = [
                        table.discard(host(2), now: 1), table.discard(host(3), now: 1),
                        table.add(host(4), expires: 100, now: 1), table.add(host(5), expires: 100, now: 1),
                        table.discard(host(5), now: 1),
                    ]
                    // The last one's addition waits as well.
                    if answers != [nil, .notFound, nil, nil, .notFound] {
                        flags.wrong.wrappingAdd(1, ordering: .relaxed)
                    }
                    for _ in 0..<1019 { _ = table.discard(host(9), now: 1) }
                    if table.discard(host(4), now: 1) != .busy { flags.wrong.wrappingAdd(1, ordering: .relaxed) }
                }.join()
            } catch {
                failure = error
            }
        }
        #expect(failure == nil)
        #expect(flags.wrong.load(ordering: .relaxed) == 0)
        #expect(table.list(now: 1).map(\.prefix) == [host(4)])
        #expect(table.refused == 1)
        #expect(try makeTable(.const, [TableEntry(host(1))]).discard(host(1), now: 1) == .immutable)
    }

    @Test(arguments: [TableType.lpm, .ipset])
    func memoryIsNotUsedAgainWhileAReaderIsInside(type: TableType) throws {
        let readers = ReaderEpochs()
        let table = try makeTable(type, capacity: 8, readers: readers)
        func churn(_ rounds: Int) -> TableError? {
            for number in 0..<rounds {
                if let error = table.add(host(number), expires: 10, now: 1) { return error }
                do throws(TableError) { try table.remove(host(number), now: 1) } catch { return error }
            }
            return nil
        }
        guard let reader = readers.register() else { return }
        #expect(churn(5000) == nil)
        reader.enter()
        #expect(churn(5000) == .full)
        reader.leave()
        table.collect(now: 1, steps: 5000)
        table.collect(now: 1, steps: 5000)
        #expect(churn(5000) == nil)
    }

    @Test func readersHavePlacesAndGiveThemBack() {
        let readers = ReaderEpochs(maximumReaders: 2)
        let first = readers.register()
        do {
            let second = readers.register()
            let third = readers.register()
            #expect(second != nil && third == nil)
        }
        let again = readers.register()
        #expect(first != nil && again != nil)
    }

    /// What a worker does with tables allocates nothing, whether it finds, adds or is refused.
    @Test(arguments: [TableType.lpm, .ipset])
    func lookingUpAndAddingAllocateNothing(type: TableType) throws {
        let table = try makeTable(type, capacity: 5000)
        let readers = ReaderEpochs()
        guard let reader = readers.register() else { return }
        var (found, refused) = (0, 0)
        var batch = LookupBatch(capacity: 1)
        let before = allocation_count()
        for number in 0..<20_000 {
            reader.enter()
            let address = Address(ipv4: UInt32(truncatingIfNeeded: number % 10_000 &* 0x9e37_79b1))
            batch.append(address)
            table.prefetch(&batch)
            if table.contains(address, now: 1) { found += 1 }
            if table.add(Prefix(address, length: 32)!, expires: 100, now: 1) != nil { refused += 1 }
            reader.leave()
        }
        #expect(allocation_count() - before == 0)
        #expect(found == 5000 && refused == 10_000)
    }
}

@Suite struct TableSetTests {
    private func make(_ declarations: [TableDeclaration], capacity: Int = 100, keeping old: TableSet? = nil) throws
        -> TableSet
    {
        try TableSet(declarations, capacity: capacity, keeping: old, now: 1, readers: ReaderEpochs())
    }

    @Test func contentsWithoutAFileOutliveAReload() throws {
        let file = [TableEntry(prefix("192.0.2.1"))]
        let old = try make([
            TableDeclaration(name: "a", type: .ipset), TableDeclaration(name: "b", type: .ipset),
            TableDeclaration(name: "c", type: .const, entries: file),
            TableDeclaration(name: "d", type: .ipset, entries: file),
        ])
        for name in ["a", "b", "d"] { try old[name]!.insert(prefix("10.0.0.1"), now: 1) }
        let new = try make(
            [
                TableDeclaration(name: "b", type: .lpm), TableDeclaration(name: "a", type: .ipset),
                TableDeclaration(name: "d", type: .ipset, entries: [TableEntry(prefix("192.0.2.2"))]),
                TableDeclaration(name: "e", type: .ipset),
            ], keeping: old)
        #expect(new.names == ["b", "a", "d", "e"])
        #expect(new.index(of: "a") == 1 && new.index(of: "c") == nil)
        #expect((0..<4).map { new[$0].list(now: 1).map(\.description) } == [[], ["10.0.0.1"], ["192.0.2.2"], []])
        // The old configuration goes on with what it had, and shares what is kept.
        #expect(old["d"]!.list(now: 1).count == 2)
        #expect(old["a"]!.add(prefix("10.0.0.2"), expires: 9, now: 1) == nil)
        #expect(new["a"]!.contains(address("10.0.0.2"), now: 1))
    }

    /// What is added while a configuration of another capacity is loaded, and after, is there once it runs.
    @Test func contentsOutliveAnotherCapacity() throws {
        let old = try make([TableDeclaration(name: "a", type: .ipset), TableDeclaration(name: "b", type: .lpm)])
        let new = try make(
            [TableDeclaration(name: "b", type: .lpm), TableDeclaration(name: "a", type: .ipset)], capacity: 2,
            keeping: old)
        #expect(old["a"]!.add(prefix("10.0.0.1"), expires: 9, now: 1) == nil)
        #expect(old["b"]!.add(prefix("10.0.0.0/8"), expires: 9, now: 1) == nil)
        #expect(old["a"]!.capacity == 100)
        #expect(new.setCapacity(2, now: 1).map { "\($0)" } == [])
        for table in [new["a"]!, new["b"]!] {
            #expect(table.capacity == 2 && table.contains(address("10.0.0.1"), now: 8))
            try table.insert(prefix("192.0.2.1"), now: 1)
            #expect(throws: TableError.full) { try table.insert(prefix("192.0.2.2"), now: 1) }
        }
        #expect(throws: TableSetError.self) {
            try make([TableDeclaration(name: "a", type: .ipset)], capacity: 1, keeping: new)
        }
        // More than fit came since the load: the table stays as it is.
        #expect(
            new.setCapacity(1, now: 1).map { "\($0)" } == [
                "table 'b': the table is full", "table 'a': the table is full",
            ])
        #expect(new["a"]!.capacity == 2 && new["a"]!.list(now: 1).count == 2)
    }

    @Test func renamedTableIsTheSame() throws {
        let old = try make([TableDeclaration(name: "a", type: .ipset), TableDeclaration(name: "b", type: .lpm)])
        let new = old.renaming("b", to: "c")
        #expect(new.names == ["a", "c"] && new["b"] == nil && new["c"] === old["b"])
    }

    @Test func tableThatIsWrongIsNamed() throws {
        let twice = TableEntry(prefix("192.0.2.1"))
        #expect {
            try make([TableDeclaration(name: "x", type: .const, entries: [twice, twice])])
        } throws: { error in
            "\(error)" == "table 'x': entry already exists"
        }
    }

    @Test func viewAnswersThroughAFunctionPointer() throws {
        let set = try make([
            TableDeclaration(name: "a", type: .lpm, entries: [TableEntry(prefix("10.0.0.0/8"), expires: 5)]),
            TableDeclaration(name: "b", type: .const, entries: [TableEntry(prefix("2001:db8::1"))]),
        ])
        let contains = unsafe TableView.contains
        var view = TableView(set, now: 4)
        func ask(_ table: Int32, _ text: String) -> Bool {
            let address = address(text)
            return unsafe withUnsafePointer(to: &view) {
                unsafe contains($0, table, address.high, address.low, address.family == .ipv6)
            }
        }
        #expect(ask(0, "10.1.2.3") && !ask(0, "11.0.0.1") && !ask(0, "::a00:1"))
        #expect(ask(1, "2001:db8::1") && !ask(1, "2001:db8::2"))
        #expect(!ask(2, "10.1.2.3") && !ask(-1, "10.1.2.3"))
        view.now = 5
        #expect(!ask(0, "10.1.2.3"))
        try set["a"]!.insert(prefix("10.1.0.0/16"), now: 5)
        #expect(ask(0, "10.1.2.3"))
        withExtendedLifetime(set) {}
    }
}

@Suite struct SipHashTests {
    /// Values of a model that agrees with the authors' SipHash-2-4 and with Python's own SipHash-1-3.
    @Test(
        arguments: [
            ("0.0.0.0", 0x009f_e5e6_a916_d7de), ("192.0.2.1", 0x2098_4666_5230_1762),
            ("255.255.255.255", 0x295a_20a6_2a39_37fb),
            ("::", 0x403e_4b0d_4f19_f787), ("::c000:201", 0x701a_b327_22e7_77a0),
            ("2001:db8:1:2:3:4:5:6", 0x15c8_0286_a46b_ee8c),
        ] as [(String, UInt64)])
    func hashesAsOthersDo(text: String, value: UInt64) {
        let hash = SipHash(key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
        let address = address(text)
        #expect(hash(address) == value)
    }
}
