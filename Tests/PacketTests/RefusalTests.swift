import Packet
import TestSupport
import Testing

/// The answer to a packet, nil if there is none.
func refusal(of packet: [UInt8], room: Int = Refusal.maximumLength) throws -> [UInt8]? {
    // Whatever the buffer held before must not be in the answer.
    var buffer = [UInt8](repeating: 0xee, count: room)
    let headers = try parse(packet)
    let length = {
        var elements = buffer.mutableSpan
        var span = unsafe elements.mutableBytes
        return unsafe Refusal.write(answering: packet.span.bytes, headers: headers, into: &span)
    }()
    return length == 0 ? nil : Array(buffer.prefix(length))
}

struct RefusalTests {
    /// RFC 9293 section 3.5.2, first group: what a segment to a port that does not exist is answered with.
    @Test(
        arguments: [
            ("SYN", tcp(.syn), 0, 1001, [.rst, .ack]),
            ("SYN with data", tcp(.syn, payload: [1, 2, 3], options: .zeros(4)), 0, 1004, [.rst, .ack]),
            ("SYN and FIN", tcp([.syn, .fin]), 0, 1002, [.rst, .ack]),
            ("no flags", tcp([], payload: [1]), 0, 1001, [.rst, .ack]),
            ("sequence numbers wrap", tcp(.fin, payload: .zeros(10), sequence: 0xffff_fffe), 0, 9, [.rst, .ack]),
            ("ACK", tcp(.ack, payload: [1]), 2000, 0, .rst),
            ("SYN and ACK", tcp([.syn, .ack]), 2000, 0, .rst),
            ("FIN, PSH and ACK", tcp([.fin, .psh, .ack], acknowledgment: 0xffff_ffff), 0xffff_ffff, 0, .rst),
        ] as [(String, [UInt8], UInt32, UInt32, TCPFlags)])
    func `resets TCP`(_ name: String, segment: [UInt8], sequence: UInt32, acknowledgment: UInt32, flags: TCPFlags)
        throws
    {
        for packet in [ipv4(.tcp, segment, options: .zeros(8)), ipv6(.hopByHop, extensionHeader(next: .tcp) + segment)]
        {
            let answer = try #require(try refusal(of: packet))
            let headers = try parse(answer)
            let segment = Array(answer[headers.transportOffset...])
            #expect(headers.transportOffset == (headers.family == .ipv4 ? 20 : 40))
            #expect(headers.length == answer.count)
            #expect(headers.payloadOffset == answer.count)
            #expect(headers.source == (headers.family == .ipv4 ? bob : bob6))
            #expect(headers.destination == (headers.family == .ipv4 ? alice : alice6))
            #expect(headers.sourcePort == 22)
            #expect(headers.destinationPort == 40000)
            #expect(Array(segment[4..<8]) == bytes(sequence))
            #expect(Array(segment[8..<12]) == bytes(acknowledgment))
            #expect(headers.tcpFlags == flags)
            #expect(segment[12] == 0x50)
            #expect(segment[14..<16] == [0, 0], "window")
            #expect(segment[18..<20] == [0, 0], "urgent pointer")
            #expect(try hasValidChecksums(answer))
        }
    }

    @Test func `counts the payload that a snap length has cut off`() throws {
        let answer = try #require(try refusal(of: ipv4(.tcp, tcp(.syn, payload: [1]), length: 140)))
        #expect(Array(answer[28..<32]) == bytes(1101 as UInt32))
        let answer6 = try #require(try refusal(of: ipv6(.tcp, tcp(.syn, payload: [1]), length: 120)))
        #expect(Array(answer6[48..<52]) == bytes(1101 as UInt32))
    }

    @Test func `does not count bytes behind the packet`() throws {
        let answer = try #require(try refusal(of: ipv4(.tcp, tcp(.syn)) + .zeros(6)))
        #expect(Array(answer[28..<32]) == bytes(1001 as UInt32))
    }

    @Test func `writes the IPv4 header that hosts expect`() throws {
        let answer = try #require(try refusal(of: ipv4(.tcp, tcp(.syn))))
        // Version, service, length, identification, don't fragment, time to live, protocol.
        #expect(answer.prefix(10) == [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6])
        #expect(slowChecksum(Array(answer.prefix(20))) == 0)
    }

    @Test func `writes the IPv6 header that hosts expect`() throws {
        let answer = try #require(try refusal(of: ipv6(.tcp, tcp(.syn))))
        #expect(answer.prefix(8) == [0x60, 0, 0, 0, 0, 20, 6, 64])
    }

