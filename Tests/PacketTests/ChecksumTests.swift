import Packet
import TestSupport
import Testing

/// RFC 1071 word for word: one 16-bit word after the other, the carry added at each step.
func slowChecksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
        sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
        if sum > 0xffff { sum -= 0xffff }
    }
    return ~UInt16(sum)
}

/// The packet with the checksums that the slow way computes; `destination` is where its way ends.
func checksummed(
    _ packet: [UInt8], transport: IPProtocol, at offset: Int, destination: Address? = nil, covered: Int? = nil
) -> [UInt8] {
    var packet = packet
    let isIPv4 = packet[0] >> 4 == 4
    func put(_ value: UInt16, at offset: Int) { packet.replaceSubrange(offset..<(offset + 2), with: bytes(value)) }
    if isIPv4 {
        put(0, at: 10)
        put(slowChecksum(Array(packet[..<(Int(packet[0] & 0xf) * 4)])), at: 10)
    }
    let places: [IPProtocol: Int] = [.tcp: 16, .udp: 6, .icmp: 2, .icmpv6: 2]
    guard let place = places[transport] else { return packet }
    put(0, at: offset + place)
    let segment = Array(packet[offset..<(offset + (covered ?? packet.count - offset))])
    let addresses = Array(isIPv4 ? packet[12..<20] : packet[8..<24])
    let pseudoHeader =
        transport == .icmp
        ? []
        : addresses + (isIPv4 ? [] : bytes(destination ?? bob6)) + bytes(UInt32(segment.count))
            + [0, 0, 0, transport.rawValue]
    let result = slowChecksum(pseudoHeader + segment)
    put(transport == .udp && result == 0 ? 0xffff : result, at: offset + place)
    return packet
}

func mend(_ packet: inout [UInt8], headers: PacketHeaders) {
    var elements = packet.mutableSpan
    var span = unsafe elements.mutableBytes
    Checksum.mend(&span, headers: headers)
}

func hasValidChecksums(_ packet: [UInt8], headers: PacketHeaders) -> Bool {
    unsafe Checksum.isValid(packet.span.bytes, headers: headers)
}

func hasValidChecksums(_ packet: [UInt8]) throws -> Bool { hasValidChecksums(packet, headers: try parse(packet)) }

struct ChecksumTests {
    /// A packet as the sender made it, with checksums that came about the slow way.
    struct Case: CustomTestStringConvertible {
        var name: String
        var packet: [UInt8]
        /// Where its checksums are.
        var fields: [Int]
        var testDescription: String { name }
    }

