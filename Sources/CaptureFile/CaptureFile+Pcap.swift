extension CaptureFile {
    /// The longest frame that libpcap ever writes; a record that claims more is damaged.
    static let maximumFrameLength = 262_144

    mutating func readFileHeader(_ reader: inout ByteReader) throws(CaptureFileError) {
        let ticksPerSecond: UInt64
        switch try reader.read(UInt32.self) {
        case 0xa1b2_c3d4: (isBigEndian, ticksPerSecond) = (false, 1_000_000)
        case 0xa1b2_3c4d: (isBigEndian, ticksPerSecond) = (false, 1_000_000_000)
        case 0xd4c3_b2a1: (isBigEndian, ticksPerSecond) = (true, 1_000_000)
        case 0x4d3c_b2a1: (isBigEndian, ticksPerSecond) = (true, 1_000_000_000)
        default: throw reader.fault("this is neither a pcap nor a pcapng file")
        }
        reader.isBigEndian = isBigEndian
        let majorVersion = try reader.read(UInt16.self)
        guard majorVersion == 2 else {
            throw reader.fault("version \(majorVersion) of the pcap format cannot be read, only version 2")
        }
        // Minor version, two fields that nobody fills, snap length.
        _ = try reader.take(14)
        // The upper half tells of frame check sequences, which end frames and do not matter here.
        let linkType = try UInt16(truncatingIfNeeded: reader.read(UInt32.self))
        interfaces = [CaptureInterface(linkType: linkType, ticksPerSecond: ticksPerSecond)]
    }

    func readRecord(_ reader: inout ByteReader) throws(CaptureFileError) -> CaptureRecord? {
        let seconds = try UInt64(reader.read(UInt32.self))
        let fraction = try UInt64(reader.read(UInt32.self))
        let capturedLength = try Int(reader.read(UInt32.self))
        let originalLength = try Int(reader.read(UInt32.self))
        guard capturedLength <= Self.maximumFrameLength else {
            throw reader.fault("a frame of \(capturedLength) bytes is longer than any: the file is damaged here")
        }
        return try CaptureRecord(
            interface: 0, ticks: seconds * interfaces[0].ticksPerSecond + fraction, frame: reader.take(capturedLength),
            direction: nil, originalLength: originalLength)
    }
}
