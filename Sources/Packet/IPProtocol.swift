/// The number by which an IP header names what follows it (IANA "Assigned Internet Protocol Numbers").
public struct IPProtocol: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    /// The assigned number.
    public var rawValue: UInt8

    /// The protocol of a number; every number is one.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// IPv6 Hop-by-Hop Options (RFC 8200 section 4.3).
    @inlinable public static var hopByHop: IPProtocol { IPProtocol(rawValue: 0) }
    /// Internet Control Message Protocol (RFC 792).
    @inlinable public static var icmp: IPProtocol { IPProtocol(rawValue: 1) }
    /// Internet Group Management Protocol (RFC 9776).
    @inlinable public static var igmp: IPProtocol { IPProtocol(rawValue: 2) }
    /// Transmission Control Protocol (RFC 9293).
    @inlinable public static var tcp: IPProtocol { IPProtocol(rawValue: 6) }
    /// User Datagram Protocol (RFC 768).
    @inlinable public static var udp: IPProtocol { IPProtocol(rawValue: 17) }
    /// IPv6 inside IP (RFC 2473).
    @inlinable public static var ipv6: IPProtocol { IPProtocol(rawValue: 41) }
    /// IPv6 Routing header (RFC 8200 section 4.4).
    @inlinable public static var routing: IPProtocol { IPProtocol(rawValue: 43) }
    /// IPv6 Fragment header (RFC 8200 section 4.5).
    @inlinable public static var fragment: IPProtocol { IPProtocol(rawValue: 44) }
    /// Generic Routing Encapsulation (RFC 2784).
    @inlinable public static var gre: IPProtocol { IPProtocol(rawValue: 47) }
    /// Encapsulating Security Payload (RFC 4303).
    @inlinable public static var esp: IPProtocol { IPProtocol(rawValue: 50) }
    /// Authentication Header (RFC 4302).
    @inlinable public static var ah: IPProtocol { IPProtocol(rawValue: 51) }
    /// ICMP for IPv6 (RFC 4443).
    @inlinable public static var icmpv6: IPProtocol { IPProtocol(rawValue: 58) }
    /// IPv6 No Next Header (RFC 8200 section 4.7).
    @inlinable public static var noNextHeader: IPProtocol { IPProtocol(rawValue: 59) }
    /// IPv6 Destination Options (RFC 8200 section 4.6).
    @inlinable public static var destinationOptions: IPProtocol { IPProtocol(rawValue: 60) }
    /// Stream Control Transmission Protocol (RFC 9260).
    @inlinable public static var sctp: IPProtocol { IPProtocol(rawValue: 132) }
}
