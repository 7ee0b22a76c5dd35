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

    @Test func isKeptShortWhileItStaysFullAndDrops() {
        let table: [(name: String, events: [Event], signs: [String])] = [
            ("a burst", [.batches(3), .batches(1, of: 31, isFull: false)], []),
            (
                "an overflow all the time, then an empty queue",
                [
                    .batches(4), .counters(queued: 250, dropped: 10), .batches(4), .counters(queued: 129, dropped: 11),
                    .batches(100), .batches(1, of: 0, isFull: false), .batches(1, of: 0, isFull: false),
                ], ["suspicion at 4", "suspicion at 4", "short", "recovery at 1"]
            ),
            (
                "messages of other kinds in the batches",
                [
                    .batches(3, of: 31), .batches(2), .counters(queued: 250, dropped: 10), .batches(4),
                    .counters(queued: 250, dropped: 11), .batches(10, of: 30), .batches(1, of: 3, isFull: false),
                ], ["suspicion at 2", "suspicion at 4", "short", "recovery at 1"]
            ),
            (
                "drops of before",
                [.batches(4), .counters(queued: 250, dropped: 10), .batches(4), .counters(queued: 250, dropped: 10)],
                ["suspicion at 4", "suspicion at 4"]
            ),
            (
                "drops, but half the room is free by now",
                [.batches(4), .counters(queued: 250, dropped: 10), .batches(4), .counters(queued: 128, dropped: 11)],
                ["suspicion at 4", "suspicion at 4"]
            ),
            (
                "two bursts with an empty queue between them",
                [
                    .batches(4), .counters(queued: 250, dropped: 10), .batches(1, of: 5, isFull: false), .batches(4),
                    .counters(queued: 250, dropped: 20),
                ], ["suspicion at 4", "suspicion at 4"]
            ),
        ]
        for (name, events, expected) in table { #expect(signs(events) == expected, "\(name)") }
    }

    @Test func queueThatIsNotLongStaysAsItIs() {
        #expect(signs([.batches(100)], maximumLength: 255).isEmpty)
    }
}
