import Packet
import Procedures
import SystemSupport
import TestSupport
import Testing

struct PacketLogTests {
    @Test func `packets come out with what is known of them`() throws {
        let log = PacketLog()
        var steps = ProcedureSteps([.log(file: 3)], seed: 0, workers: 1)
        var small = ipv4(.udp, udp([1]))
        var large = ipv6(.tcp, tcp(.ack, payload: .zeros(60_000)))
        _ = try steps.run(&small, log: log, time: 17, rule: 5)
        _ = try steps.run(
            &large, isBlocked: true, log: log, interface: "wg-longest-name", direction: .out, time: -1, rule: -2,
            originalLength: 65_000)
        let contents = log.contents()
        try #require(contents.count == 2)
        #expect(contents.map(\.bytes) == [small, large])
        let (first, second) = (contents[0].packet, contents[1].packet)
        #expect(first.file == 3 && first.rule == 5 && !first.isBlocked && first.direction == .in)
        #expect(first.interface.description == "eth0" && first.time == 17 && first.originalLength == small.count)
        #expect(second.file == 3 && second.rule == -2 && second.isBlocked && second.direction == .out)
        #expect(second.interface.description == "wg-longest-name" && second.time == -1)
        #expect(second.originalLength == 65_000)
        #expect(log.contents().isEmpty)
    }

    @Test func `packets are cut to the snap length`() throws {
        for length in [0, 1, 28, 29, 30] {
            let log = PacketLog(snapLength: length)
            var steps = ProcedureSteps([.log(file: 0)], seed: 0, workers: 1)
            var packet = ipv4(.udp, udp([1]))
            _ = try steps.run(&packet, log: log)
            let contents = log.contents()
            #expect(contents.map(\.bytes) == [Array(packet.prefix(length))])
            #expect(contents[0].packet.originalLength == 29)
        }
    }

    @Test func `a full log counts, and goes on when it is emptied`() throws {
        let log = PacketLog(capacity: 4096)
        var steps = ProcedureSteps([.log(file: 0)], seed: 0, workers: 1)
        var packet = ipv4(.udp, udp(.zeros(1000)))
        for round in 1...3 {
            for number in 0..<10 { _ = try steps.run(&packet, log: log, rule: Int32(number)) }
            // Of 4096 bytes one packet takes some 1,100: three, or two and the end of the memory.
            let rules = log.contents().map(\.packet.rule)
            #expect(rules == [0, 1, 2] || rules == [0, 1], "round \(round)")
            #expect(log.lostPackets >= UInt64(7 * round) && log.lostPackets <= UInt64(8 * round))
        }
        var huge = ipv4(.udp, udp(.zeros(5000)))
        let lost = log.lostPackets
        _ = try steps.run(&huge, log: log)
        #expect(log.contents().isEmpty && log.lostPackets == lost + 1)
    }

    /// A queue of arrays beside it: what goes in comes out, in its order, wherever the memory's end lies.
    @Test func `nothing is mixed up`() throws {
        var generator = SplitMix64(state: 31)
        for capacity in [1, 4096, 10_000, 1 << 16] {
            let log = PacketLog(capacity: capacity)
            var steps = ProcedureSteps([.log(file: 0)], seed: 0, workers: 1)
            var model: [[UInt8]] = []
            var taken = 0
            for number in 0..<20_000 {
                if Int.random(in: 0..<20, using: &generator) == 0 {
                    let contents = log.contents().map(\.bytes)
                    #expect(contents == model)
                    taken += contents.count
                    model = []
                }
                let length = Int.random(in: 0...(number % 100 == 0 ? 5_000 : 300), using: &generator)
                var packet = ipv4(.sctp, generator.bytes(length))
                let lost = log.lostPackets
                _ = try steps.run(&packet, log: log)
                if log.lostPackets == lost { model.append(packet) }
            }
            #expect(taken > 10_000, "\(capacity)")
        }
    }

    @Test func `one thread fills it while another empties it`() throws {
        let log = PacketLog(capacity: 1 << 14)
        let count: Int32 = 200_000
        let worker = try WorkerThread(name: "log-test") {
            var steps = ProcedureSteps([.log(file: 0)], seed: 0, workers: 1)
            var packets = (0..<7).map { ipv4(.sctp, Array(repeating: UInt8($0), count: $0 * 97)) }
            for number in 0..<count {
                // Again until there is room, so that none is missing.
                var lost = log.lostPackets
                while true {
                    _ = try? steps.run(&packets[Int(number) % 7], log: log, rule: number)
                    if log.lostPackets == lost { break }
                    lost = log.lostPackets
                }
            }
        }
        var last: Int32 = -1
        var seen: Int32 = 0
        var isInOrder = true
        while last < count - 1 {
            unsafe log.drain { packet, bytes in
                let kind = Int(packet.rule) % 7
                isInOrder =
                    unsafe isInOrder && packet.rule == last + 1 && bytes.count == 20 + kind * 97
                    && bytes.dropFirst(20).allSatisfy { $0 == UInt8(kind) }
                last = packet.rule
                seen += 1
            }
        }
        _ = consume worker
        #expect(isInOrder)
        #expect(seen == count)
    }
}
