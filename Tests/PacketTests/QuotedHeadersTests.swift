import Packet
import TestSupport
import Testing

struct QuotedHeadersTests {
    private func quoted(_ packet: [UInt8]) throws -> PacketHeaders? {
        unsafe try parse(packet).quotedHeaders(packet.span.bytes)
    }

    private func error(_ type: UInt8, _ quote: [UInt8]) -> [UInt8] {
        quote.first.map { $0 >> 4 } == 6
            ? ipv6(.icmpv6, icmp(type: type, payload: quote), from: bob6, to: alice6)
            : ipv4(.icmp, icmp(type: type, payload: quote), from: bob, to: alice)
    }

    @Test func theQuotedPacketIsRead() throws {
        let segment = tcp(.syn, sequence: 0x0102_0304)
        let router: [UInt8] = [0x94, 4, 0, 0]
        let extended = extensionHeader(next: .destinationOptions) + extensionHeader(next: .tcp, words: 2) + segment
        for (name, packet, start) in [
            ("IPv4", error(3, ipv4(.tcp, segment)), 28 + 20),
            ("IPv4 with options", error(11, ipv4(.tcp, segment, options: router)), 28 + 24),
            ("first fragment", error(12, ipv4(.tcp, segment, fragmentField: 0x2000)), 28 + 20),
            ("IPv6", error(1, ipv6(.tcp, segment)), 48 + 40),
            ("IPv6 with extension headers", error(2, ipv6(.hopByHop, extended)), 48 + 40 + 24),
            ("eight bytes", error(3, Array(ipv4(.tcp, segment).prefix(28))), 28 + 20),
        ] {
            let headers = try #require(try quoted(packet), "\(name)")
            #expect(headers.transportProtocol == .tcp, "\(name)")
            #expect(headers.source == (headers.family == .ipv4 ? alice : alice6), "\(name)")
            #expect(headers.destination == (headers.family == .ipv4 ? bob : bob6), "\(name)")
            #expect((headers.sourcePort, headers.destinationPort) == (40000, 22), "\(name)")
            #expect(headers.tcpFlags == [], "\(name)")
            #expect(headers.transportOffset == start, "\(name)")
            #expect(unsafe headers.quotedSequenceNumber(packet.span.bytes) == 0x0102_0304, "\(name)")
        }
        let echo = error(3, ipv4(.icmp, icmp(type: 8)))
        let headers = try #require(try quoted(echo))
        #expect(headers.isEchoRequest == true)
        #expect(unsafe headers.echoIdentifier(echo.span.bytes) == 1)
    }

    @Test func whatIsNoErrorOrQuotesNoPacketHasNone() throws {
        let packet = ipv4(.udp, udp())
        for (name, packet) in [
            ("echo", error(8, packet)), ("redirect", error(5, packet)), ("ICMPv6 echo", error(128, ipv6(.udp, udp()))),
            ("nothing", error(3, [])), ("a header", error(3, Array(packet.prefix(20)))),
            ("seven bytes", error(3, Array(packet.prefix(27)))),
            ("a short header", error(3, Array(packet.prefix(19)))),
            ("a later fragment", error(3, ipv4(.udp, udp(), fragmentField: 1))),
            ("the other version", ipv4(.icmp, icmp(type: 3, payload: ipv6(.udp, udp())))),
            ("ICMPv6 over IPv4", ipv4(.icmpv6, icmp(type: 1, payload: ipv4(.udp, udp())))),
            ("a fragment", ipv4(.icmp, icmp(type: 3, payload: packet), fragmentField: 0x2000)),
            ("UDP", packet),
        ] {
            let headers = try quoted(packet)
            #expect(headers == nil, "\(name)")
        }
    }

    @Test func echoesAreKnownByTheirFamily() throws {
        for (packet, isRequest) in [
            (ipv4(.icmp, icmp(type: 8)), true), (ipv4(.icmp, icmp(type: 0)), false),
            (ipv4(.icmp, icmp(type: 128)), nil),
            (ipv6(.icmpv6, icmp(type: 128)), true), (ipv6(.icmpv6, icmp(type: 129)), false),
            (ipv6(.icmpv6, icmp(type: 8)), nil), (ipv4(.icmpv6, icmp(type: 128)), nil), (ipv4(.udp, udp()), nil),
        ] as [([UInt8], Bool?)] {
            #expect(try parse(packet).isEchoRequest == isRequest)
        }
    }
}
