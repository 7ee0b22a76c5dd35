import AddressTables
import Packet
import Synchronization
import SystemSupport
import Testing

/// Tables that become another type or size while they are used.
@Suite struct ChangingTableTests {
    private func host(_ number: Int) -> Prefix { Prefix(Address(ipv4: UInt32(number)), length: 32)! }

    private final class Progress: Sendable {
        let isOver = Atomic<Bool>(false)
        let added = Atomic<Int>(0)
    }

    /// Of another capacity a table has all that was in it and all that is added on the way, and nothing that was removed.
    @Test(arguments: [TableType.lpm, .ipset])
    func additionsOutliveAChangeOfCapacity(type: TableType) throws {
        let readers = ReaderEpochs()
        let table = try makeTable(type, capacity: 80_000, readers: readers)
        for number in 0..<40_000 { try table.insert(host(number), now: 1) }
        let progress = Progress()
        do {
            // Takes an old entry out and puts a new one in, again and again.
            let worker = try WorkerThread(name: "worker") {
                guard let reader = readers.register() else { return }
                var number = 0
                while !progress.isOver.load(ordering: .relaxed), number < 30_000 {
                    reader.enter()
                    while table.discard(host(number), now: 1) == .busy {}
                    while table.add(host(1_000_000 + number), expires: 100, now: 1) == .busy {}
                    reader.leave()
                    number += 1
                    progress.added.store(number, ordering: .relaxed)
                }
            }
            while progress.added.load(ordering: .relaxed) == 0 {}
            for capacity in [75_000, 90_000, 71_000, 80_000] { try table.setCapacity(capacity, now: 1) }
            progress.isOver.store(true, ordering: .relaxed)
            _ = consume worker
        }
        let count = progress.added.load(ordering: .relaxed)
        #expect((0..<count).filter { !table.contains(host(1_000_000 + $0).address, now: 1) } == [])
        #expect((0..<count).filter { table.contains(host($0).address, now: 1) } == [])
        #expect((count..<40_000).filter { !table.contains(host($0).address, now: 1) } == [])
        #expect(table.capacity == 80_000 && table.list(now: 1).count == 40_000)
    }

    @Test func replacedTableMayBeOfAnotherType() throws {
        let table = try makeTable(.ipset, capacity: 10, [TableEntry(host(1))])
        try table.replace(with: [TableEntry(prefix("10.0.0.0/8"))], type: .lpm, now: 1)
        #expect(table.type == .lpm && table.contains(address("10.1.2.3"), now: 1))
        try table.insert(prefix("11.0.0.0/8"), now: 1)
        #expect(throws: TableError.maskNotAllowed) {
            try table.replace(with: [TableEntry(prefix("10.0.0.0/8"))], type: .ipset, now: 1)
        }
        #expect(table.type == .lpm)
        try table.replace(with: [TableEntry(host(7))], type: .const, now: 1)
        #expect(table.add(host(8), expires: 9, now: 1) == .immutable)
        #expect(table.discard(host(7), now: 1) == .immutable)
        #expect(throws: TableError.immutable) { try table.insert(host(8), now: 1) }
        try table.replace(with: [], now: 1)
        #expect(table.type == .const)
    }
}
