package import Packet

/// The addresses that the tests' packets have unless they say otherwise.
package let alice = Address("192.0.2.1")!
package let bob = Address("198.51.100.7")!
package let alice6 = Address("2001:db8::1")!
package let bob6 = Address("2001:db8:ffff::7")!

package func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    stride(from: T.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> T($0)) }
}

package func bytes(_ address: Address) -> [UInt8] {
    address.family == .ipv4 ? bytes(UInt32(address.low)) : bytes(address.high) + bytes(address.low)
}

extension [UInt8] {
    package static func zeros(_ count: Int) -> [UInt8] { Array(repeating: 0, count: count) }
    package static func ones(_ count: Int) -> [UInt8] { Array(repeating: 0xff, count: count) }
}

/// An IPv4 packet without checksum; `length` is the total length it claims.
package func ipv4(
    _ transport: IPProtocol, _ payload: [UInt8], from source: Address = alice, to destination: Address = bob,
    options: [UInt8] = [], fragmentField: UInt16 = 0, length: Int? = nil, headerWords: UInt8? = nil
) -> [UInt8] {
    let headerLength = 20 + options.count
    var packet: [UInt8] = [0x40 | (headerWords ?? UInt8(headerLength / 4)), 0]
    packet += bytes(UInt16(length ?? headerLength + payload.count))
    packet += bytes(0x1234 as UInt16) + bytes(fragmentField)
    packet += [64, transport.rawValue, 0, 0]
    packet += bytes(source) + bytes(destination)
    return packet + options + payload
}

/// An IPv6 packet; `length` is the payload length it claims.
package func ipv6(
    _ next: IPProtocol, _ payload: [UInt8], from source: Address = alice6, to destination: Address = bob6,
    length: Int? = nil
) -> [UInt8] {
    var packet: [UInt8] = [0x60, 0, 0, 0]
    packet += bytes(UInt16(length ?? payload.count))
    packet += [next.rawValue, 64]
    packet += bytes(source) + bytes(destination)
    return packet + payload
}

/// An IPv6 extension header of `words` times eight bytes.
package func extensionHeader(next: IPProtocol, words: Int = 1) -> [UInt8] {
    [next.rawValue, UInt8(words - 1)] + Array(repeating: 0, count: words * 8 - 2)
}

package func fragmentHeader(next: IPProtocol, offset: UInt16, moreFollow: Bool) -> [UInt8] {
    [next.rawValue, 0xff] + bytes(offset | (moreFollow ? 1 : 0)) + [0, 0, 0, 9]
}

/// A TCP segment without checksum.
package func tcp(
    _ flags: TCPFlags, payload: [UInt8] = [], options: [UInt8] = [], sequence: UInt32 = 1000,
    acknowledgment: UInt32 = 2000, headerWords: UInt8? = nil
) -> [UInt8] {
    var segment = bytes(40000 as UInt16) + bytes(22 as UInt16)
    segment += bytes(sequence) + bytes(acknowledgment)
    segment += [(headerWords ?? UInt8(5 + options.count / 4)) << 4, flags.rawValue, 0xff, 0xff, 0, 0, 0, 0]
    return segment + options + payload
}

/// A UDP datagram without checksum.
package func udp(_ payload: [UInt8] = [], checksum: UInt16 = 0) -> [UInt8] {
    let ports = bytes(5353 as UInt16) + bytes(53 as UInt16)
    return ports + bytes(UInt16(8 + payload.count)) + bytes(checksum) + payload
}

/// An ICMP or ICMPv6 message without checksum.
package func icmp(type: UInt8, code: UInt8 = 0, payload: [UInt8] = []) -> [UInt8] {
    [type, code, 0, 0, 0, 1, 0, 2] + payload
}

package func parse(_ packet: [UInt8]) throws(MalformedPacket) -> PacketHeaders {
    try unsafe PacketHeaders(parsing: packet.span.bytes)
}
