/// Why a packet's headers cannot be parsed; such a packet is dropped before any rule sees it.
public enum MalformedPacket: UInt8, Error, CaseIterable {
    /// The version is neither 4 nor 6, or there is no byte to tell it.
    case unknownVersion
    /// The packet ends within its IPv4 header and options, or within its IPv6 header.
    case shortNetworkHeader
    /// The IPv4 header length is below the 20 bytes that every header has.
    case headerLength
    /// The IPv4 total length is below the header length.
    case totalLength
    /// Less than two bytes follow the IPv6 header.
    case payloadLength
    /// The packet ends within an IPv6 extension header, or has too many of them.
    case extensionHeader
    /// The packet ends within its TCP, UDP, ICMP or ICMPv6 header, TCP options included.
    case shortTransportHeader
    /// The TCP data offset is below the 20 bytes that every header has.
    case dataOffset
    /// A fragment that would overwrite the flags in the first fragment's TCP header (RFC 3128).
    case overlappingFragment
}

extension MalformedPacket: CustomStringConvertible {
    /// The reason in a few words, for logs and tools.
    public var description: String {
        switch self {
        case .unknownVersion: "neither IPv4 nor IPv6"
        case .shortNetworkHeader: "IP header cut short"
        case .headerLength: "IPv4 header length below 20 bytes"
        case .totalLength: "IPv4 total length below the header length"
        case .payloadLength: "IPv6 payload below 2 bytes"
        case .extensionHeader: "IPv6 extension headers cut short or too many"
        case .shortTransportHeader: "transport header cut short"
        case .dataOffset: "TCP data offset below 20 bytes"
        case .overlappingFragment: "fragment overlaps the TCP header"
        }
    }
}
