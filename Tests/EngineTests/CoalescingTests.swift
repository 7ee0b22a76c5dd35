import Engine
import PacketQueue
import Testing

@Suite struct CoalescingTests {
    /// Who sends: on and on, whatever becomes of it; or each packet once the one before has been decided.
    private enum Senders {
        /// Packets a second, at random times.
        case openLoop(rate: Double)
        /// Packets a second, one exactly behind the other.
        case paced(rate: Double)
        /// So many at once, each some time after its last packet was decided: nanoseconds, from half to one and a half.
        case closedLoop(count: Int, latency: Int64)
        /// So many at once, by somebody who runs where the worker does, and as long as it sleeps: nanoseconds for each.
        case sameProcessor(count: Int, cost: Int64)
    }

    /// What a worker did in a time.
    private struct Work {
        var packets = 0
        var batches = 0
        var pauses = 0
        /// Times that it has begun to look again and again.
        var polls = 0

        static func - (a: Work, b: Work) -> Work {
            Work(
                packets: a.packets - b.packets, batches: a.batches - b.batches, pauses: a.pauses - b.pauses,
                polls: a.polls - b.polls)
        }
    }

    /// A worker and its queue in a time of their own.
    private struct Model {
        // What a packet, a batch and an awakening cost, and how late a timer is, in nanoseconds.
        var packetCost: Int64 = 1500
        private let batchCost: Int64 = 4000
        private let wakeCost: Int64 = 6000
        private let lookCost: Int64 = 500
        private let timerSlack: Int64 = 50_000

        var coalescing: Coalescing
        var isBurst = false
        private var random: UInt64 = 2014
        private var clock: Int64 = 5_000_000_000
        /// When packets come that were not taken yet, in order.
        private var arrivals: [Int64] = []
        private(set) var work = Work()

        init(queueLength: UInt32 = 1024) {
            coalescing = Coalescing(queueLength: queueLength)
        }

        private mutating func uniform() -> Double {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(random >> 11) / Double(1 << 53)
        }

        private mutating func gap(_ senders: Senders) -> Int64? {
            switch senders {
            case .openLoop(let rate): Int64(2 * uniform() * 1e9 / rate)
            case .paced(let rate): Int64(1e9 / rate)
            case .closedLoop, .sameProcessor: nil
            }
        }

        /// What the worker does in so many milliseconds.
        @discardableResult
        mutating func run(_ senders: Senders, milliseconds: Int64) -> Work {
            let (before, end) = (work, clock + milliseconds * 1_000_000)
            arrivals = []
            if case .closedLoop(let count, _) = senders { arrivals = Array(repeating: clock, count: count) }
            var (next, pollEnd) = (clock, clock)
            while clock < end {
                while next <= clock, let gap = gap(senders) {
                    next += gap
                    arrivals.append(next)
                }
                var count = arrivals.prefix(PacketQueue.capacity).prefix { $0 <= clock }.count
                if count == 0 {
                    if case .sameProcessor(let count, let cost) = senders {
                        clock = max(clock, pollEnd) + Int64(count) * cost
                        arrivals = Array(repeating: clock, count: count)
                    }
                    let isPolled = arrivals[0] > clock && arrivals[0] <= pollEnd
                    clock = max(clock, arrivals[0]) + (isPolled ? lookCost : wakeCost)
                    count = arrivals.prefix(PacketQueue.capacity).prefix { $0 <= clock }.count
                }
                arrivals.removeFirst(count)
                let hasEmptied = count < PacketQueue.capacity
                let waiting = coalescing.note(batchOf: count, isBurst: isBurst, at: clock)
                clock += batchCost + Int64(count) * packetCost
                if case .closedLoop(_, let latency) = senders {
                    for _ in 0..<count { arrivals.append(clock + Int64((0.5 + uniform()) * Double(latency))) }
                    arrivals.sort()
                }
                work.packets += count
                work.batches += 1
                guard hasEmptied else { continue }
                switch waiting {
                case .asleep: break
                case .pausing(let nanoseconds):
                    #expect(50_000...150_000 ~= nanoseconds)
                    work.pauses += 1
                    clock += nanoseconds + timerSlack
                case .polling(let nanoseconds):
                    work.polls += 1
                    pollEnd = clock + nanoseconds
                }
            }
            return work - before
        }
    }

    @Test func manyPacketsAreDecidedSeveralAtATime() {
        for rate in [40_000.0, 80_000, 150_000] {
            var model = Model()
            model.run(.openLoop(rate: rate), milliseconds: 100)
            let work = model.run(.openLoop(rate: rate), milliseconds: 1000)
            #expect(work.packets > 4 * work.batches, "\(rate): \(work)")
            #expect(Double(work.packets) > 0.98 * rate, "\(rate): \(work)")
        }
    }

