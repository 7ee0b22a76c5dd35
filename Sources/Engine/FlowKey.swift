package import Packet

/// What tells one flow from another, the same for both of its directions.
package struct FlowKey: BitwiseCopyable, Equatable {
    private var lowHigh: UInt64 = 0
    private var lowLow: UInt64 = 0
    private var highHigh: UInt64 = 0
    private var highLow: UInt64 = 0
    private var ports: UInt32 = 0
    private var family: UInt8 = 0
    private var transportProtocol: UInt8 = 0
    /// The script call that the flow is a matter of; -1 for all.
    var call: Int32 = -1

    /// The same flow as a matter of one script call.
    @inline(__always)
    package func treated(by call: Int32) -> FlowKey {
        var key = self
        key.call = call
        return key
    }

    /// The flow of no packet.
    init() {}

    /// The flow of a packet; nil for a fragment, whose ports are not there to see.
    @inline(__always)
    package init?(_ headers: PacketHeaders) {
        guard !headers.isFragment else { return nil }
        let source = (headers.source.high, headers.source.low, headers.sourcePort)
        let destination = (headers.destination.high, headers.destination.low, headers.destinationPort)
        let (first, second) = Self.isFromLowerEnd(headers) ? (source, destination) : (destination, source)
        (lowHigh, lowLow) = (first.0, first.1)
        (highHigh, highLow) = (second.0, second.1)
        ports = UInt32(first.2) << 16 | UInt32(second.2)
        family = headers.family.rawValue
        transportProtocol = headers.transportProtocol.rawValue
    }

    /// Whether the end with the lower address and port has sent a packet.
    @inline(__always)
    static func isFromLowerEnd(_ headers: PacketHeaders) -> Bool {
        (headers.source.high, headers.source.low, headers.sourcePort)
            < (headers.destination.high, headers.destination.low, headers.destinationPort)
    }

    /// A hash whose seed keeps a sender from choosing the set that its flows fall into; the same for all calls.
    @inline(__always)
    func hash(seed: UInt64) -> UInt64 {
        var hash = seed
        mix(&hash, lowHigh)
        mix(&hash, lowLow)
        mix(&hash, highHigh)
        mix(&hash, highLow)
        mix(&hash, UInt64(ports) << 32 | UInt64(transportProtocol) << 8 | UInt64(family))
        return hash
    }

    /// One round of the finalizer of MurmurHash3, which spreads every bit over all.
    @inline(__always)
    private func mix(_ hash: inout UInt64, _ word: UInt64) {
        hash ^= word
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        hash ^= hash >> 33
    }
}
