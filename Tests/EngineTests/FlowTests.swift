import ConfigLanguage
import Engine
import Packet
import TestSupport
import Testing

/// What scripts decide about flows, and how much of them they look at.
@Suite struct FlowTests {
    @Test func payloadSparesTheScriptPacketsWithoutAny() throws {
        let later = ipv4(.tcp, Array(repeating: 0, count: 8), fragmentField: 4)
        var cut = segment(.ack, "payload")
        cut.removeLast(7)
        let cases: [(name: String, packet: [UInt8], isLookedAt: Bool)] = [
            ("SYN", segment(.syn), false), ("ACK", segment(.ack), false), ("FIN", segment([.fin, .ack]), false),
            ("segment with payload", segment(.ack, "x"), true), ("SYN with payload", segment(.syn, "x"), true),
            ("empty datagram", datagram(""), false), ("datagram", datagram("x"), true),
            ("datagram, IPv6", datagram("x", ipv6: true), true), ("empty, IPv6", datagram("", ipv6: true), false),
            ("echo", ipv4(.icmp, icmp(type: 8)), false), ("echo with data", ipv4(.icmp, icmp(type: 8) + [1]), true),
            ("first fragment", firstFragment(""), true), ("later fragment", later, true), ("cut", cut, true),
            ("another protocol", ipv4(IPProtocol(rawValue: 47), [1, 2, 3, 4]), true),
            ("another protocol, empty", ipv4(IPProtocol(rawValue: 47), []), true),
        ]
        let all = try FlowBox(procedure(""))
        let some = try FlowBox(procedure(", payload"))
        for (name, packet, isLookedAt) in cases {
            #expect(all.isLookedAt(packet), "\(name)")
            #expect(some.isLookedAt(packet) == isLookedAt, "\(name)")
            #expect(some.decide(packet).verdict == .pass, "\(name)")
        }
        #expect(some.decide(segment(.ack, "bad")).verdict == .block)
    }

    /// A packet of a case, and whether the script looks at it.
    private struct Step {
        var packet: [UInt8]
        var direction = Direction.in
        var isLookedAt: Bool
        var verdict = Verdict.pass

        static func seen(_ packet: [UInt8], _ direction: Direction = .in, _ verdict: Verdict = .pass) -> Step {
            Step(packet: packet, direction: direction, isLookedAt: true, verdict: verdict)
        }
        static func spared(_ packet: [UInt8], _ direction: Direction = .in) -> Step {
            Step(packet: packet, direction: direction, isLookedAt: false)
        }
    }