    /// To be woken for each packet would take a worker's time as well.
    @Test func whereTheNextPacketComesSoonerThanATimerThePausesEnd() {
        for senders in [Senders.openLoop(rate: 170_000), .openLoop(rate: 230_000)] {
            var (model, plain) = (Model(), Model(queueLength: 1))
            model.run(senders, milliseconds: 100)
            plain.run(senders, milliseconds: 100)
            let (work, without) = (model.run(senders, milliseconds: 1000), plain.run(senders, milliseconds: 1000))
            #expect(work.pauses == 0 && work.polls > 10_000, "\(work)")
            #expect(work.packets > without.packets - 100, "\(work), \(without)")
            #expect(work.packets * without.batches < without.packets * work.batches, "fewer wait: \(work), \(without)")
            // They come back with what they are good for.
            model.run(.openLoop(rate: 60_000), milliseconds: 500)
            #expect(model.run(.openLoop(rate: 60_000), milliseconds: 500).pauses > 1000)
        }
    }

    @Test func whoSendsOnTheWorkersProcessorIsNotKeptFromIt() {
        let senders = Senders.sameProcessor(count: 20, cost: 1000)
        var (model, plain) = (Model(), Model(queueLength: 1))
        model.run(senders, milliseconds: 1000)
        plain.run(senders, milliseconds: 1000)
        let (work, without) = (model.run(senders, milliseconds: 10_000), plain.run(senders, milliseconds: 10_000))
        #expect(work.polls > 0, "it is tried")
        #expect(Double(work.packets) > 0.96 * Double(without.packets), "\(work), \(without)")
    }

    @Test func whereItIsNoGainPacketsAreTakenAsTheyCome() {
        let table: [(name: String, senders: Senders, change: (inout Model) -> Void)] = [
            ("few packets", .openLoop(rate: 6000), { _ in }),
            ("requests, one after the other", .closedLoop(count: 1, latency: 10_000), { _ in }),
            ("packets that never meet", .paced(rate: 20_000), { _ in }),
            ("bursts", .openLoop(rate: 40_000), { $0.isBurst = true }),
            ("a queue with room for few", .openLoop(rate: 40_000), { $0 = Model(queueLength: 255) }),
            ("a queue that is never empty", .paced(rate: 900_000), { $0.packetCost = 2000 }),
        ]
        for (name, senders, change) in table {
            var model = Model()
            change(&model)
            let work = model.run(senders, milliseconds: 3000)
            #expect(work.pauses + work.polls == 0, "\(name): \(work)")
        }
    }

    /// What is tried now and then is a loss to those who wait for answers.
    @Test(arguments: [(2, 12), (3, 12), (5, 12), (10, 400), (20, 400), (32, 300), (50, 600)] as [(Int, Int64)])
    func sendersThatWaitForAnswersAreNotSlowedDown(_ count: Int, _ microseconds: Int64) {
        let senders = Senders.closedLoop(count: count, latency: 1000 * microseconds)
        var (model, plain) = (Model(), Model(queueLength: 1))
        model.run(senders, milliseconds: 1000)
        plain.run(senders, milliseconds: 1000)
        let (work, without) = (model.run(senders, milliseconds: 10_000), plain.run(senders, milliseconds: 10_000))
        #expect(work.pauses + work.polls > 0, "it is tried")
        #expect(Double(work.packets) > 0.96 * Double(without.packets), "\(work), \(without)")
    }

    @Test func pausesEndWithWhatTheyWereGoodFor() {
        var model = Model()
        let before = model.run(.openLoop(rate: 60_000), milliseconds: 500)
        #expect(before.pauses > 1000)
        let requests = model.run(.closedLoop(count: 1, latency: 10_000), milliseconds: 500)
        #expect(requests.pauses < 300, "\(requests)")
        model.run(.openLoop(rate: 60_000), milliseconds: 500)
        model.isBurst = true
        let bursts = model.run(.openLoop(rate: 60_000), milliseconds: 500)
        #expect(bursts.pauses < 300, "\(bursts)")
    }

    @Test func loadThatComesAndGoesIsNoLoss() {
        var model = Model()
        for _ in 0..<8 {
            let work = model.run(.openLoop(rate: 60_000), milliseconds: 300)
            #expect(work.packets > 3 * work.batches, "\(work)")
            model.run(.openLoop(rate: 2000), milliseconds: 300)
            // And a standstill.
            model.run(.openLoop(rate: 60_000), milliseconds: 100)
            model.run(.openLoop(rate: 1000), milliseconds: 10)
        }
    }

    /// Some windows without pauses have more packets than the turn before by chance.
    @Test func loadThatVariesIsNoLoss() {
        var model = Model()
        let before = model.work
        for number in 0..<400 {
            let rate = [20_000.0, 120_000, 30_000, 90_000, 60_000][number * number % 5]
            model.run(.openLoop(rate: rate), milliseconds: Int64(10 + number * 7 % 50))
        }
        let work = model.work - before
        #expect(work.packets > 4 * work.batches, "\(work)")
    }

    @Test func lossOfLongAgoIsForgotten() {
        var model = Model()
        model.run(.closedLoop(count: 2, latency: 12_000), milliseconds: 8000)
        // A rest, and a turn that was a gain.
        model.run(.openLoop(rate: 60_000), milliseconds: 6000)
        model.run(.closedLoop(count: 2, latency: 12_000), milliseconds: 100)
        let work = model.run(.openLoop(rate: 60_000), milliseconds: 1000)
        #expect(work.packets > 3 * work.batches, "\(work)")
    }
}
