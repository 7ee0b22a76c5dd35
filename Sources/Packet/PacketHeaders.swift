/// What a packet's headers say of it: the facts that rules and states are decided by.
///
/// Everything is read once from the packet and bounds-checked then; the offsets hold for the packet they were read from.
public struct PacketHeaders: BitwiseCopyable, Sendable {
    /// The address the packet says it comes from.
    public var source: Address
    /// The address in the IP header that the packet goes to.
    public var destination: Address
    /// Bytes from the start of the packet to layer 4: the IP header, its options and extension headers.
    public var transportOffset: Int
    /// Bytes from the start of the packet to what follows layer 4's header.
    ///
    /// Equal to `transportOffset` where the transport protocol is none of TCP, UDP, ICMP, ICMPv6, and in later fragments.
    public var payloadOffset: Int
    /// Bytes of the packet: as its IP header says, at most what was captured.
    public var length: Int
    /// Bytes of the packet before it was cut: as its IP header says, whatever was captured.
    public var originalLength: Int
    /// The TCP or UDP source port, 0 where there is none.
    public var sourcePort: UInt16
    /// The TCP or UDP destination port, 0 where there is none.
    public var destinationPort: UInt16
    /// What follows the IP header and its extension headers; in a later fragment what the fragment header says.
    public var transportProtocol: IPProtocol
    /// Bytes from the start of the packet to the byte that names `transportProtocol`.
    public var protocolOffset: Int
    /// The TCP flags, empty where there are none.
    public var tcpFlags: TCPFlags
    /// The ICMP or ICMPv6 type, 0 where there is none.
    public var icmpType: UInt8
    /// The ICMP or ICMPv6 code, 0 where there is none.
    public var icmpCode: UInt8
    /// Whether this is one of several fragments; an IPv6 atomic fragment (RFC 6946) is not.
    public var isFragment: Bool
    /// Whether this is a fragment other than the first: it has no layer 4 header.
    public var isLaterFragment: Bool
    /// Whether the IP header promises more bytes than are there.
    public var isTruncated: Bool

    /// The headers of a packet that is described, not captured: no bytes belong to it.
    public init(
        transportProtocol: IPProtocol, source: Address, destination: Address, sourcePort: UInt16 = 0,
        destinationPort: UInt16 = 0, tcpFlags: TCPFlags = [], icmpType: UInt8 = 0, icmpCode: UInt8 = 0
    ) {
        self.transportProtocol = transportProtocol
        self.source = source
        self.destination = destination
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.tcpFlags = tcpFlags
        self.icmpType = icmpType
        self.icmpCode = icmpCode
        transportOffset = 0
        protocolOffset = 0
        payloadOffset = 0
        length = 0
        originalLength = 0
        isFragment = false
        isLaterFragment = false
        isTruncated = false
    }

    /// The version of the packet's IP header.
    @inlinable
    public var family: AddressFamily { source.family }
}
