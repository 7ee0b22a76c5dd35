import Packet

/// What beside addresses, ports and protocol tells one connection from another.
struct KeyForm: OptionSet, Equatable, BitwiseCopyable {
    var rawValue: UInt8
    static let interface = KeyForm(rawValue: 1)
    static let direction = KeyForm(rawValue: 2)
}

/// Which way a packet runs in its connection.
public enum Flow: UInt8, Sendable, BitwiseCopyable {
    /// As the packet that made the state.
    case forward
    /// Against it.
    case backward
}

/// The connection a packet belongs to, the same for both directions.
///
/// The end with the lower address and port comes first, and the direction is the one of packets that it sends; so both
/// of NPF's keys of a state, the forward one and the backward one, are this one.
public struct StateKey: BitwiseCopyable {
    let connection: ConnectionIdentity
    /// Whether the packet was sent by the second end.
    let isSwapped: Bool
    /// Which way the packet crosses the interface.
    let direction: Direction
    /// Of an ICMP error the sequence number that it quotes, 0 if the quote is not of TCP; then all else is said of the
    /// quoted packet, not of the error.
    let quotedSequenceNumber: UInt32?
    /// A hash of all that `connection` compares.
    let hash: UInt64

    init(
        headers: PacketHeaders, ports: (source: UInt16, destination: UInt16), interface: UInt32, direction: Direction,
        quotedSequenceNumber: UInt32?, form: KeyForm, hasher: SipHash
    ) {
        let source = (headers.source.high, headers.source.low, ports.source)
        let destination = (headers.destination.high, headers.destination.low, ports.destination)
        // A host that talks to itself from a port to the same port is told from its peer by the direction alone.
        isSwapped = source == destination ? direction == .out : source > destination
        let (first, second) = isSwapped ? (destination, source) : (source, destination)
        connection = ConnectionIdentity(
            firstHigh: first.0, firstLow: first.1, secondHigh: second.0, secondLow: second.1,
            ports: UInt32(first.2) &<< 16 | UInt32(second.2), interface: interface,
            selector: UInt32(headers.transportProtocol.rawValue) | UInt32(headers.family.rawValue) &<< 8
                | Self.selector(form, direction, isSwapped))
        self.direction = direction
        self.quotedSequenceNumber = quotedSequenceNumber
        hash = connection.hash(hasher)
    }

    /// The same packet's key in another form.
    init(_ key: StateKey, form: KeyForm, hasher: SipHash) {
        var connection = key.connection
        connection.selector = connection.selector & 0xffff | Self.selector(form, key.direction, key.isSwapped)
        self.connection = connection
        isSwapped = key.isSwapped
        direction = key.direction
        quotedSequenceNumber = key.quotedSequenceNumber
        hash = connection.hash(hasher)
    }

    private static func selector(_ form: KeyForm, _ direction: Direction, _ isSwapped: Bool) -> UInt32 {
        let firstEndsDirection = direction.rawValue ^ (isSwapped ? 1 : 0)
        return UInt32(form.rawValue) &<< 16 | (form.contains(.direction) ? UInt32(firstEndsDirection) &<< 24 : 0)
    }
}

/// The two ends of a connection and where it is seen.
struct ConnectionIdentity: BitwiseCopyable {
    var firstHigh: UInt64
    var firstLow: UInt64
    var secondHigh: UInt64
    var secondLow: UInt64
    /// The first end's port in the upper half; of an ICMP echo the identifier is the requesting end's port, and the
    /// other's is 0, so that a request is never taken for an answer.
    var ports: UInt32
    /// The interface; compared if the form says so.
    var interface: UInt32
    /// Protocol, family, form, and the direction of the first end's packets if the form says so, from the lowest byte up.
    var selector: UInt32

    var transportProtocol: IPProtocol { IPProtocol(rawValue: UInt8(truncatingIfNeeded: selector)) }
    var family: AddressFamily { UInt8(truncatingIfNeeded: selector &>> 8) == 4 ? .ipv4 : .ipv6 }
    var form: KeyForm { KeyForm(rawValue: UInt8(truncatingIfNeeded: selector &>> 16)) }
    private var comparedInterface: UInt32 { form.contains(.interface) ? interface : 0 }

    @inline(__always)
    static func == (a: Self, b: Self) -> Bool {
        let addresses =
            (a.firstHigh ^ b.firstHigh) | (a.firstLow ^ b.firstLow) | (a.secondHigh ^ b.secondHigh)
            | (a.secondLow ^ b.secondLow)
        let rest = (a.ports ^ b.ports) | (a.selector ^ b.selector) | (a.comparedInterface ^ b.comparedInterface)
        return addresses | UInt64(rest) == 0
    }

    /// Who does not know the key cannot choose connections that fall into one place.
    @inline(__always)
    func hash(_ hasher: SipHash) -> UInt64 {
        var hasher = hasher
        if family == .ipv4 {
            hasher.absorb(firstLow &<< 32 | secondLow)
        } else {
            hasher.absorb(firstHigh)
            hasher.absorb(firstLow)
            hasher.absorb(secondHigh)
            hasher.absorb(secondLow)
        }
        hasher.absorb(UInt64(ports) &<< 32 | UInt64(comparedInterface))
        hasher.absorb(UInt64(selector))
        return hasher.finish()
    }
}
