import Packet
import States
import TestSupport
import Testing

/// TCP connections, segment by segment: the client's sequence numbers start at 1000, the server's at 5000.
struct TCPTests {
    private static let syn = segment(.syn, 1000)
    private static let synAck = answer([.syn, .ack], 5000, 1001)
    private static let handshake = [syn, synAck, segment(.ack, 1001, 5001)]
    private static let clientFin = segment([.fin, .ack], 1001, 5001)
    private static let serverFin = answer([.fin, .ack], 5001, 1001)

    /// Segments, the phase that they lead to, and how many seconds that may last.
    static let phases: [(String, [TestPacket], ConnectionPhase, Int64)] = [
        ("SYN", [syn], .synSent, 30),
        ("SYN, again", [syn, syn], .synSent, 30),
        ("SYN with data, again", Array(repeating: segment(.syn, 1000, length: 20), count: 2), .synSent, 30),
        ("both SYN", [syn, answer(.syn, 5000)], .simultaneousSynSent, 30),
        ("both SYN, acknowledged", [syn, answer(.syn, 5000), segment([.syn, .ack], 1000, 5001)], .synReceived, 30),
        (
            "simultaneous open",
            [syn, answer(.syn, 5000), segment([.syn, .ack], 1000, 5001), synAck, segment(.ack, 1001, 5001)],
            .established, 86_400
        ),
        ("SYN-ACK", [syn, synAck], .synReceived, 30),
        ("SYN again after SYN-ACK", [syn, synAck, syn], .synReceived, 30),
        ("handshake", handshake, .established, 86_400),
        ("SYN again after all", handshake + [syn], .established, 86_400),
        ("SYN-ACK again after all", handshake + [synAck], .established, 86_400),
        ("data", handshake + [segment([.psh, .ack], 1001, 5001, length: 9)], .established, 86_400),
        ("a SYN in the window", handshake + [segment(.syn, 1001)], .closed, 10),
        ("no flags", handshake + [segment([], 1001)], .closed, 10),
        ("SYN and FIN", handshake + [segment([.syn, .fin], 1001)], .closed, 10),
        ("an ACK without SYN-ACK", [syn, answer(.ack, 5000, 1001)], .closed, 10),
        ("client's FIN", handshake + [clientFin], .finSent, 21_600),
        ("client's FIN in the handshake", [syn, synAck, clientFin], .finSent, 21_600),
        ("server's FIN", handshake + [serverFin], .finReceived, 21_600),
        ("client's FIN, acknowledged", handshake + [clientFin, answer(.ack, 5001, 1002)], .finWait, 21_600),
        (
            "client's FIN, acknowledged, again", handshake + [clientFin, answer(.ack, 5001, 1002), clientFin], .finWait,
            21_600
        ),
        ("server's FIN, acknowledged", handshake + [serverFin, segment(.ack, 1001, 5002)], .closeWait, 21_600),
        ("both FIN", handshake + [clientFin, serverFin], .closing, 10),
        (
            "FIN after FIN", handshake + [clientFin, answer(.ack, 5001, 1002), answer([.fin, .ack], 5001, 1002)],
            .lastAck, 10
        ),
        (
            "FIN after FIN, again",
            handshake + [clientFin, answer(.ack, 5001, 1002)]
                + Array(repeating: answer([.fin, .ack], 5001, 1002), count: 2), .lastAck, 10
        ),
        (
            "closed in order",
            handshake + [clientFin, answer([.fin, .ack], 5001, 1002), segment(.ack, 1002, 5002)]
                + [answer(.ack, 5002, 1002)], .timeWait, 240
        ),
        (
            "closed in order, and a reset",
            handshake + [clientFin, serverFin, segment(.ack, 1002, 5002), answer(.ack, 5002, 1002)]
                + [answer(.rst, 5002)], .timeWait, 240
        ),
        (
            "closed in order, and a FIN again",
            handshake + [clientFin, serverFin, segment(.ack, 1002, 5002), answer(.ack, 5002, 1002)]
                + [answer([.fin, .ack], 5001, 1002)], .timeWait, 240
        ),
        ("server's reset", handshake + [answer(.rst, 5001)], .closed, 10),
        ("client's reset", handshake + [segment([.rst, .ack], 1001, 5001)], .closed, 10),
        ("refused", [syn, answer([.rst, .ack], 0, 1001)], .closed, 10),
        ("from its middle", [segment(.ack, 1001, 5001)], .closed, 10),
    ]

