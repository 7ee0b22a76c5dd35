import Packet
import States
import TestSupport
import Testing

struct ICMPErrorTests {
    /// Errors about connections that exist, and what becomes of them.
    @Test func errorsPassByTheStateOfWhatTheyQuote() {
        let syn = segment(.syn, 1000)
        let syn6 = segment(.syn, 1000, from: client6, to: server6)
        let udp6 = datagram(client6, server6)
        let ping = echo(request: true)
        let ping6 = echo(request: true, alice6, bob6)
        let fixture = StateFixture { $0.tracksEcho = true }
        for packet in [syn, syn6, datagram(), udp6, ping, ping6] { #expect(fixture.send(packet) == "new") }
        let before = fixture.list().map(\.lastSeen)
        fixture.now += second

        let lastOctetOfQuotedPort = 20 + 8 + 20 + 1
        var wrongPort = icmpError(3, about: syn)
        wrongPort.bytes[lastOctetOfQuotedPort] ^= 1
        var wrongSequence = icmpError(3, about: syn)
        wrongSequence.bytes[20 + 8 + 20 + 4] ^= 1
        var laterFragment = icmpError(3, about: datagram())
        laterFragment.bytes[20 + 8 + 7] = 1
        var otherVersion = icmpError(3, about: syn)
        otherVersion.bytes[28] = 0x65
        let replied = datagram(server, client, .in)

        let cases: [(String, TestPacket, String)] = [
            ("unreachable", icmpError(3, about: syn), "pass"),
            ("time exceeded", icmpError(11, about: syn), "pass"),
            ("parameter problem", icmpError(12, about: syn), "pass"),
            ("the whole header quoted", icmpError(3, about: syn, quoting: 20), "pass"),
            ("from the peer itself", icmpError(3, about: syn, from: bob), "pass"),
            ("UDP", icmpError(3, about: datagram()), "pass"),
            ("echo", icmpError(11, about: ping), "pass"),
            ("unreachable, IPv6", icmpError(1, about: syn6), "pass"),
            ("packet too big", icmpError(2, about: udp6), "pass"),
            ("time exceeded, IPv6", icmpError(3, about: ping6), "pass"),
            ("parameter problem, IPv6", icmpError(4, about: udp6), "pass"),
            ("about an answer, out", icmpError(3, about: replied, .out), "pass"),
            ("about an answer, in", icmpError(3, about: replied), "none"),
            ("about what did not come this way", icmpError(3, about: syn, .out), "none"),
            ("on another interface", icmpError(3, about: syn).on(3, .in), "none"),
            ("to another host", icmpError(3, about: syn, to: Address("192.0.2.99")!), "none"),
            ("redirect", icmpError(5, about: syn), "none"),
            ("source quench", icmpError(4, about: syn), "none"),
            ("seven bytes quoted", icmpError(3, about: syn, quoting: 7), "none"),
            ("an IP header quoted", icmpError(3, about: syn, quoting: 0), "none"),
            ("nothing quoted", TestPacket(ipv4(.icmp, icmp(type: 3), from: bob, to: alice), .in), "none"),
            ("a later fragment quoted", laterFragment, "none"),
            ("another version quoted", otherVersion, "none"),
            ("another port", wrongPort, "none"),
            ("a sequence number that was not sent", wrongSequence, "invalid"),
        ]
        for (name, packet, word) in cases { #expect(fixture.lookup(packet).word == word, "\(name)") }
        #expect(fixture.table.statistics.invalid == 1)
        // An error neither refreshes a state nor makes one.
        #expect(fixture.list().map(\.lastSeen) == before)
        #expect(fixture.list().allSatisfy { $0.source.traffic.packets == 1 && $0.destination.traffic.packets == 0 })
        #expect(!fixture.create(icmpError(3, about: datagram(End(address: alice, port: 9), server))))
    }

    /// An error about any segment on its way, in both directions.
    @Test func errorsAreAboutTheWindow() {
        let fixture = StateFixture()
        for packet in [segment(.syn, 1000), answer([.syn, .ack], 5000, 1001), segment(.ack, 1001, 5001, length: 1000)] {
            _ = fixture.send(packet)
        }
        for (name, packet, word) in [
            ("the last one", icmpError(3, about: segment(.ack, 1001, 5001)), "pass"),
            ("the next one", icmpError(3, about: segment(.ack, 2001, 5001)), "pass"),
            ("one after that", icmpError(3, about: segment(.ack, 2002, 5001)), "invalid"),
            ("a window back", icmpError(3, about: segment(.ack, 2001 &- 8192, 5001)), "pass"),
            ("more than a window back", icmpError(3, about: segment(.ack, 2000 &- 8192, 5001)), "invalid"),
            ("the server's", icmpError(3, about: answer(.ack, 5001, 1001), .out), "pass"),
            ("not the server's", icmpError(3, about: answer(.ack, 5002, 1001), .out), "invalid"),
        ] { #expect(fixture.lookup(packet).word == word, "\(name)") }
    }

    @Test func errorsAboutEchoNeedTheALG() {
        let fixture = StateFixture { $0.tracksEcho = true }
        #expect(fixture.send(echo(request: true)) == "new")
        fixture.table.parameters.tracksEcho = false
        #expect(fixture.lookup(icmpError(11, about: echo(request: true))).word == "none")
    }
}
