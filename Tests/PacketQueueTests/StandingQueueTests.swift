import PacketQueue
import Testing

@Suite struct StandingQueueTests {
    /// What a queue of 256 is told, in order: batches, and the counters when it asks for them.
    private enum Event {
        case batches(Int, of: Int = PacketQueue.capacity, isFull: Bool = true)
        case counters(queued: UInt64, dropped: UInt64)
    }

    private func signs(_ events: [Event], maximumLength: UInt32 = 256) -> [String] {
        var queue = StandingQueue(maximumLength: maximumLength)
        var signs: [String] = []
        for event in events {
            switch event {
            case .batches(let count, let size, let isFull):
                for number in 1...count {
                    let sign = queue.note(batchOf: size, isFull: isFull)
                    if sign != .none { signs.append("\(sign) at \(number)") }
                }
            case .counters(let queued, let dropped):
                let counters = QueueCounters(
                    table: Array("1 1 \(queued) 2 65531 \(dropped) 0 9 1\n".utf8).span, numbers: 1...1)!
                if queue.isStanding(counters) { signs.append("short") }
            }
        }
        return signs
    }

    /// Batches without an end, and what the kernel has dropped each time that it is asked.
    private func overflow(_ dropped: some Sequence<UInt64>, queued: UInt64 = 250) -> [Event] {
        dropped.flatMap { [Event.batches(4), .counters(queued: queued, dropped: $0)] }
    }

    @Test func isKeptShortWhileItStaysFullAndDrops() {
        let table: [(name: String, events: [Event], signs: [String])] = [
            ("a burst", [.batches(3), .batches(1, of: 31, isFull: false)], []),
            (
                "an overflow all the time, then an empty queue",
                overflow(1...9) + [
                    .batches(100), .batches(1, of: 0, isFull: false), .batches(1, of: 0, isFull: false),
                ], Array(repeating: "suspicion at 4", count: 9) + ["short", "recovery at 1"]
            ),
            ("an overflow for a moment", overflow(1...8), Array(repeating: "suspicion at 4", count: 8)),
            (
                "an overflow with a moment without one",
                overflow(1...8) + overflow(8...14), Array(repeating: "suspicion at 4", count: 15)
            ),
            (
                "messages of other kinds in the batches",
                [.batches(3, of: 31), .batches(2), .counters(queued: 250, dropped: 0)] + overflow(1...8)
                    + [.batches(10, of: 30), .batches(1, of: 3, isFull: false)],
                ["suspicion at 2"] + Array(repeating: "suspicion at 4", count: 8) + ["short", "recovery at 1"]
            ),
            (
                "drops of before",
                overflow(Array(repeating: 10, count: 20)), Array(repeating: "suspicion at 4", count: 20)
            ),
            (
                "drops, but half the room is free by now",
                overflow(1...20, queued: 128), Array(repeating: "suspicion at 4", count: 20)
            ),
            (
                "two bursts with an empty queue between them",
                overflow(1...8) + [.batches(1, of: 5, isFull: false)] + overflow(9...16),
                Array(repeating: "suspicion at 4", count: 16)
            ),
        ]
        for (name, events, expected) in table { #expect(signs(events) == expected, "\(name)") }
    }

    @Test func queueThatIsNotLongStaysAsItIs() {
        #expect(signs([.batches(100)], maximumLength: 255).isEmpty)
    }
}
