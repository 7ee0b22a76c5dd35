/// A capture file, pcap or pcapng, over its bytes: gives the packets of its records, one after the other.
///
/// Nothing is copied; a packet is a range of `bytes`. The formats are those of draft-ietf-opsawg-pcap and
/// draft-ietf-opsawg-pcapng.
public struct CaptureFile: Sendable {
    /// The whole file.
    public let bytes: [UInt8]

    let isPcapng: Bool
    /// The byte order of the file, or of the current section of a pcapng file.
    var isBigEndian = false
    /// The interfaces of the current section of a pcapng file; the one that a pcap file's header describes.
    var interfaces: [CaptureInterface] = []
    /// Where the next record or block begins.
    private var offset = 0
    /// The number of packets given.
    private var number = 0
    /// The time of the packet given last.
    private var time: Int64 = 0

    /// Begins to read a file whose bytes the caller has read.
    /// - Throws: `CaptureFileError` if this is no capture file, or one of a kind that cannot be read.
    public init(_ bytes: [UInt8]) throws(CaptureFileError) {
        self.bytes = bytes
        isPcapng = bytes.starts(with: Self.sectionHeaderType)
        var reader = ByteReader(bytes, 0..<bytes.count, isBigEndian: false)
        if isPcapng {
            _ = try readBlock(&reader)
        } else {
            try readFileHeader(&reader)
        }
        offset = reader.offset
    }

    /// The next packet, nil after the last.
    /// - Throws: `CaptureFileError` if its record cannot be read. The file is not read past it: further calls throw again.
    public mutating func next() throws(CaptureFileError) -> CapturedPacket? {
        while offset < bytes.count {
            var reader = ByteReader(bytes, offset..<bytes.count, isBigEndian: isBigEndian)
            let record = isPcapng ? try readBlock(&reader) : try readRecord(&reader)
            guard let record else {
                offset = reader.offset
                continue
            }
            let packet = try packet(of: record, reader)
            offset = reader.offset
            number = packet.number
            time = packet.time
            return packet
        }
        return nil
    }

    private func packet(of record: CaptureRecord, _ reader: ByteReader) throws(CaptureFileError) -> CapturedPacket {
        guard interfaces.indices.contains(record.interface) else {
            throw reader.fault("this packet is from interface \(record.interface), which the file has not described")
        }
        let interface = interfaces[record.interface]
        guard let link = LinkLayer(type: interface.linkType, frame: record.frame, of: bytes) else {
            throw reader.fault(
                "link type \(interface.linkType) cannot be read: capture Ethernet, Linux cooked, loopback or raw IP")
        }
        var time = time
        if let ticks = record.ticks {
            guard let nanoseconds = interface.nanoseconds(ticks) else {
                throw reader.fault("this packet's time is out of range")
            }
            time = nanoseconds
        }
        return CapturedPacket(
            number: number + 1, time: time, interfaceName: interface.name, interfaceIndex: link.interfaceIndex,
            direction: record.direction ?? link.direction, packet: link.packet, originalLength: record.originalLength,
            comment: record.comment)
    }
}

/// What the file says of an interface: how its frames and their times are to be read.
struct CaptureInterface {
    var linkType: UInt16
    var name: String?
    /// Bytes that its frames were cut to, 0 if they were not.
    var snapLength = 0
    var ticksPerSecond: UInt64 = 1_000_000
    /// Seconds that its times count from, relative to 1970.
    var epoch: Int64 = 0

    /// A time of this interface in nanoseconds since 1970, nil if it is centuries away.
    func nanoseconds(_ ticks: UInt64) -> Int64? {
        Int64(exactly: Int128(ticks) * 1_000_000_000 / Int128(ticksPerSecond) + Int128(epoch) * 1_000_000_000)
    }
}

/// One packet record, as both formats have it.
struct CaptureRecord {
    /// An index of `CaptureFile.interfaces`, as the file claims.
    var interface: Int
    /// The time in the interface's units, nil if the record has none.
    var ticks: UInt64?
    var frame: Range<Int>
    var direction: CaptureDirection?
    var originalLength: Int
    var comment: Range<Int>?
}