    static let cases: [Case] = {
        var generator = SplitMix64(state: 4)
        var cases: [Case] = []
        for size in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 100, 1459, 1460] {
            let payload = generator.bytes(size)
            let options = generator.bytes(4 * (size % 11))
            cases += [
                Case(
                    name: "IPv4 TCP, \(size)",
                    packet: checksummed(
                        ipv4(.tcp, tcp(.ack, payload: payload), options: options), transport: .tcp,
                        at: 20 + options.count),
                    fields: [10, 20 + options.count + 16]),
                Case(
                    name: "IPv4 UDP, \(size)",
                    packet: checksummed(ipv4(.udp, udp(payload)), transport: .udp, at: 20), fields: [10, 26]),
                Case(
                    name: "IPv4 ICMP, \(size)",
                    packet: checksummed(ipv4(.icmp, icmp(type: 8, payload: payload)), transport: .icmp, at: 20),
                    fields: [10, 22]),
                Case(
                    name: "IPv4 SCTP, \(size)",
                    packet: checksummed(ipv4(.sctp, payload), transport: .sctp, at: 20), fields: [10]),
                Case(
                    name: "IPv6 TCP, \(size)",
                    packet: checksummed(ipv6(.tcp, tcp(.ack, payload: payload)), transport: .tcp, at: 40), fields: [56]),
                Case(
                    name: "IPv6 UDP, \(size)",
                    packet: checksummed(ipv6(.udp, udp(payload)), transport: .udp, at: 40), fields: [46]),
                Case(
                    name: "IPv6 ICMPv6, \(size)",
                    packet: checksummed(ipv6(.icmpv6, icmp(type: 128, payload: payload)), transport: .icmpv6, at: 40),
                    fields: [42]),
            ]
        }
        let superSegment = tcp(.ack, payload: generator.bytes(70001))
        cases.append(
            Case(
                name: "IPv4 super-packet",
                packet: checksummed(ipv4(.tcp, superSegment, length: 0), transport: .tcp, at: 20), fields: [10, 36]))
        cases.append(
            Case(
                name: "IPv6 super-packet",
                packet: checksummed(ipv6(.tcp, superSegment, length: 0), transport: .tcp, at: 40), fields: [56]))
        let options = ipv6(.destinationOptions, extensionHeader(next: .udp, words: 2) + udp([1, 2, 3]))
        cases.append(
            Case(name: "IPv6 options", packet: checksummed(options, transport: .udp, at: 56), fields: [62]))
        // The pseudo-header has the datagram's own length (RFC 8200 section 8.1).
        cases.append(
            Case(
                name: "UDP with a trailer",
                packet: checksummed(ipv4(.udp, udp([1, 2, 3]) + [9, 9]), transport: .udp, at: 20, covered: 11),
                fields: [10, 26]))
        for type in [2, 4] as [UInt8] {
            let final = Address("2001:db8:5::5")!
            let routing: [UInt8] = [6, 2, type, 1, 0, 0, 0, 0] + bytes(final)
            let underWay = ipv6(.hopByHop, extensionHeader(next: .routing) + routing + tcp(.ack))
            cases.append(
                Case(
                    name: "IPv6 routing header of type \(type) with a segment left",
                    packet: checksummed(underWay, transport: .tcp, at: 72, destination: final), fields: [88]))
            var arrived = underWay
            arrived[51] = 0
            cases.append(
                Case(
                    name: "IPv6 routing header of type \(type) without segments left",
                    packet: checksummed(arrived, transport: .tcp, at: 72), fields: [88]))
        }
        return cases
    }()

    @Test(arguments: cases)
    func `mends what the slow way computes`(_ test: Case) throws {
        #expect(try hasValidChecksums(test.packet))
        let headers = try parse(test.packet)
        var packet = test.packet
        for field in test.fields { packet.replaceSubrange(field..<(field + 2), with: [0xa5, 0x5a]) }
        mend(&packet, headers: headers)
        #expect(packet == test.packet)
    }

    /// The shorter packets, with each of their bits turned over in turn.
    @Test func `a changed bit makes a checksum wrong`() throws {
        for test in Self.cases where test.packet.count < 60 {
            let headers = try parse(test.packet)
            let start = headers.family == .ipv4 ? 0 : headers.transportOffset
            let end = test.fields.count == (headers.family == .ipv4 ? 2 : 1) ? headers.length : headers.transportOffset
            for bit in (start * 8)..<(end * 8) {
                var packet = test.packet
                packet[bit / 8] ^= 1 << UInt8(bit % 8)
                // Bytes behind a UDP datagram's length are not covered; its length field is.
                if test.name == "UDP with a trailer", bit / 8 >= 31 { continue }
                #expect(
                    !hasValidChecksums(packet, headers: headers), "\(test.name), byte \(bit / 8)")
            }
        }
    }

    @Test func `a UDP checksum of 0 over IPv4 stays 0`() throws {
        var packet = ipv4(.udp, udp([1, 2, 3]))
        mend(&packet, headers: try parse(packet))
        #expect(packet[26...27] == [0, 0])
        #expect(packet[10...11] != [0, 0])
        #expect(try hasValidChecksums(packet))
    }

    @Test func `a UDP checksum that comes out as 0 is sent as ones`() throws {
        // Two bytes of payload equal to the checksum of the rest make the sum 0xffff.
        let rest = checksummed(ipv6(.udp, udp([0, 0])), transport: .udp, at: 40)
        var packet = ipv6(.udp, udp(Array(rest[46...47])))
        mend(&packet, headers: try parse(packet))
        #expect(packet[46...47] == [0xff, 0xff])
        #expect(try hasValidChecksums(packet))
    }

    @Test(arguments: [
        ("IPv4 first fragment", ipv4(.udp, udp([1, 2], checksum: 7), fragmentField: 0x2000), 26),
        ("IPv4 later fragment", ipv4(.tcp, tcp(.ack), fragmentField: 0x0010), 36),
        ("IPv4 truncated", ipv4(.tcp, tcp(.ack), length: 1000), 36),
        (
            "IPv6 first fragment", ipv6(.fragment, fragmentHeader(next: .tcp, offset: 0, moreFollow: true) + tcp(.ack)),
            64
        ),
        ("IPv6 truncated", ipv6(.tcp, tcp(.ack), length: 1000), 56),
        ("ICMPv6 over IPv4", ipv4(.icmpv6, icmp(type: 128)), 22),
        ("ICMP over IPv6", ipv6(.icmp, icmp(type: 8)), 42),
    ])
    func `leaves a checksum alone that covers what is not here`(_ name: String, packet: [UInt8], field: Int) throws {
        let headers = try parse(packet)
        var marked = packet
        marked.replaceSubrange(field..<(field + 2), with: [0xa5, 0x5a])
        var mended = marked
        mend(&mended, headers: headers)
        #expect(mended[20...] == marked[20...])
        if headers.family == .ipv4 { #expect(slowChecksum(Array(mended[..<20])) == 0) }
        #expect(try hasValidChecksums(mended))
    }

    @Test func `leaves bytes behind the packet alone`() throws {
        let packet = checksummed(ipv4(.tcp, tcp(.ack, payload: [1])), transport: .tcp, at: 20)
        var padded = packet + .ones(6)
        let headers = try parse(padded)
        padded[36] ^= 0xff
        mend(&padded, headers: headers)
        #expect(padded == packet + .ones(6))
    }

    /// Random packets, whatever their parity and the carries of their sum.
    @Test func `agrees with the slow way on random packets`() throws {
        var generator = SplitMix64(state: 5)
        for _ in 0..<3000 {
            let payload = generator.bytes(Int.random(in: 0...64, using: &generator))
            let source = Address(high: generator.next(), low: generator.next())
            let destination = Address(high: generator.next(), low: generator.next())
            let segment = tcp(.ack, payload: payload, sequence: UInt32.random(in: 0...UInt32.max, using: &generator))
            let expected = checksummed(
                ipv6(.tcp, segment, from: source, to: destination), transport: .tcp, at: 40, destination: destination)
            var packet = ipv6(.tcp, segment, from: source, to: destination)
            mend(&packet, headers: try parse(packet))
            #expect(packet == expected)
        }
    }

    @Test func `headers of another packet do no harm`() throws {
        let long = try parse(ipv4(.tcp, tcp(.ack, payload: .zeros(100)), options: .zeros(40)))
        let short = ipv4(.udp, udp())
        var packet = short
        mend(&packet, headers: long)
        #expect(packet == short)
        #expect(!hasValidChecksums(short, headers: long))
        let described = PacketHeaders(transportProtocol: .tcp, source: alice, destination: bob)
        mend(&packet, headers: described)
        #expect(packet == short)
    }
}
