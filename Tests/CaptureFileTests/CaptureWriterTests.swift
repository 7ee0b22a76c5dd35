import CaptureFile
import Glibc
import Testing

struct CaptureWriterTests {
    static let hasTcpdump = unsafe access("/usr/bin/tcpdump", X_OK) == 0

    struct Sent: Sendable {
        var packet: [UInt8]
        var time: Int64
        var interface: String?
        var direction: CaptureDirection?
        var originalLength: Int?
        var comment: String?
    }

    static let sent = [
        Sent(packet: ipv4Packet, time: 1_700_000_000_123_456_789, interface: "eth0", direction: .in),
        Sent(
            packet: ipv6Packet, time: 1_700_000_000_123_456_790, interface: "eth1", direction: .out,
            originalLength: 1500, comment: "block, rule: “all”"),
        Sent(packet: ipv4Packet, time: 0, interface: nil, direction: nil, comment: ""),
        Sent(packet: ipv4Packet, time: 2_147_483_647_999_999_999, interface: "eth0", direction: .out),
    ]

    static func written(_ format: CaptureWriter.Format) -> [UInt8] {
        var writer = CaptureWriter(format)
        for packet in sent {
            writer.append(
                packet.packet, time: packet.time, interface: packet.interface, direction: packet.direction,
                originalLength: packet.originalLength, comment: packet.comment)
        }
        return writer.bytes
    }

    @Test(arguments: [CaptureWriter.Format.pcap, .pcapng])
    func `the reader gives what was written`(format: CaptureWriter.Format) throws {
        let bytes = Self.written(format)
        let (packets, error) = read(bytes)
        #expect(error == nil)
        try #require(packets.count == Self.sent.count)
        for (packet, sent) in zip(packets, Self.sent) {
            #expect(packet.packet.map { Array(bytes[$0]) } == sent.packet)
            #expect(packet.time == sent.time)
            let linkLength = format == .pcapng ? 14 : 0
            #expect(packet.originalLength == linkLength + (sent.originalLength ?? sent.packet.count))
            #expect(packet.interfaceName == (format == .pcapng ? sent.interface : nil))
            #expect(packet.direction == (format == .pcapng ? sent.direction : nil))
            #expect(
                packet.comment.map { Array(bytes[$0]) }
                    == (format == .pcapng ? sent.comment.map { Array($0.utf8) } : nil))
        }
    }

    @Test func `brings times into the range of the format`() {
        for (format, latest) in [(CaptureWriter.Format.pcap, 4_294_967_295), (.pcapng, Int64.max / 1_000_000_000)] {
            var writer = CaptureWriter(format)
            writer.append(ipv4Packet, time: -1)
            writer.append(ipv4Packet, time: Int64.max)
            #expect(read(writer.bytes).packets.map { $0.time / 1_000_000_000 } == [0, latest])
        }
    }

    @Test func `cuts packets longer than any capture has`() {
        for (format, linkLength) in [(CaptureWriter.Format.pcap, 0), (.pcapng, 14)] {
            var writer = CaptureWriter(format)
            writer.append([0x60] + Array(repeating: 0, count: 300_000), time: 0)
            let packet = read(writer.bytes).packets.first
            #expect(packet?.packet?.count == 262_144 - linkLength)
            #expect(packet?.originalLength == 300_001 + linkLength)
        }
    }

    @Test func `cuts packets to the snap length`() {
        for format in [CaptureWriter.Format.pcap, .pcapng] {
            var writer = CaptureWriter(format, snapLength: 20)
            writer.append(ipv4Packet, time: 0)
            let packet = read(writer.bytes).packets.first
            #expect(packet?.packet.map { Array(writer.bytes[$0]) } == Array(ipv4Packet.prefix(20)))
            #expect(packet?.originalLength == ipv4Packet.count + (format == .pcap ? 0 : 14))
        }
    }

    @Test func `cuts comments between two characters`() throws {
        for (comment, length) in [
            (String(repeating: "a", count: 65_535), 65_535), (String(repeating: "a", count: 65_536), 65_535),
            (String(repeating: "ü", count: 40_000), 65_534), ("a" + String(repeating: "ü", count: 40_000), 65_535),
            (String(repeating: "€", count: 40_000), 65_535), (String(repeating: "😀", count: 20_000), 65_532),
        ] {
            var writer = CaptureWriter(.pcapng)
            writer.append(ipv4Packet, time: 0, comment: comment)
            let range = try #require(read(writer.bytes).packets.first?.comment)
            #expect(range.count == length)
            #expect(String(validating: writer.bytes[range], as: UTF8.self).map { comment.hasPrefix($0) } == true)
        }
    }

    @Test func `a file taken in pieces is the same file`() {
        var whole = CaptureWriter(.pcapng)
        var pieces = CaptureWriter(.pcapng)
        var bytes = pieces.takeBytes()
        for packet in Self.sent {
            whole.append(packet.packet, time: packet.time, interface: packet.interface)
            pieces.append(packet.packet, time: packet.time, interface: packet.interface)
            bytes += pieces.takeBytes()
        }
        #expect(pieces.bytes.isEmpty)
        #expect(bytes == whole.bytes)
    }

    @Test(
        .enabled(if: hasTcpdump, "tcpdump is not installed"),
        arguments: [CaptureWriter.Format.pcap, .pcapng])
    func `tcpdump reads what was written`(format: CaptureWriter.Format) throws {
        let output = try tcpdump(reading: Self.written(format))
        // The name of the payload's protocol depends on the version of tcpdump.
        let heads = output.map { $0.split(separator: "  ")[0] }
        #expect(
            heads == [
                "1700000000.123456789 IP 192.0.2.1 > 198.51.100.7:",
                "1700000000.123456790 IP6 101:101:101:101:101:101:101:101 > 101:101:101:101:101:101:101:101: no next header",
                "0.000000000 IP 192.0.2.1 > 198.51.100.7:",
                "2147483647.999999999 IP 192.0.2.1 > 198.51.100.7:",
            ])
    }

    /// The lines that tcpdump prints for a file.
    private func tcpdump(reading bytes: [UInt8]) throws -> [String] {
        var path = Array("/tmp/npflua-capture-XXXXXX".utf8CString)
        let descriptor = unsafe path.withUnsafeMutableBufferPointer { unsafe mkstemp($0.baseAddress!) }
        try #require(descriptor >= 0)
        defer {
            close(descriptor)
            _ = unsafe unlink(path)
        }
        try #require(unsafe write(descriptor, bytes, bytes.count) == bytes.count)

        let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let pipe = try unsafe #require(popen("tcpdump -n -tt --nano -r \(name) 2>/dev/null", "r"))
        var output: [UInt8] = []
        while case let byte = unsafe getc(pipe), byte != EOF { output.append(UInt8(byte)) }
        #expect(unsafe pclose(pipe) == 0)
        return String(decoding: output, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