    private static let one = "pass proto tcp to any port 22 apply \"p\""
    private static let cases: [(name: String, options: String, rules: String, steps: [Step])] = [
        (
            "bytes", ", inspect 4", one,
            [.seen(forth("abc")), .seen(forth("d")), .spared(forth("bad")), .spared(back("bad"))]
        ),
        ("more than enough at once", ", inspect 4", one, [.seen(forth("abcdefgh")), .spared(forth("bad"))]),
        (
            "packets", ", inspect 2 packets", one,
            [.seen(forth("abcdef")), .seen(forth("")), .seen(forth("g")), .spared(forth("bad"))]
        ),
        (
            "packets without payload count nothing", ", inspect 1", one,
            [.seen(forth("", .syn)), .seen(forth("")), .seen(forth("a")), .spared(forth("bad"))]
        ),
        (
            "a block does not count", ", inspect 3", one,
            [.seen(forth("bad"), .in, .block), .seen(forth("ab")), .seen(forth("c")), .spared(forth("bad"))]
        ),
        (
            "a failure does not count", ", inspect 3, error pass", one,
            [.seen(forth("fail")), .seen(forth("abc")), .spared(forth("bad"))]
        ),
        (
            "other flows are others", ", inspect 3", "pass proto { tcp, udp } to any port 1-1000 apply \"p\"",
            [.seen(forth("abc")), .spared(forth("bad")), .seen(datagram("abc")), .spared(datagram("bad"))]
        ),
        (
            "a connection that opens anew is another", ", inspect 3", one,
            [
                .seen(forth("abc")), .spared(forth("bad")), .seen(forth("", .syn)), .seen(forth("bad"), .in, .block),
                .seen(forth("ab")), .seen(forth("", [.syn, .ack])), .seen(forth("ab")), .seen(forth("c")),
                .spared(forth("bad")),
            ]
        ),
        (
            "both directions", ", inspect 3", "pass proto tcp all apply \"p\"",
            [
                .seen(forth("abc")), .seen(forth("abc")), .seen(back("bad"), .out, .block), .seen(back("ab"), .out),
                .seen(forth("bad"), .in, .block), .seen(back("c"), .out), .spared(forth("bad")), .spared(back("bad")),
            ]
        ),
        (
            "both directions by two rules of other interfaces and directions", ", inspect 3",
            "pass in on eth0 proto tcp to any port 22 apply \"p\"\n"
                + "\tpass out on eth9 proto tcp flags A/A from any port 22 apply \"p\"\n"
                + "\tpass in proto tcp to any port 22 apply \"p\"",
            [.seen(forth("abc")), .seen(forth("abc"))]
        ),
        (
            "both directions by a list and a table", ", inspect 3",
            "pass proto tcp to { 10.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24 } port { 22, 40000 } apply \"p\"",
            [.seen(forth("abc")), .seen(forth("abc")), .seen(back("abc")), .spared(forth("abc"))]
        ),
        (
            "one direction by addresses", ", inspect 3",
            "pass proto tcp from { 192.0.2.0/24 } to { 198.51.100.0/24 } apply \"p\"",
            [.seen(forth("abc")), .spared(forth("abc"))]
        ),
        (
            "both directions by a state", ", inspect 3", "pass stateful in proto tcp to any port 22 apply \"p\"",
            [
                .seen(forth("", .syn, sequence: 1000)), .seen(back("", [.syn, .ack], acknowledgment: 1001), .out),
                .seen(forth("abc")), .seen(forth("abc")), .seen(back("abc"), .out), .spared(forth("bad")),
                .spared(back("bad"), .out),
            ]
        ),
        (
            "a forwarded packet is one", ", inspect 4", one,
            [
                .seen(forth("abc")), .seen(forth("abc"), .out), .seen(forth("abc"), .out), .seen(forth("d")),
                .spared(forth("bad"), .out), .spared(forth("bad")),
            ]
        ),
        (
            "fragments are not counted", ", inspect 1", "pass proto udp all apply \"p\"",
            [.seen(firstFragment("abc")), .seen(firstFragment("abc")), .seen(firstFragment("bad"), .in, .block)]
        ),
        (
            "with payload", ", payload, inspect 3", one,
            [.spared(forth("", .syn)), .seen(forth("abc")), .spared(forth("")), .spared(forth("bad"))]
        ),
        (
            "opening counts where it is not looked at", ", payload, inspect 3", one,
            [.seen(forth("abc")), .spared(forth("", .syn)), .seen(forth("bad"), .in, .block)]
        ),
        (
            "an answer of the script decides before", ", inspect 100", one,
            [.seen(forth("pass")), .spared(forth("bad")), .spared(forth("shut"))]
        ),
    ]

    @Test func inspectionEndsAfterWhatItSays() throws {
        for (name, options, rules, steps) in Self.cases {
            let box = try FlowBox(procedure(options, rules))
            for (number, step) in steps.enumerated() {
                let before = box.filter.scriptCalls
                let decision = box.decide(step.packet, step.direction)
                #expect((box.filter.scriptCalls > before) == step.isLookedAt, "\(name), step \(number)")
                #expect(decision.verdict == step.verdict, "\(name), step \(number)")
            }
        }
    }

    @Test func flowThatIsSilentIsLookedAtAnew() throws {
        let box = try FlowBox(procedure(", inspect 3", Self.one))
        let minute: Int64 = 60_000_000_000
        #expect(box.isLookedAt(forth("abc"), time: minute))
        #expect(!box.isLookedAt(forth("abc"), time: 10 * minute))
        #expect(box.isLookedAt(forth("abc"), time: 21 * minute))
    }

