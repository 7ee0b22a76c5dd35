/// Builds a capture file of IP packets with times in nanoseconds.
public struct CaptureWriter: Sendable {
    /// The two formats of capture files.
    public enum Format: Sendable {
        /// The classic format, of raw IP packets: it has no place for interfaces and directions.
        case pcap
        /// The next generation format, with the name of the interface and the direction of each packet.
        ///
        /// The packets are in Ethernet frames whose addresses are 0: libpcap reads raw IP from one interface only, as it
        /// compares the second's LINKTYPE_RAW with the first's DLT_RAW.
        case pcapng
    }

    /// The file as far as it is written, without what was taken.
    public private(set) var bytes: [UInt8] = []

    private let format: Format
    /// The interfaces described so far; nil is one without a name.
    private var interfaces: [String?] = []
    private static let ethernet: UInt16 = 1
    private static let rawIP: UInt32 = 101
    /// Bytes that the file says packets are cut to, and more than which is never written of one.
    private let snapLength: Int
    private let linkLength: Int

    /// Begins a file of that format.
    ///
    /// - Parameter snapLength: bytes of a packet that are written at most; never more than the 262,144 bytes of a frame
    ///   that libpcap allows.
    public init(_ format: Format, snapLength: Int = .max) {
        self.format = format
        linkLength = format == .pcap ? 0 : 14
        self.snapLength = min(max(snapLength, 0), CaptureFile.maximumFrameLength - linkLength)
        switch format {
        case .pcap:
            put(0xa1b2_3c4d as UInt32)
            put(2 as UInt16)
            put(4 as UInt16)
            put(0 as UInt64)
            put(UInt32(self.snapLength))
            put(Self.rawIP)
        case .pcapng:
            putBlock(type: 0x0a0d_0d0a) {
                $0.put(0x1a2b_3c4d as UInt32)
                $0.put(1 as UInt16)
                $0.put(0 as UInt16)
                // The section's length is not known yet.
                $0.put(UInt64.max)
            }
        }
    }

    /// Takes what was written away, so that a file can go to its place in pieces; writing goes on behind it.
    public mutating func takeBytes() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    /// Appends a packet, cut to the snap length.
    ///
    /// - Parameters:
    ///   - packet: the IP packet, from its version on.
    ///   - time: nanoseconds since 1970-01-01 00:00 UTC; a time that the format cannot hold is brought into its range.
    ///   - interface: the name of the interface, for pcapng.
    ///   - direction: which way the packet went, for pcapng.
    ///   - originalLength: bytes that the packet had before it was cut, if it was.
    ///   - comment: a remark on the packet, for pcapng (`opt_comment`).
    public mutating func append(
        _ packet: [UInt8], time: Int64, interface: String? = nil, direction: CaptureDirection? = nil,
        originalLength: Int? = nil, comment: String? = nil
    ) {
        let link = format == .pcap ? [] : Self.ethernetHeader(of: packet)
        let frame = link + packet.prefix(snapLength)
        let originalLength = UInt32(clamping: link.count + max(originalLength ?? 0, packet.count))
        let time = UInt64(max(time, 0))
        switch format {
        case .pcap:
            let (seconds, nanoseconds) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
            put(UInt32(clamping: seconds))
            put(UInt32(nanoseconds))
            put(UInt32(frame.count))
            put(originalLength)
            bytes += frame
        case .pcapng:
            let identifier = identifier(ofInterface: interface)
            putBlock(type: 6) {
                $0.put(identifier)
                $0.put(UInt32(time >> 32))
                $0.put(UInt32(truncatingIfNeeded: time))
                $0.put(UInt32(frame.count))
                $0.put(originalLength)
                $0.putPadded(frame)
                if let comment { $0.putOption(1, text: comment) }
                if let direction { $0.putOption(2, [direction == .in ? 1 : 2, 0, 0, 0]) }
            }
        }
    }

    private static func ethernetHeader(of packet: [UInt8]) -> [UInt8] {
        let isIPv6 = packet.first.map { $0 >> 4 == 6 } ?? false
        return Array(repeating: 0, count: 12) + (isIPv6 ? [0x86, 0xdd] : [0x08, 0x00])
    }

    /// The number of an interface in the file; it is described there when its first packet comes.
    private mutating func identifier(ofInterface name: String?) -> UInt32 {
        if let known = interfaces.firstIndex(of: name) { return UInt32(known) }
        interfaces.append(name)
        putBlock(type: 1) {
            $0.put(Self.ethernet)
            $0.put(0 as UInt16)
            $0.put(UInt32($0.linkLength + $0.snapLength))
            if let name { $0.putOption(2, text: name) }
            // Times count nanoseconds.
            $0.putOption(9, [9])
        }
        return UInt32(interfaces.count - 1)
    }

    /// Puts a block around what `body` puts.
    private mutating func putBlock(type: UInt32, _ body: (inout CaptureWriter) -> Void) {
        put(type)
        let start = bytes.count
        put(0 as UInt32)
        body(&self)
        // The length, which counts the type before and itself after the body, stands at both ends.
        put(UInt32(bytes.count - start + 8))
        bytes.replaceSubrange(start..<(start + 4), with: bytes.suffix(4))
    }

    /// Puts a text, cut between two characters where it is longer than an option can be.
    private mutating func putOption(_ code: UInt16, text: String) {
        var value = Array(text.utf8.prefix(Int(UInt16.max) + 1))
        if value.count > Int(UInt16.max) {
            // The bytes 10xxxxxx of UTF-8 continue a character.
            while let last = value.popLast(), last & 0xc0 == 0x80 {}
        }
        putOption(code, value)
    }

    private mutating func putOption(_ code: UInt16, _ value: some Collection<UInt8>) {
        put(code)
        put(UInt16(value.count))
        putPadded(value)
    }

    private mutating func putPadded(_ field: some Collection<UInt8>) {
        bytes += field
        bytes += repeatElement(0, count: -field.count & 3)
    }

    /// Puts an integer, lowest byte first.
    private mutating func put(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}
