import Packet

/// The places, in bits, of the facts about a packet that a rule compares bit by bit; they make one number, its key.
enum KeyField: UInt64, CaseIterable {
    /// The interface's id in 16 bits.
    case interface = 0
    /// ICMP type and code in 16 bits.
    case icmp = 16
    /// The TCP flags in 8 bits.
    case flags = 32
    /// The transport protocol in 8 bits.
    case transportProtocol = 40
    /// The direction in 1 bit.
    case direction = 48
    /// 1 for IPv6.
    case isIPv6 = 49
    /// 1 for a fragment that has no layer 4 header.
    case isLaterFragment = 50
    /// 1 for TCP but a segment that opens a connection: of SYN, ACK, FIN and RST it has SYN alone.
    case isNotOpening = 51

    /// The field's bits, in its place at 0.
    var width: UInt64 {
        switch self {
        case .interface, .icmp: 0xffff
        case .flags, .transportProtocol: 0xff
        case .direction, .isIPv6, .isLaterFragment, .isNotOpening: 1
        }
    }

    @inline(always)
    func bits(_ value: some BinaryInteger) -> UInt64 { UInt64(truncatingIfNeeded: value) &<< rawValue }
}

/// A packet's headers in the form of the entries' criteria.
struct PacketFacts: BitwiseCopyable {
    let key: UInt64
    let source: UInt128
    let destination: UInt128
    let sourcePort: UInt16
    let destinationPort: UInt16
    let transportProtocol: UInt8
    let isIPv6: Bool
    let originalLength: UInt32

    @inline(always)
    init(_ headers: PacketHeaders, interface: UInt16, direction: Direction) {
        let icmp = UInt16(headers.icmpType) << 8 | UInt16(headers.icmpCode)
        let opening = headers.tcpFlags.intersection([.syn, .ack, .fin, .rst]) == .syn && !headers.isLaterFragment
        isIPv6 = headers.family == .ipv6
        key =
            KeyField.interface.bits(interface) | KeyField.icmp.bits(icmp)
            | KeyField.flags.bits(headers.tcpFlags.rawValue)
            | KeyField.transportProtocol.bits(headers.transportProtocol.rawValue)
            | KeyField.direction.bits(direction.rawValue) | KeyField.isIPv6.bits(isIPv6 ? 1 : 0)
            | KeyField.isLaterFragment.bits(headers.isLaterFragment ? 1 : 0)
            | KeyField.isNotOpening.bits(headers.transportProtocol == .tcp && !opening ? 1 : 0)
        source = UInt128(headers.source.high) << 64 | UInt128(headers.source.low)
        destination = UInt128(headers.destination.high) << 64 | UInt128(headers.destination.low)
        sourcePort = headers.sourcePort
        destinationPort = headers.destinationPort
        transportProtocol = headers.transportProtocol.rawValue
        originalLength = UInt32(truncatingIfNeeded: headers.originalLength)
    }
}
