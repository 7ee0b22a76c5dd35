/// What a frame's link layer says of the IP packet in it.
struct LinkLayer {
    /// Where the IP packet lies, nil if the frame holds none.
    var packet: Range<Int>?
    var direction: CaptureDirection?
    var interfaceIndex: Int?

    /// Reads the link layer header of a frame (https://www.tcpdump.org/linktypes.html).
    ///
    /// A frame too short for its header holds no IP packet. Nil if the link type is not supported.
    init?(type: UInt16, frame: Range<Int>, of bytes: [UInt8]) {
        let start = frame.lowerBound
        /// The integer at an offset in the frame, in network order; 0 if it is not all there.
        func field(_ offset: Int, bytes count: Int) -> Int {
            guard offset + count <= frame.count else { return 0 }
            return bytes[(start + offset)..<(start + offset + count)].reduce(0) { $0 << 8 | Int($1) }
        }
        /// What follows an EtherType at an offset, if that is IP, behind VLAN tags (IEEE 802.1Q, 802.1ad) or not.
        func packet(behindEtherTypeAt offset: Int, headerLength: Int) -> Range<Int>? {
            var etherType = field(offset, bytes: 2)
            var end = headerLength
            while etherType == 0x8100 || etherType == 0x88a8 || etherType == 0x9100 {
                etherType = field(end + 2, bytes: 2)
                end += 4
            }
            return etherType == 0x0800 || etherType == 0x86dd ? rest(from: end) : nil
        }
        func rest(from offset: Int) -> Range<Int>? {
            offset < frame.count ? (start + offset)..<frame.upperBound : nil
        }

        switch type {
        case 0:  // BSD loopback: an address family in the byte order of the capturing host.
            let family = field(0, bytes: 4)
            switch family > 0xffff ? UInt32(family).byteSwapped : UInt32(family) {
            case 2, 10, 24, 28, 30: self.packet = rest(from: 4)
            default: break
            }
        case 1:  // Ethernet
            self.packet = packet(behindEtherTypeAt: 12, headerLength: 14)
        case 12, 14, 101:  // raw IP
            let version = field(0, bytes: 1) >> 4
            self.packet = version == 4 || version == 6 ? rest(from: 0) : nil
        case 113:  // Linux cooked, version 1
            guard frame.count >= 16 else { return }
            direction = field(0, bytes: 2) == Self.outgoing ? .out : .in
            self.packet = packet(behindEtherTypeAt: 14, headerLength: 16)
        case 228, 229:  // IPv4, IPv6
            self.packet = rest(from: 0)
        case 276:  // Linux cooked, version 2
            guard frame.count >= 20 else { return }
            direction = field(10, bytes: 1) == Self.outgoing ? .out : .in
            interfaceIndex = field(4, bytes: 4)
            self.packet = packet(behindEtherTypeAt: 0, headerLength: 20)
        default: return nil
        }
    }

    /// PACKET_OUTGOING of <linux/if_packet.h>.
    private static let outgoing = 4
}
