import Packet
import TestSupport
import Testing

struct PacketHeadersTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var packet: [UInt8]
        var transport: IPProtocol
        var transportOffset: Int
        var payloadOffset: Int
        /// The whole packet unless it says otherwise.
        var length: Int?
        var isFragment = false
        var isLaterFragment = false
        var isTruncated = false
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(
            name: "IPv4 TCP", packet: ipv4(.tcp, tcp(.syn, payload: [1, 2, 3])), transport: .tcp, transportOffset: 20,
            payloadOffset: 40),
        Case(
            name: "IPv4 and TCP options", packet: ipv4(.tcp, tcp(.syn, options: .zeros(8)), options: .zeros(40)),
            transport: .tcp, transportOffset: 60, payloadOffset: 88),
        Case(name: "IPv4 UDP", packet: ipv4(.udp, udp([1])), transport: .udp, transportOffset: 20, payloadOffset: 28),
        Case(
            name: "IPv4 ICMP", packet: ipv4(.icmp, icmp(type: 8)), transport: .icmp, transportOffset: 20,
            payloadOffset: 28),
        Case(name: "IPv4 unknown", packet: ipv4(.sctp, [1]), transport: .sctp, transportOffset: 20, payloadOffset: 20),
        Case(name: "IPv4 nothing", packet: ipv4(.gre, []), transport: .gre, transportOffset: 20, payloadOffset: 20),
        Case(
            name: "Ethernet padding is not of the packet", packet: ipv4(.udp, udp()) + .zeros(18), transport: .udp,
            transportOffset: 20, payloadOffset: 28, length: 28),
        Case(
            name: "IPv4 total length 0", packet: ipv4(.udp, udp([1, 2]), length: 0), transport: .udp,
            transportOffset: 20,
            payloadOffset: 28),
        Case(
            name: "IPv4 cut by a snap length", packet: ipv4(.tcp, tcp(.ack), length: 1500), transport: .tcp,
            transportOffset: 20, payloadOffset: 40, isTruncated: true),
        Case(
            name: "IPv4 first fragment", packet: ipv4(.udp, udp([1]), fragmentField: 0x2000), transport: .udp,
            transportOffset: 20, payloadOffset: 28, isFragment: true),
        Case(
            name: "IPv4 middle fragment", packet: ipv4(.udp, [1], fragmentField: 0x2001), transport: .udp,
            transportOffset: 20, payloadOffset: 20, isFragment: true, isLaterFragment: true),
        Case(
            name: "IPv4 last fragment", packet: ipv4(.tcp, [1], fragmentField: 0x1fff), transport: .tcp,
            transportOffset: 20, payloadOffset: 20, isFragment: true, isLaterFragment: true),
        Case(
            name: "IPv4 don't fragment", packet: ipv4(.udp, udp(), fragmentField: 0x4000), transport: .udp,
            transportOffset: 20, payloadOffset: 28),

        Case(name: "IPv6 TCP", packet: ipv6(.tcp, tcp(.syn)), transport: .tcp, transportOffset: 40, payloadOffset: 60),
        Case(name: "IPv6 UDP", packet: ipv6(.udp, udp([1])), transport: .udp, transportOffset: 40, payloadOffset: 48),
        Case(
            name: "IPv6 ICMPv6", packet: ipv6(.icmpv6, icmp(type: 128)), transport: .icmpv6, transportOffset: 40,
            payloadOffset: 48),
        Case(
            name: "IPv6 no next header", packet: ipv6(.noNextHeader, [1, 2]), transport: .noNextHeader,
            transportOffset: 40, payloadOffset: 40),
        Case(
            name: "IPv6 AH is not skipped", packet: ipv6(.ah, .zeros(24)), transport: .ah, transportOffset: 40,
            payloadOffset: 40),
        Case(
            name: "IPv6 mobility is unknown", packet: ipv6(IPProtocol(rawValue: 135), .zeros(8)),
            transport: IPProtocol(rawValue: 135), transportOffset: 40, payloadOffset: 40),
        Case(
            name: "IPv6 all extension headers",
            packet: ipv6(
                .hopByHop,
                extensionHeader(next: .destinationOptions) + extensionHeader(next: .routing, words: 3)
                    + extensionHeader(next: .fragment, words: 2)
                    + fragmentHeader(next: .tcp, offset: 0, moreFollow: false)
                    + tcp(.syn, payload: [9])),
            transport: .tcp, transportOffset: 96, payloadOffset: 116),
        Case(
            name: "IPv6 first fragment",
            packet: ipv6(.fragment, fragmentHeader(next: .udp, offset: 0, moreFollow: true) + udp([1])),
            transport: .udp,
            transportOffset: 48, payloadOffset: 56, isFragment: true),
        Case(
            name: "IPv6 later fragment",
            packet: ipv6(.fragment, fragmentHeader(next: .tcp, offset: 1448, moreFollow: false) + [1]), transport: .tcp,
            transportOffset: 48, payloadOffset: 48, isFragment: true, isLaterFragment: true),
        Case(
            name: "IPv6 later fragment is not searched for extension headers",
            packet: ipv6(
                .fragment, fragmentHeader(next: .destinationOptions, offset: 8, moreFollow: true) + [6, 0xff]),
            transport: .destinationOptions, transportOffset: 48, payloadOffset: 48, isFragment: true,
            isLaterFragment: true),
        Case(
            name: "IPv6 jumbogram",
            packet: ipv6(.hopByHop, [6, 0, 0xc2, 4, 0, 1, 0, 0] + tcp(.ack, payload: .zeros(70000)), length: 0),
            transport: .tcp, transportOffset: 48, payloadOffset: 68),
        Case(
            name: "IPv6 super-packet", packet: ipv6(.tcp, tcp(.ack, payload: .zeros(70000)), length: 0),
            transport: .tcp,
            transportOffset: 40, payloadOffset: 60),
        Case(
            name: "IPv6 trailing bytes", packet: ipv6(.udp, udp()) + [1, 2, 3], transport: .udp, transportOffset: 40,
            payloadOffset: 48, length: 48),
        Case(
            name: "IPv6 cut by a snap length", packet: ipv6(.udp, udp(), length: 1000), transport: .udp,
            transportOffset: 40, payloadOffset: 48, isTruncated: true),
        Case(
            name: "IPv6 with the most extension headers",
            packet: ipv6(.destinationOptions, extensionHeaders(8, next: .udp) + udp()), transport: .udp,
            transportOffset: 104, payloadOffset: 112),
    ]

    static func extensionHeaders(_ count: Int, next: IPProtocol) -> [UInt8] {
        (1...count).flatMap { extensionHeader(next: $0 == count ? next : .destinationOptions) }
    }

    @Test(arguments: cases)
    func `finds layers and lengths`(_ test: Case) throws {
        let headers = try parse(test.packet)
        #expect(headers.transportProtocol == test.transport)
        #expect(headers.transportOffset == test.transportOffset)
        #expect(headers.payloadOffset == test.payloadOffset)
        #expect(headers.length == test.length ?? test.packet.count)
        #expect(headers.isFragment == test.isFragment)
        #expect(headers.isLaterFragment == test.isLaterFragment)
        #expect(headers.isTruncated == test.isTruncated)
        let isIPv6 = test.packet[0] >> 4 == 6
        #expect(headers.family == (isIPv6 ? .ipv6 : .ipv4))
        #expect(headers.source == (isIPv6 ? alice6 : alice))
        #expect(headers.destination == (isIPv6 ? bob6 : bob))
    }

    @Test func `a length of 0 stands for what there was before the packet was cut`() throws {
        for (packet, header) in [
            (ipv4(.tcp, tcp(.ack, payload: .zeros(60)), length: 0), 20),
            (ipv6(.tcp, tcp(.ack, payload: .zeros(60)), length: 0), 40),
        ] {
            for original in [0, packet.count, 70_000] {
                let headers = try PacketHeaders(parsing: unsafe packet.span.bytes, originalLength: original)
                #expect(headers.length == packet.count)
                #expect(headers.originalLength == max(original, packet.count))
                #expect(headers.isTruncated == (original > packet.count))
                let segment = TCPSegment(of: unsafe packet.span.bytes, headers: headers)
                #expect(Int(segment.payloadLength) == max(original, packet.count) - header - 20)
            }
        }
        // What the IP header says comes first.
        let cut = ipv4(.udp, udp(), length: 1500)
        #expect(try PacketHeaders(parsing: unsafe cut.span.bytes, originalLength: 1514).originalLength == 1500)
    }

    @Test func `reads ports and flags of TCP`() throws {
        for packet in [ipv4(.tcp, tcp([.syn, .ece, .cwr])), ipv6(.tcp, tcp([.syn, .ece, .cwr]))] {
            let headers = try parse(packet)
            #expect(headers.sourcePort == 40000)
            #expect(headers.destinationPort == 22)
            #expect(headers.tcpFlags == [.syn, .ece, .cwr])
            #expect(headers.icmpType == 0)
        }
    }

    @Test func `reads ports of UDP, and no flags`() throws {
        let headers = try parse(ipv4(.udp, udp(.ones(8))))
        #expect(headers.sourcePort == 5353)
        #expect(headers.destinationPort == 53)
        #expect(headers.tcpFlags.isEmpty)
    }

    @Test func `reads type and code of ICMP, and no ports`() throws {
        for packet in [ipv4(.icmp, icmp(type: 3, code: 13)), ipv6(.icmpv6, icmp(type: 3, code: 13))] {
            let headers = try parse(packet)
            #expect(headers.icmpType == 3)
            #expect(headers.icmpCode == 13)
            #expect(headers.sourcePort == 0)
            #expect(headers.destinationPort == 0)
        }
    }

    @Test func `reads nothing of layer 4 from a later fragment`() throws {
        for packet in [
            ipv4(.tcp, .ones(40), fragmentField: 0x2002), ipv4(.udp, .ones(40), fragmentField: 1),
            ipv4(.icmp, .ones(40), fragmentField: 1),
            ipv6(.fragment, fragmentHeader(next: .tcp, offset: 16, moreFollow: true) + .ones(40)),
        ] {
            let headers = try parse(packet)
            #expect(headers.sourcePort == 0)
            #expect(headers.destinationPort == 0)
            #expect(headers.tcpFlags.isEmpty)
            #expect(headers.icmpType == 0)
            #expect(headers.icmpCode == 0)
        }
    }

    @Test(
        arguments: [
            ("no bytes", [], .unknownVersion),
            ("version 5", [0x55] + .zeros(60), .unknownVersion),
            ("version 0", .zeros(60), .unknownVersion),
            ("one byte", [0x45], .shortNetworkHeader),
            ("19 bytes of IPv4", Array(ipv4(.udp, udp()).prefix(19)), .shortNetworkHeader),
            ("options beyond the bytes", ipv4(.udp, [], length: 40, headerWords: 6), .shortNetworkHeader),
            ("header of 4 words", ipv4(.udp, udp(), headerWords: 4), .headerLength),
            ("header of no words", ipv4(.udp, udp(), headerWords: 0), .headerLength),
            ("total length 19", ipv4(.udp, udp(), length: 19), .totalLength),
            ("total length below options", ipv4(.udp, udp(), options: .zeros(4), length: 20), .totalLength),
            ("39 bytes of IPv6", Array(ipv6(.udp, udp()).prefix(39)), .shortNetworkHeader),
            ("no IPv6 payload", ipv6(.noNextHeader, []), .payloadLength),
            ("one byte of IPv6 payload", ipv6(.noNextHeader, [0]), .payloadLength),
            ("payload length 1", ipv6(.udp, udp(), length: 1), .payloadLength),
            ("cut within an extension header", ipv6(.hopByHop, [17, 0, 0, 0, 0, 0, 0]), .extensionHeader),
            ("extension header beyond the packet", ipv6(.routing, [17, 1] + .zeros(6) + .zeros(7)), .extensionHeader),
            (
                "extension header beyond the payload length",
                ipv6(.destinationOptions, [17, 1] + .zeros(6) + .zeros(20), length: 12), .extensionHeader
            ),
            ("cut within a fragment header", ipv6(.fragment, [17, 0, 0, 0]), .extensionHeader),
            (
                "nine extension headers", ipv6(.destinationOptions, extensionHeaders(9, next: .udp) + udp()),
                .extensionHeader
            ),
            ("TCP of 19 bytes", ipv4(.tcp, Array(tcp(.syn).prefix(19))), .shortTransportHeader),
            ("TCP that the total length cuts", ipv4(.tcp, tcp(.syn), length: 39), .shortTransportHeader),
            ("TCP that a snap length cuts", ipv4(.tcp, Array(tcp(.syn).prefix(12)), length: 40), .shortTransportHeader),
            ("TCP options beyond the packet", ipv4(.tcp, tcp(.syn, headerWords: 6)), .shortTransportHeader),
            ("TCP data offset 4", ipv4(.tcp, tcp(.syn, headerWords: 4)), .dataOffset),
            ("TCP data offset 0", ipv6(.tcp, tcp(.syn, headerWords: 0)), .dataOffset),
            (
                "TCP in a tiny first fragment", ipv4(.tcp, Array(tcp(.syn).prefix(8)), fragmentField: 0x2000),
                .shortTransportHeader
            ),
            ("UDP of 7 bytes", ipv4(.udp, .zeros(7)), .shortTransportHeader),
            ("UDP of nothing", ipv4(.udp, []), .shortTransportHeader),
            ("UDP of 7 bytes over IPv6", ipv6(.udp, .zeros(7)), .shortTransportHeader),
            ("ICMP of 7 bytes", ipv4(.icmp, .zeros(7)), .shortTransportHeader),
            ("ICMPv6 of 7 bytes", ipv6(.icmpv6, .zeros(7)), .shortTransportHeader),
            ("IPv4 fragment over TCP flags", ipv4(.tcp, .zeros(32), fragmentField: 0x2001), .overlappingFragment),
            (
                "IPv6 fragment over TCP flags",
                ipv6(.fragment, fragmentHeader(next: .tcp, offset: 8, moreFollow: false) + .zeros(32)),
                .overlappingFragment
            ),
        ] as [(String, [UInt8], MalformedPacket)])
    func `rejects what is malformed`(_ name: String, packet: [UInt8], reason: MalformedPacket) {
        #expect(throws: reason) { try parse(packet) }
    }

    @Test func `every reason has its own words`() {
        #expect(Set(MalformedPacket.allCases.map(\.description)).count == MalformedPacket.allCases.count)
    }

    /// Every packet of the table, cut at every length, either parses within its bytes or is malformed.
    @Test func `offsets never leave the bytes that are there`() {
        for test in Self.cases where test.packet.count < 200 {
            for count in 0...test.packet.count {
                guard let headers = try? parse(Array(test.packet.prefix(count))) else { continue }
                #expect(headers.length <= count, "\(test.name) cut to \(count)")
                #expect(headers.transportOffset <= headers.payloadOffset, "\(test.name) cut to \(count)")
                #expect(headers.payloadOffset <= headers.length, "\(test.name) cut to \(count)")
            }
        }
    }

    @Test func `directions have the words of rules`() {
        #expect("\(Direction.in) \(Direction.out)" == "in out")
    }
}
