import CAllocationCounter
import Packet
import Procedures
import TestSupport
import Testing

struct ProcedureStepsTests {
    private static let blockAll = ProcedureStep.randomBlock(try! RandomBlockParameters(modulus: 1))
    private static let lift = ProcedureStep.normalize(try! NormalizeParameters(minimumTTL: 99))

    @Test func `steps run in their order`() throws {
        // The steps, whether the packet was blocked before, and what is to become of it: blocked, its TTL, and the verdicts
        // and TTLs that are logged.
        let table:
            [(name: String, steps: [ProcedureStep], wasBlocked: Bool, isBlocked: Bool, ttl: UInt8, log: [String])] =
                [
                    ("none", [], false, false, 64, []),
                    ("none, blocked", [], true, true, 64, []),
                    ("normalize", [Self.lift], false, false, 99, []),
                    ("normalize, blocked", [Self.lift], true, true, 64, []),
                    ("rndblock", [Self.blockAll], false, true, 64, []),
                    ("log", [.log(file: 0)], false, false, 64, ["pass 64"]),
                    ("log, blocked", [.log(file: 0)], true, true, 64, ["block 64"]),
                    ("log, then normalize", [.log(file: 0), Self.lift], false, false, 99, ["pass 64"]),
                    ("normalize, then log", [Self.lift, .log(file: 0)], false, false, 99, ["pass 99"]),
                    (
                        "log around a block", [.log(file: 0), Self.blockAll, Self.lift, .log(file: 0)], false, true, 64,
                        ["pass 64", "block 64"]
                    ),
                    (
                        "changed, then blocked", [Self.lift, Self.blockAll, .log(file: 0)], false, true, 99,
                        ["block 99"]
                    ),
                ]
        for (name, steps, wasBlocked, isBlocked, ttl, expected) in table {
            let log = PacketLog()
            var steps = ProcedureSteps(steps, seed: 0, workers: 1)
            var packet = ipv4(.tcp, tcp(.syn, options: mss(1460)))
            try mend(&packet)
            let outcome = try steps.run(&packet, isBlocked: wasBlocked, log: log)
            #expect(outcome.isBlocked == isBlocked, "\(name)")
            #expect(outcome.isChanged == (ttl != 64), "\(name)")
            #expect(outcome.script == -1, "\(name)")
            #expect(packet[8] == ttl, "\(name)")
            #expect(try hasValidChecksums(packet), "\(name)")
            let contents = log.contents()
            #expect(
                contents.map { "\($0.packet.isBlocked ? "block" : "pass") \($0.bytes[8])" } == expected, "\(name)")
            for (_, bytes) in contents { #expect(try hasValidChecksums(bytes), "\(name): in the log") }
        }
    }

    @Test func `a script is asked for, and the steps go on behind it`() throws {
        let log = PacketLog()
        var steps = ProcedureSteps(
            [Self.lift, .script(7), .log(file: 0), .script(8), .log(file: 1)], seed: 0, workers: 1)
        var packet = ipv4(.udp, udp())
        let first = try steps.run(&packet, log: log)
        #expect(first.words == "pass, changed, script 7, then 2")
        #expect(try hasValidChecksums(packet))
        let second = try steps.run(from: first.next, &packet, isBlocked: first.isBlocked, log: log)
        #expect(second.words == "pass, as it was, script 8, then 4")
        // The script has blocked it: scripts and logs see blocked packets.
        let third = try steps.run(from: second.next, &packet, isBlocked: true, log: log)
        #expect(third.words == "block, as it was, script -1, then 5")
        #expect(log.contents().map { "\($0.packet.file) \($0.packet.isBlocked)" } == ["0 false", "1 true"])

        let blocked = try steps.run(&packet, isBlocked: true, log: log)
        #expect(blocked.words == "block, as it was, script 7, then 2")
    }

    @Test func `each step keeps its own count`() throws {
        let log = PacketLog()
        var steps = ProcedureSteps(
            [
                .randomBlock(try RandomBlockParameters(modulus: 3)),
                .randomBlock(try RandomBlockParameters(modulus: 2)),
            ], seed: 0, workers: 1)
        var packet = ipv4(.udp, udp())
        // The second one does not count what the first has blocked: packets 1, 2, 4, 5, 7, 8.
        let blocked = try (1...9).filter { _ in try steps.run(&packet, log: log).isBlocked }
        #expect(blocked == [2, 3, 5, 6, 8, 9])
    }

