import CaptureFile
import Glibc
import Packet
import Procedures
import SystemSupport
import TestSupport
import Testing

struct PacketLogFileTests {
    /// A folder of its own for a test, which is gone afterwards.
    private func withFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/npflua-log-XXXXXX".utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) != nil }
        try #require(made)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { _ = try? Command.run(["rm", "-r", folder]) }
        try body(folder)
    }

    /// Logs a packet the way it goes in the daemon: by a procedure, through the ring.
    private func put(
        _ packet: [UInt8], into file: inout PacketLogFile, isBlocked: Bool = false, direction: Direction = .in,
        interface: StaticString = "eth0", time: Int64 = 0, originalLength: Int? = nil, rule: String = "pass all"
    ) throws {
        let log = PacketLog()
        var steps = ProcedureSteps([.log(file: 0)], seed: 0, workers: 1)
        var packet = packet
        _ = try steps.run(
            &packet, isBlocked: isBlocked, log: log, interface: interface, direction: direction, time: time,
            originalLength: originalLength)
        for (packet, bytes) in log.contents() {
            unsafe bytes.withUnsafeBytes { unsafe file.append(packet, bytes: $0, rule: rule) }
        }
    }

    private struct Read: Equatable {
        var packet: [UInt8]
        var interface: String?
        var direction: CaptureDirection?
        var time: Int64
        var length: Int
        var comment: String?
    }

    private func read(_ path: String) throws -> [Read] {
        let bytes = try File.read(path, limit: 1 << 26)
        var file = try CaptureFile(bytes)
        var packets: [Read] = []
        while let packet = try file.next() {
            packets.append(
                Read(
                    packet: packet.packet.map { Array(bytes[$0]) } ?? [], interface: packet.interfaceName,
                    direction: packet.direction, time: packet.time, length: packet.originalLength,
                    comment: packet.comment.map { String(decoding: bytes[$0], as: UTF8.self) }))
        }
        return packets
    }

    private func files(in folder: String) throws -> [String] {
        try Command.run(["ls", folder]).output.split(separator: "\n").map(String.init)
    }

    @Test func `a log reads as it was written`() throws {
        try withFolder { folder in
            let path = "\(folder)/npflog0.pcapng"
            var file = PacketLogFile(path: path)
            try file.flush()
            #expect(try files(in: folder).isEmpty, "no file without a packet")
            let (first, second) = (ipv4(.udp, udp([1])), ipv6(.tcp, tcp(.syn)))
            try put(first, into: &file, time: 1_700_000_000_123_456_789, rule: "npf.conf:3: pass in all apply \"x\"")
            try file.flush()
            try put(second, into: &file, isBlocked: true, direction: .out, interface: "br-lan.5", rule: "")
            try file.flush()
            try put(first, into: &file, interface: "", time: 5, originalLength: 1500, rule: "block “ü”")
            try file.flush()
            try file.flush()
            #expect(
                try read(path) == [
                    Read(
                        packet: first, interface: "eth0", direction: .in, time: 1_700_000_000_123_456_789, length: 43,
                        comment: "pass, rule: npf.conf:3: pass in all apply \"x\""),
                    Read(
                        packet: second, interface: "br-lan.5", direction: .out, time: 0, length: 74, comment: "block"),
                    Read(
                        packet: first, interface: nil, direction: .in, time: 5, length: 1514,
                        comment: "pass, rule: block “ü”"),
                ])
            #expect(file.lostPackets == 0)
            #expect(try Command.run(["stat", "-c", "%a", path]).output == "640\n")
        }
    }

    @Test func `tcpdump reads a log`() throws {
        try withFolder { folder in
            let path = "\(folder)/npflog0.pcapng"
            var file = PacketLogFile(path: path, snapLength: 60)
            for index in 0..<3 {
                var packet = ipv4(.tcp, tcp(.syn, payload: .zeros(100 * index)))
                try mend(&packet)
                try put(
                    packet, into: &file, direction: index == 1 ? .out : .in, interface: index == 2 ? "eth1" : "eth0",
                    time: Int64(index) * 1_000_000_000)
            }
            try file.flush()
            let output = try Command.run(["tcpdump", "-n", "-tt", "-r", path]).output
            let lines = output.split(separator: "\n").map { $0.split(separator: "  ").first.map(String.init) ?? "" }
            #expect(
                lines
                    == (0..<3).map {
                        "\($0).000000 IP 192.0.2.1.40000 > 198.51.100.7.22: Flags [S], seq 1000"
                            + ($0 == 0 ? "" : ":1\($0)00") + ", win 65535, length \($0 * 100)"
                    }, "\(output)")
        }
    }

    @Test func `full files move on, and the oldest go`() throws {
        try withFolder { folder in
            let path = "\(folder)/a.pcapng"
            var file = PacketLogFile(path: path, maximumSize: 10_000, keptFiles: 2)
            for number in 0..<100 {
                try put(ipv4(.udp, udp(.zeros(900))), into: &file, time: Int64(number), rule: "r")
                if number % 7 == 0 { try file.flush() }
            }
            try file.flush()
            #expect(try files(in: folder) == ["a.pcapng", "a.pcapng.1", "a.pcapng.2"])
            var times: [Int64] = []
            for name in ["a.pcapng.2", "a.pcapng.1", "a.pcapng"] {
                #expect(try File.read("\(folder)/\(name)", limit: 1 << 20).count <= 10_000)
                let packets = try read("\(folder)/\(name)")
                #expect(packets.allSatisfy { $0.interface == "eth0" && $0.packet.count == 928 })
                times += packets.map(\.time)
            }
            // Without a gap up to the last.
            #expect(times == Array(times[0]..<100))
            #expect(times.count > 15)
            #expect(file.lostPackets == 0)
        }
    }

    @Test func `a packet larger than a file has one of its own`() throws {
        try withFolder { folder in
            let path = "\(folder)/a.pcapng"
            var file = PacketLogFile(path: path, maximumSize: 500, keptFiles: 0)
            for number in 0..<3 { try put(ipv4(.udp, udp(.zeros(900))), into: &file, time: Int64(number)) }
            try file.flush()
            #expect(try files(in: folder) == ["a.pcapng"])
            #expect(try read(path).map(\.time) == [2])
        }
    }

    @Test func `what another has left is kept`() throws {
        try withFolder { folder in
            let path = "\(folder)/a.pcapng"
            #expect(try Command.run(["sh", "-c", "printf half >\(path); printf old >\(path).1"]).status == 0)
            var file = PacketLogFile(path: path)
            try put(ipv4(.udp, udp()), into: &file)
            try file.flush()
            #expect(try files(in: folder) == ["a.pcapng", "a.pcapng.1", "a.pcapng.2"])
            #expect(try File.read("\(path).1", limit: 100) == Array("half".utf8))
            #expect(try File.read("\(path).2", limit: 100) == Array("old".utf8))
            #expect(try read(path).count == 1)
        }
    }

    @Test func `a failure is told once, counted, and over when its cause is`() throws {
        try withFolder { folder in
            let path = "\(folder)/later/a.pcapng"
            var file = PacketLogFile(path: path)
            for _ in 0..<3 { try put(ipv4(.udp, udp()), into: &file) }
            do {
                try file.flush()
                Issue.record("no folder, no failure")
            } catch {
                #expect("\(error)" == "cannot log packets to \(path): No such file or directory")
            }
            #expect(file.lostPackets == 3)
            try file.flush()
            #expect(try Command.run(["mkdir", "\(folder)/later"]).status == 0)
            try put(ipv4(.udp, udp()), into: &file, time: 9)
            try file.flush()
            #expect(try read(path).map(\.time) == [9])
            #expect(file.lostPackets == 3)
        }
    }

    /// The disk is full in the middle of a block; in a process of its own, as the limit holds for all files.
    @Test func `a full disk leaves a readable file`() async {
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            func limitFiles(to size: UInt) {
                var limit = rlimit()
                unsafe getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
                limit.rlim_cur = size
                unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            }
            let tests = PacketLogFileTests()
            try tests.withFolder { folder in
                let path = "\(folder)/a.pcapng"
                var file = PacketLogFile(path: path)
                try tests.put(ipv4(.udp, udp(.zeros(100))), into: &file, time: 1)
                try file.flush()
                limitFiles(to: 1_000)
                try tests.put(ipv4(.udp, udp(.zeros(1_000))), into: &file, interface: "eth1", time: 2)
                let error = #expect(throws: SystemError.self) { try file.flush() }
                #expect(error?.description == "cannot log packets to \(path): File too large")
                limitFiles(to: 1 << 30)
                try tests.put(ipv4(.udp, udp(.zeros(100))), into: &file, interface: "eth1", time: 3)
                try file.flush()
                let packets = try tests.read(path)
                #expect(packets.map(\.time) == [1, 3] && packets.map(\.interface) == ["eth0", "eth1"])
                #expect(file.lostPackets == 1)
                #expect(try Command.run(["tcpdump", "-r", path]).output.split(separator: "\n").count == 2)
            }
        }
    }
}
