/// One packet that waits in the kernel for its verdict.
///
/// Valid until the next `PacketQueue.receive()`.
@safe
public struct QueuedPacket: BitwiseCopyable {
    /// The kernel's number of the packet in its queue; the verdict names it.
    public var id: UInt32 = 0
    /// The netfilter hook that queued it: `NF_INET_PRE_ROUTING` (0) to `NF_INET_POST_ROUTING` (4).
    public var hook: UInt8 = 0
    /// The link-layer protocol (ETH_P_IP 0x0800, ETH_P_IPV6 0x86dd).
    public var hardwareProtocol: UInt16 = 0
    /// The index of the interface that it came in by; 0: none.
    public var inInterface: UInt32 = 0
    /// The index of the interface that it goes out by; 0: none.
    public var outInterface: UInt32 = 0
    /// The packet mark (nfmark).
    public var mark: UInt32 = 0
    /// The time of its receipt in nanoseconds since 1970; 0: the kernel told none, as for packets of this machine.
    public var timestamp: UInt64 = 0
    /// The packet from its IP header on, in the queue's buffer; it may be edited in place and given to `replace`.
    public var payload = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// The packet's length in bytes in the kernel; more than `payload.count` where the copy was cut.
    public var originalLength = 0
    /// A packet longer than the MTU, still to be cut into segments (NFQA_SKB_GSO).
    public var isSegmentationOffload = false
    /// Its transport checksum is still to be computed: a wrong one is no damage (NFQA_SKB_CSUMNOTREADY).
    public var checksumNotReady = false

    /// A packet of which nothing is known.
    public init() {}

    /// Queued on its way in: PRE_ROUTING or LOCAL_IN.
    ///
    /// All else (FORWARD, LOCAL_OUT, POST_ROUTING) is outbound.
    public var isInbound: Bool { hook <= 1 }
}