    @Test func `rates count the whole packet, also what the queue does not show`() throws {
        let log = PacketLog()
        func passed(_ originalLength: Int?, workers: Int = 1) throws -> Int {
            let limit = try RateLimitParameters(bitrate: 8, normalBurst: 280_000, extendedBurst: 1)
            var steps = ProcedureSteps([.rateLimit(limit)], seed: 0, workers: workers)
            var packet = ipv4(.udp, udp())
            return try (0..<20_000).count { _ in
                try !steps.run(&packet, log: log, originalLength: originalLength).isBlocked
            }
        }
        #expect(try passed(nil) == 10_000)
        #expect(try passed(2_800) == 100)
        #expect(try passed(2_800, workers: 2) == 50)
    }

    @Test func `the time limits rates`() throws {
        let log = PacketLog()
        let limit = try RateLimitParameters(bitrate: 8 * 28, normalBurst: 28, extendedBurst: 1)
        var steps = ProcedureSteps([.rateLimit(limit)], seed: 0, workers: 1)
        var packet = ipv4(.udp, udp())
        let passed = try (0..<100).filter { try !steps.run(&packet, log: log, time: Int64($0) * 500_000_000).isBlocked }
        #expect(passed == Array(stride(from: 0, to: 100, by: 2)))
    }

    @Test func `what is random differs from step to step and from seed to seed`() throws {
        let log = PacketLog()
        func identifications(seed: UInt64) throws -> [[UInt8]] {
            let step = ProcedureStep.normalize(try NormalizeParameters(randomID: true))
            var steps = ProcedureSteps([step, .log(file: 0), step, .log(file: 0)], seed: seed, workers: 1)
            var packet = ipv4(.udp, udp())
            _ = try steps.run(&packet, log: log)
            return log.contents().map { Array($0.bytes[4..<6]) }
        }
        let (first, second) = (try identifications(seed: 1), try identifications(seed: 2))
        #expect(Set(first + second).count == 4)
        #expect(try identifications(seed: 1) == first)
    }

    @Test func `running allocates nothing`() throws {
        let log = PacketLog(capacity: 1 << 16)
        var steps = ProcedureSteps(
            [
                .normalize(try NormalizeParameters(randomID: true, noDF: true, minimumTTL: 99, maximumMSS: 1400)),
                .randomBlock(try RandomBlockParameters(modulus: 5, hundredths: 1_000)),
                .rateLimit(try RateLimitParameters(bitrate: 1_000_000)), .script(0), .log(file: 0),
            ], seed: 0, workers: 2)
        var packets = [
            ipv4(.tcp, tcp(.syn, options: mss(1460)), fragmentField: 0x4000), ipv4(.udp, udp([1, 2, 3])),
            ipv6(.tcp, tcp(.syn, options: mss(1460))), ipv4(.tcp, tcp(.ack, payload: .zeros(65_000))),
        ]
        let headers = try packets.map { try parse($0) }
        let interface: StaticString = "eth0"
        var blocked = 0
        let before = allocation_count()
        for round in 0..<100_000 {
            let context = unsafe ProcedureContext(
                interfaceName: UnsafeRawPointer(interface.utf8Start).assumingMemoryBound(to: CChar.self),
                direction: .out, time: 0, clock: Int64(round) * 10_000, rule: 1, originalLength: 1_000)
            unsafe packets[round % 4].withUnsafeMutableBytes {
                let outcome = unsafe steps.run(
                    $0, headers: headers[round % 4], context: context, isBlocked: false, log: log)
                let last = unsafe steps.run(
                    from: outcome.next, $0, headers: headers[round % 4], context: context,
                    isBlocked: outcome.isBlocked, log: log)
                if last.isBlocked { blocked += 1 }
            }
        }
        #expect(allocation_count() == before)
        #expect(blocked > 20_000 && log.lostPackets > 0)
    }
}
