import Engine
import Packet
import Procedures
import TestSupport
import Testing

/// Packets of which the queue shows less than there is.
@Suite struct CopyLengthTests {
    private static let script = [
        "filter.lua": "function filter(h, p, c) return c.length == 1000 and #h + #p == 256 end"
    ]

    @Test func queuesCopyWhatAnythingMayLookAt() throws {
        func rules(_ call: String, _ rule: String = "pass all", before: String = "") -> String {
            "\(before)procedure \"p\" { \(call) }\ngroup default {\n\t\(rule)\n}\n"
        }
        let folder = try ScriptFolder(Self.script.merging(["match.lua": "function match(pkt) end"]) { $1 })
        let whole = 65_531
        let table: [(rules: String, length: Int)] = [
            ("group default {\n\tpass stateful all\n}\n", 256),
            (rules("rndblock: mod 3"), 256), (rules("ratelimit: bitrate 1m"), 256),
            // One that no rule applies may be a connection's.
            (rules("lua: call filter"), whole), (rules("log: npflog0"), whole),
            (rules("normalize: \"no-df\""), whole),
            (rules("rndblock: mod 3", "pass all lua-filter \"match.lua\""), whole),
            (rules("rndblock: mod 3", "pass pcap-filter \"greater 500\""), whole),
            (rules("lua: call filter", before: "set queue.bytes 300\n"), 300),
            (rules("rndblock: mod 3", before: "set queue.bytes 1k\n"), 1024),
        ]
        for (rules, length) in table { #expect(try folder.load(rules).copyLength == length, "\(rules)") }
        let scripted = try folder.load(rules("lua: call filter"))
        #expect(LoadedConfiguration.empty(keeping: scripted).copyLength == 256)
    }

    @Test func aCutPacketIsDecidedByItsWholeLength() throws {
        let folder = try ScriptFolder(Self.script)
        let packet = ipv4(.udp, udp(.zeros(972)))
        #expect(packet.count == 1000)
        for (rules, verdict) in [
            ("group default {\n\tpass all\n}\n", Verdict.pass),
            ("group default {\n\tpass pcap-filter \"greater 1000\"\n}\n", .pass),
            ("group default {\n\tpass pcap-filter \"less 999\"\n}\n", .block),
            ("group default {\n\tpass pcap-filter \"ip[500] = 0\"\n}\n", .block),
            ("procedure \"p\" { lua: call filter }\ngroup default {\n\tpass all apply \"p\"\n}\n", .pass),
            (
                "procedure \"p\" { normalize: \"min-ttl\" 200 }\ngroup default {\n\tpass all apply \"p\"\n}\n", .pass
            ),
        ] {
            var filter = try Filter(try folder.load(rules), seed: 1)
            var cut = Array(packet.prefix(256))
            let decision = filter.decide(&cut, originalLength: 1000)
            #expect(decision.verdict == verdict && !decision.isChanged, "\(rules)")
        }
    }

    @Test func headersThatWereCutAreBlocked() throws {
        let folder = try ScriptFolder([:])
        let packet = ipv4(.tcp, tcp(.syn))
        var filter = try Filter(try folder.load("group default {\n\tpass all\n}\n"), seed: 1)
        for length in [packet.count, 1000] {
            var cut = Array(packet.prefix(30))
            let decision = filter.decide(&cut, originalLength: length)
            #expect(decision.verdict == .block && decision.cause == .malformed)
        }
    }

    @Test func errorsAboutOthersConnectionsAreForTheNextWorker() throws {
        let folder = try ScriptFolder([:])
        let configuration = try folder.load(
            "group default {\n\tblock all\n\tpass stateful out proto udp to any port 53\n}\n")
        let router = Address("203.0.113.1")!
        let query = ipv4(.udp, udp(), from: alice, to: bob)
        let error = ipv4(.icmp, [3, 3, 0, 0, 0, 0, 0, 0] + query, from: router, to: alice)
        let echo = ipv4(.icmp, [8, 0, 0, 0, 0, 0, 0, 0], from: router, to: alice)
        func filter(_ worker: Int) throws -> Filter {
            let totals = TotalCounters()
            return try Filter(
                configuration, totals: totals, messages: ScriptLog(totals: totals), log: PacketLog(), seed: 1,
                worker: worker, of: 2)
        }
        for worker in 0..<2 {
            var filter = try filter(worker)
            var packet = error
            let unknown = filter.decide(&packet, originalLength: error.count)
            #expect(unknown.isForNextWorker == (worker == 0), "worker \(worker)")
            #expect(unknown.verdict == .block, "worker \(worker)")
            packet = echo
            #expect(!filter.decide(&packet, originalLength: echo.count).isForNextWorker, "worker \(worker)")
            packet = query
            #expect(filter.decide(&packet, direction: .out, originalLength: query.count).state == .created)
            packet = error
            let known = filter.decide(&packet, originalLength: error.count)
            #expect(known.verdict == .pass && known.state == .known && !known.isForNextWorker, "worker \(worker)")
        }
    }
}

extension Filter {
    fileprivate mutating func decide(
        _ packet: inout [UInt8], direction: Direction = .in, originalLength: Int
    ) -> Decision {
        unsafe packet.withUnsafeMutableBytes { bytes in
            unsafe "eth0".withCString { name in
                unsafe decide(
                    bytes,
                    from: PacketOrigin(
                        interface: 0, interfaceName: name, direction: direction, time: 1_000, clock: 1_000,
                        originalLength: originalLength))
            }
        }
    }
}