    @Test func segmentsLeadThroughThePhases() throws {
        for (name, segments, phase, timeout) in Self.phases {
            let fixture = StateFixture()
            #expect(fixture.send(segments[0]) == "new", "\(name)")
            for (number, segment) in segments.dropFirst().enumerated() {
                #expect(fixture.send(segment) == "state", "\(name): segment \(number + 2)")
            }
            let state = try #require(fixture.list().first)
            #expect(state.phase == phase, "\(name)")
            #expect(state.expiry - state.lastSeen == timeout * second, "\(name)")

            // Idle for exactly the timeout is not yet too long.
            fixture.now += timeout * second
            #expect(fixture.list().count == 1, "\(name)")
            #expect(fixture.table.collect(step: 8, now: fixture.now) == 0, "\(name)")
            fixture.now += 1
            #expect(fixture.list().isEmpty, "\(name)")
            #expect(fixture.lookup(segments[0]).word == "none", "\(name)")
            #expect(fixture.table.count == 0, "\(name)")
        }
        #expect(Set(Self.phases.map(\.2)) == Set(ConnectionPhase.allCases.dropFirst(2)))
    }

    @Test func everyTimeoutIsAParameter() throws {
        for (name, segments, _, timeout) in Self.phases {
            let fixture = StateFixture {
                $0.timeouts.tcpNew = 31
                $0.timeouts.tcpEstablished = 86_401
                $0.timeouts.tcpHalfClose = 21_601
                $0.timeouts.tcpClose = 11
                $0.timeouts.tcpTimeWait = 241
            }
            for segment in segments { _ = fixture.send(segment) }
            let state = try #require(fixture.list().first)
            #expect(state.expiry - state.lastSeen == (timeout + 1) * second, "\(name)")
        }
    }

    /// Segments after the handshake, each in a connection of its own, and whether they fit.
    static let windows: [(String, TestPacket, String)] = [
        ("data at the window's end", answer(.ack, 13192, 1001, length: 1), "state"),
        ("data beyond the window", answer(.ack, 13193, 1001, length: 1), "invalid"),
        ("data a window back", answer(.ack, 5001 &- 8193, 1001, length: 1), "invalid"),
        ("an acknowledgment of 66000 unseen bytes", answer(.ack, 5001, 67_001), "state"),
        ("an acknowledgment of 66001 unseen bytes", answer(.ack, 5001, 67_002), "invalid"),
        ("a late acknowledgment", answer(.ack, 5001, 1001 &- 66_000), "state"),
        ("a very late acknowledgment", answer(.ack, 5001, 1001 &- 66_001), "invalid"),
        ("a reset in order", answer(.rst, 5001), "state"),
        ("a reset at the FIN", answer(.rst, 5000), "state"),
        ("a reset two before the end", answer(.rst, 4999), "invalid"),
        ("a reset out of order", answer(.rst, 5002), "invalid"),
        ("a reset with ACK and 0", answer([.rst, .ack], 5001, 0), "state"),
        ("a segment of another connection", answer(.ack, 0x8000_0000, 1001), "invalid"),
    ]

    /// The same whatever the sequence numbers start at: where they wrap is no end.
    @Test(arguments: [0, 0x7fff_fff0, 0x8000_0000, 0xffff_ec00, 0xffff_fc10, 0xffff_ffff] as [UInt32])
    func segmentsFitOrNotWhereverNumbersWrap(_ shift: UInt32) throws {
        func shifted(_ packet: TestPacket) -> TestPacket {
            var packet = packet
            for offset in [24, 28] where packet.bytes[33] & 0x10 != 0 || offset == 24 {
                let number = packet.bytes[offset..<(offset + 4)].reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
                if offset == 28 && number == 0 { continue }
                packet.bytes.replaceSubrange(offset..<(offset + 4), with: bytes(number &+ shift))
            }
            return packet
        }
        for (name, packet, word) in Self.windows {
            let fixture = StateFixture()
            for segment in Self.handshake { _ = fixture.send(shifted(segment)) }
            #expect(fixture.list().first?.phase == .established, "\(name)")
            #expect(fixture.send(shifted(packet)) == word, "\(name)")
        }
    }