    @Test(arguments: [0, 1, 519, 520, 521, 1223, 1224, 1225, 2000])
    func `answers UDP with an ICMP error that quotes it`(size: Int) throws {
        var generator = SplitMix64(state: UInt64(size))
        let datagram = udp(generator.bytes(size))
        for (packet, longest) in [(ipv4(.udp, datagram), 576), (ipv6(.udp, datagram), 1280)] {
            let answer = try #require(try refusal(of: packet))
            let headers = try parse(answer)
            let isIPv4 = headers.family == .ipv4
            #expect(headers.transportProtocol == (isIPv4 ? .icmp : .icmpv6))
            #expect(headers.icmpType == (isIPv4 ? 3 : 1))
            #expect(headers.icmpCode == (isIPv4 ? 13 : 1))
            #expect(headers.source == (isIPv4 ? bob : bob6))
            #expect(headers.destination == (isIPv4 ? alice : alice6))
            #expect(headers.length == answer.count)
            #expect(answer.count == min(headers.payloadOffset + packet.count, longest))
            #expect(answer[(headers.transportOffset + 4)..<headers.payloadOffset] == [0, 0, 0, 0])
            #expect(
                Array(answer[headers.payloadOffset...]) == Array(packet.prefix(answer.count - headers.payloadOffset)))
            #expect(try hasValidChecksums(answer))
        }
    }

    @Test func `quotes no bytes behind the packet`() throws {
        let packet = ipv4(.udp, udp())
        #expect(try refusal(of: packet + .ones(18))?.count == 28 + packet.count)
    }

    @Test(arguments: [
        ("a reset", ipv4(.tcp, tcp(.rst))),
        ("a reset with an acknowledgment", ipv6(.tcp, tcp([.rst, .ack]))),
        ("ICMP", ipv4(.icmp, icmp(type: 8))),
        ("ICMPv6", ipv6(.icmpv6, icmp(type: 128))),
        ("another protocol", ipv4(.sctp, .zeros(20))),
        ("a later fragment of TCP", ipv4(.tcp, .zeros(40), fragmentField: 0x2002)),
        (
            "a later fragment of UDP",
            ipv6(.fragment, fragmentHeader(next: .udp, offset: 8, moreFollow: true) + .zeros(8))
        ),
        ("from nowhere", ipv4(.udp, udp(), from: Address("0.0.0.0")!)),
        ("from multicast", ipv4(.udp, udp(), from: Address("224.0.0.1")!)),
        ("from broadcast", ipv4(.tcp, tcp(.syn), from: Address("255.255.255.255")!)),
        ("from a reserved address", ipv4(.tcp, tcp(.syn), from: Address("240.0.0.1")!)),
        ("to nowhere", ipv4(.udp, udp(), to: Address("0.0.0.0")!)),
        ("to multicast", ipv4(.udp, udp(), to: Address("239.255.255.250")!)),
        ("to broadcast", ipv4(.udp, udp(), to: Address("255.255.255.255")!)),
        ("from nowhere in IPv6", ipv6(.udp, udp(), from: Address("::")!)),
        ("from multicast in IPv6", ipv6(.udp, udp(), from: Address("ff02::1")!)),
        ("to multicast in IPv6", ipv6(.udp, udp(), to: Address("ff02::fb")!)),
        ("to nowhere in IPv6", ipv6(.tcp, tcp(.syn), to: Address("::")!)),
    ])
    func `owes no answer to`(_ name: String, packet: [UInt8]) throws {
        #expect(try refusal(of: packet) == nil)
    }

    @Test func `answers a first fragment, and hosts next to multicast`() throws {
        for packet in [
            ipv4(.udp, udp(), fragmentField: 0x2000), ipv4(.udp, udp(), from: Address("223.255.255.255")!),
            ipv6(.udp, udp(), from: Address("feff::1")!), ipv4(.udp, udp(), to: Address("127.0.0.1")!),
            ipv6(.udp, udp(), from: Address("::1")!), ipv6(.udp, udp(), from: Address("1::")!),
        ] {
            #expect(try refusal(of: packet) != nil)
        }
    }

    @Test func `writes nothing into a buffer that is too small`() throws {
        for (packet, length) in [
            (ipv4(.tcp, tcp(.syn)), 40), (ipv6(.tcp, tcp(.syn)), 60), (ipv4(.udp, udp()), 56), (ipv6(.udp, udp()), 96),
        ] {
            #expect(try refusal(of: packet, room: length)?.count == length)
            for room in 0..<length { #expect(try refusal(of: packet, room: room) == nil) }
        }
    }
}
