import CaptureFile
import Testing

struct PcapTests {
    @Test(arguments: [false, true])
    func `reads both byte orders and both resolutions`(isBigEndian: Bool) throws {
        for (magic, nanosecondsPerTick) in [(0xa1b2_c3d4 as UInt32, 1000 as Int64), (0xa1b2_3c4d, 1)] {
            var builder = CaptureBuilder(isBigEndian: isBigEndian)
            builder.putPcapHeader(magic: magic)
            builder.putRecord(seconds: 1_700_000_000, fraction: 123_456, ipv4Packet)
            builder.putRecord(seconds: UInt32.max, fraction: 999_999, ipv6Packet, originalLength: 1500)
            let (packets, error) = read(builder.bytes)
            #expect(error == nil)
            try #require(packets.count == 2)
            #expect(packets.map(\.number) == [1, 2])
            #expect(packets[0].time == 1_700_000_000_000_000_000 + 123_456 * nanosecondsPerTick)
            #expect(packets[1].time == 4_294_967_295_000_000_000 + 999_999 * nanosecondsPerTick)
            #expect(packets.map(\.originalLength) == [21, 1500])
            #expect(packets[0].packet == 40..<61)
            #expect(packets[1].packet.map { Array(builder.bytes[$0]) } == ipv6Packet)
            #expect(packets[0].interfaceName == nil)
            #expect(packets[0].direction == nil)
        }
    }

    @Test func `a file without packets has none`() {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putPcapHeader()
        #expect(read(builder.bytes) == ([], nil))
    }

    @Test func `ignores what the link type says of frame check sequences`() throws {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putPcapHeader(linkType: 0x1400_0000 | 101)
        builder.putRecord(seconds: 1, fraction: 0, ipv4Packet)
        #expect(read(builder.bytes).packets.count == 1)
    }

    @Test func `a file cut in a record gives the packets before it`() {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putPcapHeader()
        builder.putRecord(seconds: 1, fraction: 0, ipv4Packet)
        let whole = builder.bytes.count
        builder.putRecord(seconds: 2, fraction: 0, ipv4Packet)
        for count in (whole + 1)..<builder.bytes.count {
            let (packets, error) = read(Array(builder.bytes.prefix(count)))
            #expect(packets.count == 1, "cut to \(count)")
            #expect(error?.offset == whole, "cut to \(count)")
            #expect(error?.message.contains("cut, or is still being written") == true)
        }
        #expect(
            read(Array(builder.bytes.dropLast(5))).error?.description
                == "byte \(whole): the file ends 5 bytes before this record does: it was cut, or is still being written"
        )
        #expect(read(Array(builder.bytes.prefix(whole))) == (read(builder.bytes).packets.dropLast(), nil))
    }

    @Test func `rejects a file cut in its header`() {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putPcapHeader()
        for count in 0..<builder.bytes.count {
            #expect(throws: CaptureFileError.self) { try CaptureFile(Array(builder.bytes.prefix(count))) }
        }
    }

    @Test func `rejects what is no capture file`() {
        #expect(
            read(Array("#!/bin/sh\necho no capture\n".utf8)).error?.description
                == "byte 0: this is neither a pcap nor a pcapng file")
        var builder = CaptureBuilder(isBigEndian: true)
        builder.putPcapHeader(major: 1)
        #expect(read(builder.bytes).error?.message == "version 1 of the pcap format cannot be read, only version 2")
    }

    @Test(arguments: [262_145, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] as [UInt32])
    func `rejects an absurd length`(length: UInt32) {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putPcapHeader()
        builder.put(1 as UInt32, 0 as UInt32, length, length)
        let (packets, error) = read(builder.bytes + Array(repeating: 0, count: 300_000))
        #expect(packets.isEmpty)
        #expect(
            error?.description == "byte 24: a frame of \(length) bytes is longer than any: the file is damaged here")
    }

    @Test func `throws again where it has thrown`() throws {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putPcapHeader(linkType: 220)
        builder.putRecord(seconds: 1, fraction: 0, ipv4Packet)
        builder.putRecord(seconds: 1, fraction: 0, ipv4Packet)
        var file = try CaptureFile(builder.bytes)
        for _ in 1...3 {
            let error = #expect(throws: CaptureFileError.self) { try file.next() }
            #expect(error?.offset == 24)
            #expect(error?.message.hasPrefix("link type 220 cannot be read") == true)
        }
    }
}
