import Packet
import States
import TestSupport
import Testing

/// What rmind/npf does with packet sequences.
struct UpstreamTests {
    /// `Vectors/state.tsv`: sequences of TCP segments, each in its connection's windows or not.
    @Test func segmentsAreInTheirWindow() throws {
        let fixture = StateFixture()
        var sequence: Substring = ""
        var segments = 0
        for line in vector("state.tsv").dropFirst() {
            let fields = line.split(separator: "\t")
            let isForward = fields[1] == "OUT"
            let packet = segment(
                flags(fields[2]), try #require(UInt32(fields[4])), try #require(UInt32(fields[5])),
                window: try #require(UInt16(fields[6])), length: try #require(Int(fields[3])),
                from: isForward ? client : server, to: isForward ? server : client, isForward ? .out : .in)
            if sequence != fields[0] {
                sequence = fields[0]
                fixture.table.expireAll()
                #expect(fixture.lookup(packet).word == "none")
                #expect(fixture.create(packet), "\(line)")
            } else {
                #expect(fixture.lookup(packet).word == (fields[7] == "ok" ? "pass" : "invalid"), "\(line)")
            }
            segments += 1
        }
        #expect(segments == 51)
    }

    private func flags(_ letters: Substring) -> TCPFlags {
        letters.reduce(into: []) { flags, letter in
            flags.insert(["S": .syn, "A": .ack, "F": .fin, "R": .rst][letter]!)
        }
    }

    /// `Vectors/npf-packets/NAME`: raw packets with a configuration, and for each what the whole filter says and why.
    ///
    /// The rules are taken from the answers: a packet that is in no state passes, and gets a state, if the answer says so.
    /// So each line shows whether the states say what upstream's do.
    @Test(arguments: [
        ("42-stateful-tcp-window", 33), ("45-stateful-tcp-handshake", 44), ("48-stateful-and-block", 25),
        ("51-stateful-timeouts", 25), ("54-stateful-ipv6", 28), ("62-state-key-interface-off", 38),
        ("91-random-stateful-00", 187), ("91-random-stateful-03", 182), ("91-random-stateful-06", 184),
        ("91-random-stateful-09", 187),
    ])
    func packetsMeetTheirState(_ name: String, count: Int) throws {
        let fixture = StateFixture { parameters in
            for line in vector("npf-packets/\(name)/npf.conf") {
                let words = line.split(separator: " ")
                if words[0] == "alg" { parameters.tracksEcho = true }
                if words[0] == "set" { set(words[1], words[2], &parameters) }
            }
        }
        var answers = vector("npf-packets/\(name)/expected.txt").makeIterator()
        var packets = 0
        for line in vector("npf-packets/\(name)/packets.txt") where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            if words[0] == "@time" {
                fixture.pass(seconds: try #require(Int64(words[1])))
                while fixture.table.collect(step: 256, now: fixture.now) > 0 {}
                continue
            }
            packets += 1
            let next = answers.next()
            let answer = try #require(next)
            let packet = TestPacket(
                octets(words[2]), words[1] == "in" ? .in : .out, interface: try #require(UInt32(words[0].dropFirst(2))))
            let lookup = fixture.lookup(packet)
            if isTrackedHereAlone(line) {
                #expect(answer == "block rule", "\(line)")
                #expect(lookup.word == "pass", "\(line)")
                continue
            }
            let expected = answer == "pass state" ? "pass" : answer.contains("badstate") ? "invalid" : "none"
            #expect(lookup.word == expected, "\(packets) \(line): \(answer)")
            if answer.hasPrefix("pass rule") && lookup.word != "pass" {
                let kind: StateKind = name.hasPrefix("62") && packet.interface == 1 ? .statefulAll : .stateful
                // Echo requests over IPv6 have a state here, with the ALG; other packets, where upstream makes one.
                let isMade = answer.contains("+state") || line.contains("type=128")
                if isMade { #expect(fixture.create(packet, kind), "\(line)") }
            }
        }
        #expect(packets == count)
    }

    /// Where this filter does more than upstream: ICMPv6, whose echo replies and errors upstream leaves to the rules.
    private func isTrackedHereAlone(_ line: Substring) -> Bool {
        line.contains("type=129") || line.contains("# icmp6 2001:db8::77")
    }

    private func set(_ name: Substring, _ value: Substring, _ parameters: inout StateParameters) {
        switch name {
        case "state.generic.timeout.new": parameters.timeouts.genericNew = UInt32(value)!
        case "state.generic.timeout.established": parameters.timeouts.genericEstablished = UInt32(value)!
        case "state.tcp.timeout.new": parameters.timeouts.tcpNew = UInt32(value)!
        case "state.tcp.timeout.established": parameters.timeouts.tcpEstablished = UInt32(value)!
        case "state.tcp.timeout.close": parameters.timeouts.tcpClose = UInt32(value)!
        case "state.key.interface": parameters.keyInterface = value == "on"
        default: Issue.record("\(name) is not understood by this test")
        }
    }

    private func octets(_ text: Substring) -> [UInt8] {
        let digits = Array(text.utf8)
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(decoding: digits[$0..<($0 + 2)], as: UTF8.self), radix: 16)!
        }
    }
}