    @Test func misfitsAreCountedAndChangeNothing() throws {
        let fixture = StateFixture()
        for segment in Self.handshake { _ = fixture.send(segment) }
        let before = try #require(fixture.list().first)
        fixture.now += second
        for (_, packet, word) in Self.windows where word == "invalid" { #expect(fixture.send(packet) == "invalid") }
        let after = try #require(fixture.list().first)
        #expect(after.lastSeen == before.lastSeen)
        #expect(after.phase == .established)
        #expect(after.destination.traffic == before.destination.traffic)
        let statistics = fixture.table.statistics
        #expect(statistics.invalid == 7)
        #expect(statistics.beyondWindow == 2)
        #expect(statistics.beforeWindow == 1)
        #expect(statistics.acknowledgment == 2)
        #expect(fixture.send(answer(.ack, 5001, 1001, length: 1)) == "state")
    }

    @Test func theAcknowledgmentWindowIsAParameter() {
        let fixture = StateFixture { $0.maximumAcknowledgmentWindow = 10 }
        for segment in Self.handshake { _ = fixture.send(segment) }
        #expect(fixture.send(answer(.ack, 5001, 1012)) == "invalid")
        #expect(fixture.send(answer(.ack, 5001, 1011)) == "state")
    }

    @Test func resetsOutOfOrderPassIfTheyMay() {
        let fixture = StateFixture { $0.strictOrderReset = false }
        for segment in Self.handshake { _ = fixture.send(segment) }
        #expect(fixture.send(answer(.rst, 5100)) == "state")
        let unanswered = StateFixture { $0.strictOrderReset = false }
        #expect(unanswered.send(Self.syn) == "new")
        #expect(unanswered.send(answer(.rst, 77)) == "state")
    }

    /// Who does not see the SYN cannot answer it with a reset.
    @Test(arguments: [
        (answer(.rst, 0), "invalid"), (answer(.rst, 1001), "invalid"), (answer([.rst, .ack], 0, 1000), "invalid"),
        (answer([.rst, .ack], 0, 1002), "invalid"), (answer([.rst, .ack], 0, 0), "invalid"),
        (answer([.rst, .ack], 0, 1001), "state"), (answer([.rst, .ack], 99, 1001), "state"),
    ])
    func aResetThatAnswersASynAcknowledgesIt(_ reset: TestPacket, _ word: String) {
        let fixture = StateFixture()
        #expect(fixture.send(Self.syn) == "new")
        #expect(fixture.send(reset) == word)
        #expect(fixture.send(Self.synAck) == (word == "state" ? fixture.send(Self.synAck) : "state"))
    }

    private static let scale7: [UInt8] = [1, 3, 3, 7]

    /// Options of both SYNs, and whether 100000 bytes at once fit a window of 1000, of 128000 with the scale.
    @Test(
        arguments: [
            ("both offer it", scale7, scale7, "state"),
            ("after others", [2, 4, 5, 0xb4, 1, 1, 8, 10] + [0, 0, 0, 1, 0, 0, 0, 0] + scale7, scale7, "state"),
            ("the server does not", scale7, [], "invalid"),
            ("the client does not", [], scale7, "invalid"),
            ("neither does", [], [], "invalid"),
            ("more than 14 are 14", [1, 3, 3, 255], [1, 3, 3, 255], "state"),
            ("after the end of the list", [0, 3, 3, 7], scale7, "invalid"),
            ("an option of length 0", [9, 0, 1, 1] + scale7, scale7, "invalid"),
            ("an option of length 1", [9, 1, 1, 1] + scale7, scale7, "invalid"),
            ("an option that runs over the end", [9, 30, 1, 1] + scale7, scale7, "invalid"),
            ("cut after its kind", [1, 1, 1, 3], scale7, "invalid"),
            ("cut after its length", [1, 1, 3, 3], scale7, "invalid"),
            ("of a wrong length", [3, 4, 7, 0], scale7, "invalid"),
        ] as [(String, [UInt8], [UInt8], String)])
    func windowsAreScaledIfBothSynsSaySo(_ name: String, _ mine: [UInt8], _ theirs: [UInt8], _ word: String) {
        let fixture = StateFixture()
        #expect(fixture.send(segment(.syn, 1000, window: 1000, options: mine)) == "new")
        #expect(fixture.send(answer([.syn, .ack], 5000, 1001, window: 1000, options: theirs)) == "state")
        #expect(fixture.send(segment(.ack, 1001, 5001, window: 1000)) == "state")
        var last = "state"
        for offset in stride(from: 0 as UInt32, to: 100_000, by: 1000) where last == "state" {
            last = fixture.send(answer(.ack, 5001 + offset, 1001, window: 1000, length: 1000))
        }
        #expect(last == word, "\(name)")
    }

    @Test func theWindowOfASynIsNotScaled() {
        let fixture = StateFixture()
        #expect(fixture.send(segment(.syn, 1000, window: 1000, options: Self.scale7)) == "new")
        let synAck = answer([.syn, .ack], 5000, 1001, window: 1000, options: Self.scale7)
        #expect(fixture.send(synAck) == "state")
        #expect(fixture.send(synAck) == "state")
        #expect(fixture.send(segment(.ack, 1001, 5001, window: 0, length: 1001)) == "invalid")
        #expect(fixture.send(segment(.ack, 1001, 5001, window: 0, length: 1000)) == "state")
    }

    /// The numbers of a truncated packet's data count as if it were whole.
    @Test func dataThatWasNotCapturedCounts() {
        let fixture = StateFixture()
        for segment in Self.handshake { _ = fixture.send(segment) }
        var cut = segment(.ack, 1001, 5001, length: 500)
        cut.bytes.removeLast(400)
        #expect(fixture.send(cut) == "state")
        #expect(fixture.send(answer(.rst, 5001)) == "state")
        #expect(fixture.send(segment(.rst, 1101)) == "invalid")
        #expect(fixture.send(segment(.rst, 1501)) == "state")
    }

    /// A new SYN between the same ports, which no window can hold, is the rules' to decide, and then a new connection.
    @Test func aSynTakesOverFromWhatIsOver() throws {
        let syn = segment(.syn, 0x7000_0000)
        for (name, segments, phase, _) in Self.phases {
            let fixture = StateFixture()
            for segment in segments { _ = fixture.send(segment) }
            #expect(fixture.lookup(syn).word == "invalid", "\(name)")
            let isOver = [.closed, .synSent, .closing, .lastAck, .timeWait].contains(phase)
            #expect(fixture.create(syn, entry: 8) == isOver, "\(name)")
            #expect(fixture.table.count == 1)
            #expect(fixture.table.statistics.replaced == (isOver ? 1 : 0))
            #expect(try #require(fixture.list().first).entry == (isOver ? 8 : 7), "\(name)")
            #expect(!fixture.create(segment(.ack, 0x7000_0000, 1)), "\(name)")
        }
    }

    /// An old connection's window may hold the new SYN by chance.
    @Test func aSynThatFitsWhatIsOverOpensItAgain() throws {
        let fixture = StateFixture()
        for segment in Self.handshake + [answer(.rst, 5001)] { _ = fixture.send(segment) }
        #expect(fixture.send(segment(.syn, 2000)) == "state")
        #expect(fixture.list().first?.phase == .synSent)
        #expect(fixture.send(answer([.syn, .ack], 0x9000_0000, 2001)) == "state")
        #expect(fixture.send(segment(.ack, 2001, 0x9000_0001)) == "state")
        #expect(fixture.list().first?.phase == .established)
    }
}
