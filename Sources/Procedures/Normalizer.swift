public import Packet

/// What `normalize:` says.
public struct NormalizeParameters: BitwiseCopyable, Hashable, Sendable {
    /// Whether the identification of IPv4 packets becomes random (`random-id`).
    public let randomID: Bool
    /// Whether "don't fragment" is cleared in IPv4 packets (`no-df`).
    public let noDF: Bool
    /// The least TTL or hop limit that a packet goes on with (`min-ttl`); 0 leaves them alone.
    public let minimumTTL: UInt8
    /// The largest TCP maximum segment size, in bytes, that a SYN may offer (`max-mss`); 0 leaves them alone.
    public let maximumMSS: UInt16

    /// Makes parameters of what the rules say.
    ///
    /// - Parameters:
    ///   - minimumTTL: 0 to 255.
    ///   - maximumMSS: 0 to 65,535.
    /// - Throws: `ParameterError` for a number out of its range.
    public init(
        randomID: Bool = false, noDF: Bool = false, minimumTTL: Int = 0, maximumMSS: Int = 0
    ) throws(ParameterError) {
        try ParameterError.check(minimumTTL, in: 0...255, "min-ttl")
        try ParameterError.check(maximumMSS, in: 0...65_535, "max-mss")
        self.randomID = randomID
        self.noDF = noDF
        self.minimumTTL = UInt8(minimumTTL)
        self.maximumMSS = UInt16(maximumMSS)
    }
}

/// The procedure `normalize`: takes out of a packet's headers what tells about its sender or harms its receiver.
///
/// Part of the packet path. Upstream's `no-df` has no effect without `random-id` or `min-ttl`, and IPv6 is left alone
/// there; here each parameter stands for itself, and `min-ttl` and `max-mss` hold for both families.
public struct Normalizer: BitwiseCopyable, Sendable {
    private let parameters: NormalizeParameters
    private var generator: RandomGenerator

    /// - Parameter seed: of the random identifications; a daemon takes a random one for each worker.
    public init(_ parameters: NormalizeParameters, seed: UInt64) {
        self.parameters = parameters
        generator = RandomGenerator(seed: seed)
    }

    /// Changes the packet in place; its length and what `headers` says of it stay.
    ///
    /// Checksums are left to `Checksum.mend`, which computes them whole: the kernel takes a packet that comes back changed
    /// for one with complete checksums, and those of a packet from this host may be begun only, so that an update by
    /// the difference (RFC 1624) would keep them wrong. For the same reason the segment size in a fragment stays, and a packet
    /// of which the queue does not show all stays as it is: it could not be sent changed.
    /// - Parameter headers: the headers of the packet as it is now.
    /// - Returns: whether anything changed.
    public mutating func apply(to packet: inout MutableRawSpan, headers: PacketHeaders) -> Bool {
        guard headers.lieWithin(packet.byteCount), !headers.isTruncated else { return false }
        var isChanged = raiseTTL(in: &packet, at: headers.family == .ipv4 ? 8 : 7)
        if headers.family == .ipv4 {
            if parameters.noDF { isChanged = clearDF(in: &packet) || isChanged }
            if parameters.randomID && !headers.isFragment { isChanged = randomizeID(in: &packet) || isChanged }
        }
        if parameters.maximumMSS > 0, headers.transportProtocol == .tcp, headers.tcpFlags.contains(.syn),
            !headers.isFragment
        {
            isChanged = clampMSS(in: &packet, headers) || isChanged
        }
        return isChanged
    }

    @inline(__always)
    private func raiseTTL(in packet: inout MutableRawSpan, at offset: Int) -> Bool {
        guard packet.bytes.uint8(at: offset) < parameters.minimumTTL else { return false }
        packet.store(parameters.minimumTTL, at: offset)
        return true
    }

    @inline(__always)
    private func clearDF(in packet: inout MutableRawSpan) -> Bool {
        let flags = packet.bytes.uint8(at: 6)
        packet.store(flags & ~0x40, at: 6)
        return flags & 0x40 != 0
    }

    @inline(__always)
    private mutating func randomizeID(in packet: inout MutableRawSpan) -> Bool {
        let old = packet.bytes.uint16(at: 4)
        let new = UInt16(truncatingIfNeeded: generator.next())
        packet.store(new, at: 4)
        return new != old
    }

    /// Lowers every maximum segment size among the options (RFC 9293 section 3.2): receivers differ in which they take.
    private func clampMSS(in packet: inout MutableRawSpan, _ headers: PacketHeaders) -> Bool {
        var isChanged = false
        var offset = headers.transportOffset &+ 20
        let end = headers.payloadOffset
        while offset < end {
            let kind = packet.bytes.uint8(at: offset)
            if kind == 0 { break }
            if kind == 1 {
                offset &+= 1
                continue
            }
            // What comes after an option of a wrong length is no option to a receiver either.
            guard offset &+ 2 <= end else { break }
            let length = Int(packet.bytes.uint8(at: offset &+ 1))
            guard length >= 2, offset &+ length <= end else { break }
            if kind == 2, length == 4, packet.bytes.uint16(at: offset &+ 2) > parameters.maximumMSS {
                packet.store(parameters.maximumMSS, at: offset &+ 2)
                isChanged = true
            }
            offset &+= length
        }
        return isChanged
    }
}
