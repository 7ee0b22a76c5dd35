import CaptureFile

/// Bytes of a capture file in one of the two orders.
struct CaptureBuilder {
    var isBigEndian: Bool
    var bytes: [UInt8] = []

    mutating func put(_ values: any FixedWidthInteger...) {
        for value in values { put(integer: value) }
    }

    private mutating func put(integer value: some FixedWidthInteger) {
        let lowestFirst = stride(from: 0, to: value.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
        bytes += isBigEndian ? lowestFirst.reversed() : lowestFirst
    }

    /// A file header of the classic format.
    mutating func putPcapHeader(magic: UInt32 = 0xa1b2_c3d4, major: UInt16 = 2, linkType: UInt32 = 101) {
        put(magic, major, 4 as UInt16, 0 as UInt32, 0 as UInt32, 65535 as UInt32, linkType)
    }

    /// A record of the classic format.
    mutating func putRecord(seconds: UInt32, fraction: UInt32, _ frame: [UInt8], originalLength: Int? = nil) {
        put(seconds, fraction, UInt32(frame.count), UInt32(originalLength ?? frame.count))
        bytes += frame
    }

    /// A pcapng block of any type.
    mutating func putBlock(_ type: UInt32, _ body: (inout CaptureBuilder) -> Void) {
        var block = CaptureBuilder(isBigEndian: isBigEndian)
        body(&block)
        let length = UInt32(block.bytes.count + 12)
        put(type, length)
        bytes += block.bytes
        put(length)
    }

    mutating func putSection(major: UInt16 = 1) {
        putBlock(0x0a0d_0d0a) { $0.put(0x1a2b_3c4d as UInt32, major, 0 as UInt16, UInt64.max) }
    }

    mutating func putInterface(linkType: UInt16 = 101, snapLength: UInt32 = 0, options: [(UInt16, [UInt8])] = []) {
        putBlock(1) {
            $0.put(linkType, 0 as UInt16, snapLength)
            $0.putOptions(options)
        }
    }

    mutating func putPacket(
        interface: UInt32 = 0, ticks: UInt64, _ frame: [UInt8], originalLength: Int? = nil,
        options: [(UInt16, [UInt8])] = []
    ) {
        putBlock(6) {
            $0.put(interface, UInt32(ticks >> 32), UInt32(truncatingIfNeeded: ticks))
            $0.put(UInt32(frame.count), UInt32(originalLength ?? frame.count))
            $0.putPadded(frame)
            $0.putOptions(options)
        }
    }

    mutating func putPadded(_ field: [UInt8]) {
        bytes += field
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    private mutating func putOptions(_ options: [(UInt16, [UInt8])]) {
        for (code, value) in options {
            put(code, UInt16(value.count))
            putPadded(value)
        }
        if !options.isEmpty { put(0 as UInt16, 0 as UInt16) }
    }

    /// The bytes of an integer in this file's order, for an option.
    func value(_ integer: any FixedWidthInteger) -> [UInt8] {
        var builder = CaptureBuilder(isBigEndian: isBigEndian)
        builder.put(integer)
        return builder.bytes
    }
}

/// What a file gives: its packets, and the error that ended them.
func read(_ bytes: [UInt8]) -> (packets: [CapturedPacket], error: CaptureFileError?) {
    var packets: [CapturedPacket] = []
    do throws(CaptureFileError) {
        var file = try CaptureFile(bytes)
        while let packet = try file.next() { packets.append(packet) }
        return (packets, nil)
    } catch {
        return (packets, error)
    }
}

/// Beginnings of IP packets, as far as the link layer looks at them.
let ipv4Packet: [UInt8] = [0x45, 0, 0, 21, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7, 0xaa]
let ipv6Packet: [UInt8] = [0x60, 0, 0, 0, 0, 0, 59, 64] + Array(repeating: 1, count: 32)