    // MARK: What the kernel is told

    private static let marks = """
        procedure "p" { lua: call filter }
        procedure "q" { lua: call filter, inspect 3 }
        procedure "r" { lua: call filter }
        procedure "s" { lua: call filter; log: npflog0 }
        group default {
        \tpass all
        \tpass proto udp to any port 53 apply "p"
        \tpass proto tcp to any port 22 apply "q"
        \tpass proto icmp all apply "r"
        \tpass proto tcp from any port 22 apply "s"
        }

        """

    @Test func kernelIsToldWhatWasDecided() throws {
        let (p, q, blocked): (UInt32, UInt32, UInt32) = (0x8000_0000, 0xc000_0000, 0x4000_0000)
        let cases: [(name: String, packets: [[UInt8]], marks: [UInt32])] = [
            ("pass-flow", [datagram("x"), datagram("pass"), datagram("x")], [0, p, 0]),
            ("inspect", [forth("ab"), forth("c"), forth("d")], [0, q, 0]),
            ("block-flow", [datagram("shut"), datagram("x")], [blocked, 0]),
            ("a procedure beyond the mask's room", [ipv4(.icmp, icmp(type: 8) + Array("pass".utf8))], [0]),
            ("which blocks as well", [ipv4(.icmp, icmp(type: 8) + Array("shut".utf8))], [blocked]),
            ("a procedure of two calls", [back("pass"), back("x")], [0, 0]),
            ("which blocks as well", [back("shut")], [blocked]),
            ("no decision", [datagram("x"), datagram("bad"), datagram("fail")], [0, 0, 0]),
            ("a changed packet cannot tell", [datagram("edit pass"), datagram("x"), datagram("x")], [0, p, 0]),
            ("a fragment has no flow", [firstFragment("pass"), firstFragment("shut")], [0, 0]),
        ]
        for (name, packets, marks) in cases {
            let box = try FlowBox(Self.marks)
            #expect(packets.map { box.decide($0).connectionMark } == marks, "\(name)")
            let silent = try FlowBox(Self.marks)
            silent.filter.tellsKernel = false
            #expect(packets.allSatisfy { silent.decide($0).connectionMark == 0 }, "\(name)")
            let off = try FlowBox("set flow.mark 0\n" + Self.marks)
            #expect(packets.allSatisfy { off.decide($0).connectionMark == 0 }, "\(name)")
        }
    }

    /// As long as packets come, the kernel does not know.
    @Test func kernelIsToldAgainAndNeverInALoop() throws {
        let second: Int64 = 1 << 30
        for (payload, mark) in [("pass", 0x8000_0000 as UInt32), ("shut", 0x4000_0000)] {
            let box = try FlowBox(Self.marks)
            #expect(box.decide(datagram(payload), time: 5 * second).connectionMark == mark)
            for _ in 0..<100 { #expect(box.decide(datagram("x"), time: 5 * second + 1).connectionMark == 0) }
            #expect(box.decide(datagram("x"), time: 6 * second).connectionMark == mark)
            #expect(box.decide(datagram("x"), time: 6 * second).connectionMark == 0)
        }
    }

    /// The packets of a state are to come, or it would not know of them; a blocked one needs none.
    @Test func flowThatHasAStateIsPassedHere() throws {
        let box = try FlowBox(procedure("", "pass stateful in proto tcp to any port 22 apply \"p\""))
        _ = box.decide(forth("", .syn, sequence: 1000))
        _ = box.decide(back("", [.syn, .ack], acknowledgment: 1001), .out)
        let decision = box.decide(forth("pass"))
        #expect(decision.state == .known && decision.connectionMark == 0)
        #expect(!box.isLookedAt(forth("bad")))
        let other = try FlowBox(procedure("", "pass stateful in proto tcp to any port 22 apply \"p\""))
        #expect(other.decide(forth("shut", .syn)).connectionMark == 0x4000_0000)
    }
}
