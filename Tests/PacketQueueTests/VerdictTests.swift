import PacketQueue
import Testing

@Suite struct VerdictTests {
    /// The messages to be sent, read back: "accept 3", "accept ≤9", "drop 4", "accept 5 [1.2.3]", "repeat 6 mark 0x1",
    /// "queue 7 to 2015".
    private func decode(_ messages: UnsafeRawBufferPointer) -> [String] {
        func network(_ offset: Int) -> UInt32 {
            unsafe UInt32(bigEndian: messages.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        var texts: [String] = []
        var offset = 0
        while offset < messages.count {
            let length = Int(unsafe messages.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            let type = unsafe messages.loadUnaligned(fromByteOffset: offset + 4, as: UInt16.self)
            let flags = unsafe messages.loadUnaligned(fromByteOffset: offset + 6, as: UInt16.self)
            #expect(flags == 1, "NLM_F_REQUEST alone: no answer to each verdict")
            #expect(network(offset + 16) & 0xffff == 2014, "the queue")
            #expect(unsafe messages.loadUnaligned(fromByteOffset: offset + 20, as: UInt16.self) == 12)
            #expect(unsafe messages.loadUnaligned(fromByteOffset: offset + 22, as: UInt16.self) == 2)
            let verdict = network(offset + 24)
            let words: [UInt32: String] = [0: "drop", 1: "accept", 3: "queue", 4: "repeat"]
            let word = words[verdict & 0xff] ?? "?"
            var text = "\(word) \(type == 0x0303 ? "≤" : type == 0x0301 ? "" : "?")\(network(offset + 28))"
            if verdict & 0xff == 3 {
                text += " to \(verdict >> 16)" + (verdict & 0x8000 != 0 ? " or accept" : "")
            } else {
                #expect(verdict <= 4, "no other bits")
            }
            if length == 40, unsafe messages.loadUnaligned(fromByteOffset: offset + 34, as: UInt16.self) == 3 {
                #expect(unsafe messages.loadUnaligned(fromByteOffset: offset + 32, as: UInt16.self) == 8)
                text += " mark 0x\(String(network(offset + 36), radix: 16))"
            } else if length > 32 {
                #expect(unsafe messages.loadUnaligned(fromByteOffset: offset + 34, as: UInt16.self) == 10)
                let size = Int(unsafe messages.loadUnaligned(fromByteOffset: offset + 32, as: UInt16.self)) - 4
                text +=
                    unsafe " [\(messages[offset + 36..<offset + 36 + size].map { String($0) }.joined(separator: "."))]"
            }
            texts.append(text)
            offset += (length + 3) & ~3
        }
        return texts
    }

    @Test func gathersRunsOfAcceptsAndKeepsTheOrder() throws {
        let table: [(name: String, verdicts: (inout VerdictBuffer) -> Void, expected: [String])] = [
            ("none", { _ in }, []),
            ("one accept", { $0.acceptNext(5) }, ["accept 5"]),
            (
                "a run",
                {
                    $0.acceptNext(5)
                    $0.acceptNext(6)
                    $0.acceptNext(7)
                }, ["accept ≤7"]
            ),
            (
                "a drop between two runs",
                {
                    $0.acceptNext(1)
                    $0.acceptNext(2)
                    $0.drop(3)
                    $0.acceptNext(4)
                    $0.acceptNext(5)
                }, ["accept ≤2", "drop 3", "accept ≤5"]
            ),
            (
                "an early accept",
                {
                    $0.acceptNext(1)
                    $0.accept(9)
                    $0.acceptNext(2)
                }, ["accept 1", "accept 9", "accept 2"]
            ),
            (
                "over the largest id",
                {
                    $0.acceptNext(.max)
                    $0.acceptNext(0)
                }, ["accept ≤0"]
            ),
            (
                "a replaced packet",
                { verdicts in
                    unsafe [UInt8]([1, 2, 3]).withUnsafeBytes { unsafe verdicts.replace(3, with: $0) }
                    verdicts.drop(4)
                }, ["accept 3 [1.2.3]", "drop 4"]
            ),
            (
                "a decided flow between two runs",
                {
                    $0.acceptNext(1)
                    $0.acceptNext(2)
                    $0.repeat(3, mark: 0x8000_0007)
                    $0.acceptNext(4)
                }, ["accept ≤2", "repeat 3 mark 0x80000007", "accept 4"]
            ),
            (
                "packets for another queue",
                {
                    $0.acceptNext(1)
                    $0.handOn(2, to: 65_535, failOpen: false)
                    $0.handOn(3, to: 0, failOpen: true)
                    $0.acceptNext(4)
                }, ["accept 1", "queue 2 to 65535", "queue 3 to 0 or accept", "accept 4"]
            ),
        ]
        for (name, give, expected) in table {
            var verdicts = try VerdictBuffer(queueNumber: 2014, capacity: 8)
            give(&verdicts)
            #expect(unsafe decode(verdicts.pending()) == expected, "\(name)")
        }
    }

    @Test func holdsTheLongestPayloadForEveryPacket() throws {
        var verdicts = try VerdictBuffer(queueNumber: 2014, capacity: 4)
        let payload = [UInt8](repeating: 7, count: VerdictBuffer.maximumPayload)
        for id in 1...UInt32(4) {
            unsafe payload.withUnsafeBytes { unsafe verdicts.replace(id, with: $0) }
        }
        let pending = unsafe verdicts.pending()
        #expect(pending.count == 4 * (32 + 65_536 - 0))
        let first = unsafe VerdictBuffer.datagram(of: pending)
        #expect(first == 65_568, "one message: a second does not fit into \(VerdictBuffer.datagramSize)")
    }

    @Test func sendsTheRestWhenItIsShort() throws {
        var verdicts = try VerdictBuffer(queueNumber: 2014, capacity: 4)
        verdicts.drop(1)
        verdicts.drop(2)
        #expect(unsafe VerdictBuffer.datagram(of: verdicts.pending()) == 64)
    }
}

@Suite struct PacketWindowTests {
    private func window(_ ids: [UInt32]) -> PacketWindow {
        var window = PacketWindow(capacity: 8)
        for id in ids {
            var packet = QueuedPacket()
            packet.id = id
            window.append(packet)
        }
        return window
    }

    @Test func tellsWhetherAVerdictComesInItsTurn() {
        let table: [(ids: [UInt32], verdicts: [UInt32], turns: [PacketWindow.Turn], undecided: UInt32?)] = [
            ([], [1], [.none], nil),
            ([1, 2, 3], [], [], 1),
            ([1, 2, 3], [1, 2, 3], [.next, .next, .next], nil),
            ([1, 2, 3], [2, 1, 3], [.early, .next, .next], nil),
            ([1, 2, 3], [3, 2, 1], [.early, .early, .next], nil),
            ([1, 2, 3], [1, 1], [.next, .none], 2),
            ([1, 2, 3], [3, 3], [.early, .none], 1),
            ([1, 2, 3], [4, 1], [.none, .next], 2),
            ([.max, 0], [.max, 0], [.next, .next], nil),
        ]
        for (ids, verdicts, turns, undecided) in table {
            var window = window(ids)
            #expect(verdicts.map { window.settle($0) } == turns, "\(ids) settled \(verdicts)")
            #expect(window.undecided == undecided, "\(ids) settled \(verdicts)")
        }
    }

    @Test func forgetsItsPackets() {
        var window = window([1, 2])
        #expect(window.settle(2) == .early)
        window.removeAll()
        #expect(window.count == 0 && window.undecided == nil && window.settle(1) == .none)
        window.append(QueuedPacket())
        #expect(window.count == 1 && window.undecided == 0 && window[0].id == 0)
    }
}

@Suite struct QueueCountersTests {
    private let table = """
            0  61033      0 2 65531     0     0        0  1
         2014   4660     12 2 65531     3     4      170  1

        """

    private func read(_ table: String, of numbers: ClosedRange<UInt16>) -> QueueCounters? {
        QueueCounters(table: Array(table.utf8).span, numbers: numbers)
    }

    @Test func findsTheLineOfTheQueue() throws {
        let counters = try #require(read(table, of: 2014...2014))
        #expect(counters.ownerPort == 4660)
        #expect(counters.queued == 12)
        #expect(counters.droppedQueueFull == 3)
        #expect(counters.droppedSocketFull == 4)
        #expect(counters.sequence == 170)
        #expect(read(table, of: 0...0)?.ownerPort == 61033)
        #expect(read(table, of: 2...2) == nil)
        let sums = try #require(
            read(table + " 2015   4661      1 2 256     5     6       30  1\n", of: 2014...2016))
        #expect(sums.ownerPort == 4660 && sums.queued == 13 && sums.sequence == 200)
        #expect(sums.droppedQueueFull == 8 && sums.droppedSocketFull == 10)
        #expect(read("2014 1 2 3", of: 2014...2014) == nil)
        #expect(read("", of: 0...0) == nil)
    }
}
