import CaptureFile
import Testing

struct PcapngTests {
    @Test(arguments: [false, true])
    func `reads packets with their interfaces and directions`(isBigEndian: Bool) throws {
        var builder = CaptureBuilder(isBigEndian: isBigEndian)
        builder.putSection()
        builder.putInterface(options: [(1, Array("a comment".utf8)), (2, Array("eth0".utf8))])
        builder.putInterface(linkType: 1, options: [(2, Array("br-lan.5".utf8)), (9, [9])])
        let start: UInt64 = 1_700_000_000
        builder.putPacket(ticks: start * 1_000_000 + 7, ipv4Packet, options: [(2, builder.value(1 as UInt32))])
        builder.putPacket(
            interface: 1, ticks: start * 1_000_000_000 + 8, LinkLayerTests.macs + [0x86, 0xdd] + ipv6Packet,
            originalLength: 2000, options: [(1, [65]), (2, builder.value(0xffff_fffe as UInt32))])
        builder.putPacket(ticks: start * 1_000_000, ipv4Packet, options: [(2, builder.value(4 as UInt32))])
        builder.putPacket(ticks: start * 1_000_000, ipv4Packet)
        let (packets, error) = read(builder.bytes)
        #expect(error == nil)
        try #require(packets.count == 4)
        #expect(packets.map(\.number) == [1, 2, 3, 4])
        #expect(packets.map(\.time) == [7000, 8, 0, 0].map { 1_700_000_000_000_000_000 + $0 })
        #expect(packets.map(\.interfaceName) == ["eth0", "br-lan.5", "eth0", "eth0"])
        #expect(packets.map(\.direction) == [.in, .out, nil, nil])
        #expect(packets.map(\.originalLength) == [21, 2000, 21, 21])
        #expect(
            packets.map { $0.packet.map { Array(builder.bytes[$0]) } } == [
                ipv4Packet, ipv6Packet, ipv4Packet, ipv4Packet,
            ])
    }

    /// The if_tsresol, a number of ticks, the nanoseconds that they are.
    @Test(
        arguments: [
            (0, 1_700_000_000, 1_700_000_000_000_000_000), (3, 1500, 1_500_000_000), (6, 1, 1000),
            (9, UInt64(Int64.max), Int64.max),
            (12, 1_999, 1), (19, 18_000_000_000_000_000_000, 1_800_000_000), (0x80, 5, 5_000_000_000),
            (0x8a, 1536, 1_500_000_000),
            (0xa0, 1 << 31, 500_000_000), (0xbf, 1 << 62, 500_000_000),
        ] as [(UInt8, UInt64, Int64)])
    func `reads times of every resolution`(resolution: UInt8, ticks: UInt64, nanoseconds: Int64) {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putSection()
        builder.putInterface(options: [(9, [resolution])])
        builder.putPacket(ticks: ticks, ipv4Packet)
        #expect(read(builder.bytes).packets.first?.time == nanoseconds)
    }

    @Test(arguments: [(100, 101_000_000_000), (-100, -99_000_000_000)] as [(Int64, Int64)])
    func `adds the interface's epoch`(epoch: Int64, nanoseconds: Int64) {
        for isBigEndian in [false, true] {
            var builder = CaptureBuilder(isBigEndian: isBigEndian)
            builder.putSection()
            builder.putInterface(options: [(14, builder.value(epoch))])
            builder.putPacket(ticks: 1_000_000, ipv4Packet)
            #expect(read(builder.bytes).packets.first?.time == nanoseconds)
        }
    }

    @Test func `options end where the file says so`() {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putSection()
        builder.putInterface(options: [(2, Array("eth0".utf8)), (0, []), (2, Array("eth1".utf8))])
        builder.putPacket(ticks: 1, ipv4Packet)
        #expect(read(builder.bytes).packets.map(\.interfaceName) == ["eth0"])
    }

    @Test func `sections begin anew, in a byte order of their own`() {
        var first = CaptureBuilder(isBigEndian: false)
        first.putSection()
        first.putInterface(options: [(2, Array("eth0".utf8))])
        first.putPacket(ticks: 1, ipv4Packet)
        var second = CaptureBuilder(isBigEndian: true)
        second.putSection()
        second.putInterface(linkType: 229, options: [(2, Array("eth1".utf8))])
        second.putPacket(ticks: 2, ipv6Packet)
        let (packets, error) = read(first.bytes + second.bytes + first.bytes)
        #expect(error == nil)
        #expect(packets.map(\.interfaceName) == ["eth0", "eth1", "eth0"])
        #expect(packets.map(\.time) == [1000, 2000, 1000])
        #expect(packets.map(\.number) == [1, 2, 3])
    }

    @Test func `an interface of a section before is not known`() {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putSection()
        builder.putInterface()
        builder.putSection()
        let offset = builder.bytes.count
        builder.putPacket(ticks: 1, ipv4Packet)
        #expect(
            read(builder.bytes).error?.description
                == "byte \(offset): this packet is from interface 0, which the file has not described")
    }

    @Test func `passes over blocks that it does not know`() {
        var builder = CaptureBuilder(isBigEndian: true)
        builder.putSection()
        builder.putBlock(5) { $0.put(0 as UInt32) }
        builder.putInterface()
        builder.putBlock(0x8000_0bad) { _ in }
        builder.putBlock(4) { $0.put(1 as UInt32, 2 as UInt32) }
        builder.putPacket(ticks: 1, ipv4Packet)
        builder.putBlock(10) { $0.put(1 as UInt32) }
        let (packets, error) = read(builder.bytes)
        #expect(packets.count == 1)
        #expect(error == nil)
    }

    @Test func `simple packets have the time of the packet before`() throws {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putSection()
        builder.putInterface(snapLength: 24, options: [(2, Array("eth0".utf8))])
        builder.putPacket(ticks: 5, ipv4Packet)
        builder.putBlock(3) {
            $0.put(21 as UInt32)
            $0.putPadded(ipv4Packet)
        }
        builder.putBlock(3) {
            $0.put(40 as UInt32)
            $0.putPadded(Array(ipv6Packet.prefix(24)))
        }
        let (packets, error) = read(builder.bytes)
        #expect(error == nil)
        try #require(packets.count == 3)
        #expect(packets.map(\.time) == [5000, 5000, 5000])
        #expect(packets.map(\.interfaceName) == ["eth0", "eth0", "eth0"])
        #expect(packets[1].packet.map { Array(builder.bytes[$0]) } == ipv4Packet)
        #expect(packets[2].packet?.count == 24)
        #expect(packets[2].originalLength == 40)
    }

    @Test func `reads the obsolete packet block`() {
        for isBigEndian in [false, true] {
            var builder = CaptureBuilder(isBigEndian: isBigEndian)
            builder.putSection()
            builder.putInterface()
            builder.putInterface(options: [(2, Array("eth1".utf8))])
            builder.putBlock(2) {
                $0.put(1 as UInt16, 7 as UInt16, 0 as UInt32, 3 as UInt32, 21 as UInt32, 21 as UInt32)
                $0.putPadded(ipv4Packet)
                $0.put(2 as UInt16, 4 as UInt16, 2 as UInt32)
            }
            let packet = read(builder.bytes).packets.first
            #expect(packet?.interfaceName == "eth1")
            #expect(packet?.time == 3000)
            #expect(packet?.direction == .out)
            #expect(packet?.packet.map { Array(builder.bytes[$0]) } == ipv4Packet)
        }
    }

    @Test func `a file cut in a block gives the packets before it`() {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putSection()
        builder.putInterface()
        builder.putPacket(ticks: 1, ipv4Packet)
        let whole = builder.bytes.count
        builder.putPacket(ticks: 2, ipv4Packet)
        for count in (whole + 1)..<builder.bytes.count {
            let (packets, error) = read(Array(builder.bytes.prefix(count)))
            #expect(packets.count == 1, "cut to \(count)")
            #expect(error?.offset == whole, "cut to \(count)")
            #expect(error?.message.contains("cut, or is still being written") == true, "cut to \(count)")
        }
    }

    /// What is put behind a section header and an interface, and what is said of it.
    @Test(
        arguments: [
            ("length 0", [6, 0], "a block of 0 bytes cannot be: the file is damaged here"),
            ("length 8", [6, 8], "a block of 8 bytes cannot be: the file is damaged here"),
            ("length 33", [6, 33], "a block of 33 bytes cannot be: the file is damaged here"),
            (
                "absurd length", [6, 0xffff_fffc],
                "the file ends 4294967284 bytes before this record does: it was cut, or is still being written"
            ),
            ("two lengths", [6, 16, 0, 20], "this block's two lengths, 16 and 20, differ: the file is damaged here"),
            (
                "no room for a packet", [6, 16, 0, 16],
                "this block is 4 bytes too short for what it should hold: the file is damaged here"
            ),
            (
                "a frame beyond its block", [6, 36, 0, 0, 0, 5, 5, 0x45, 36],
                "this block is 1 bytes too short for what it should hold: the file is damaged here"
            ),
            (
                "an absurd frame", [6, 36, 0, 0, 0, 0xffff_ffff, 5, 0x45, 36],
                "this block is 4294967291 bytes too short for what it should hold: the file is damaged here"
            ),
            (
                "an option beyond its block", [6, 40, 0, 0, 0, 4, 4, 0x45, 0x0008_0002, 40],
                "this block is 8 bytes too short for what it should hold: the file is damaged here"
            ),
            (
                "flags of two bytes", [6, 44, 0, 0, 0, 4, 4, 0x45, 0x0002_0002, 1, 44],
                "this block is 2 bytes too short for what it should hold: the file is damaged here"
            ),
            (
                "a simple packet beyond its block", [3, 20, 5, 0x45, 20],
                "this block is 1 bytes too short for what it should hold: the file is damaged here"
            ),
            (
                "an unknown interface", [6, 36, 1, 0, 0, 4, 4, 0x45, 36],
                "this packet is from interface 1, which the file has not described"
            ),
            (
                "a time centuries away", [6, 36, 0, 0xffff_ffff, 0, 4, 4, 0x45, 36],
                "this packet's time is out of range"
            ),
            (
                "a wrong magic", [0x0a0d_0d0a, 28, 0x1a2b_3c4e, 1, 0, 0, 28],
                "this section's byte-order magic is wrong: the file is damaged here"
            ),
            (
                "a new version", [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 2, 0, 0, 28],
                "version 2 of the pcapng format cannot be read, only version 1"
            ),
            (
                "a resolution of 10^-20 s", [1, 28, 101, 0, 0x0001_0009, 20, 28],
                "times of a resolution of 10^-20 seconds cannot be read"
            ),
            (
                "a resolution of 2^-64 s", [1, 28, 101, 0, 0x0001_0009, 0xc0, 28],
                "times of a resolution of 2^-64 seconds cannot be read"
            ),
        ] as [(String, [UInt32], String)])
    func `rejects damaged blocks`(_ name: String, words: [UInt32], message: String) {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putSection()
        builder.putInterface()
        let offset = builder.bytes.count
        for word in words { builder.put(word) }
        #expect(read(builder.bytes).error?.description == "byte \(offset): \(message)")
        #expect(read(builder.bytes).packets.isEmpty)
    }

    @Test func `rejects a file whose first section is damaged`() {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putSection(major: 3)
        #expect(throws: CaptureFileError.self) { try CaptureFile(builder.bytes) }
        builder.bytes = []
        builder.putSection()
        for count in 4..<builder.bytes.count {
            #expect(throws: CaptureFileError.self) { try CaptureFile(Array(builder.bytes.prefix(count))) }
        }
    }
}
