import ControlProtocol
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    /// Queues that overflow, and packets that are gone before their verdict.
    @Suite struct OverflowTests {
        /// A script that takes some milliseconds for a packet.
        private static let slow = [
            "slow.lua": "function slow(hdr, pld) for i = 1, 100000 do local x = i * i end end\n"
        ]

        private static func rules(_ fail: String, length: Int) -> String {
            """
            set fail \(fail)
            set queue.length \(length)
            set lua.time 1000
            procedure "slow" { lua: call slow }
            group default {
            \tpass all
            \tpass in on inside proto udp to any port 5004 apply "slow"
            }

            """
        }

        @Test(arguments: ["closed", "open"])
        func fullQueueDoesAsSetFailSaysAndCountersSayHowMany(_ fail: String) throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, rules: Self.rules(fail, length: 8), scripts: Self.slow)
            let receiver = try network.startReceiver()
            let sent = try network.send("count=2000")
            let report = try network.end(receiver: receiver)
            let dropped =
                try firewall.counter("dropped for a full queue") + firewall.counter("dropped for a full socket")
            let unseen = try firewall.counter("sent to a queue and not seen")
            let called = try firewall.rule("pass in on inside proto udp").calls
            let message: Comment = "\(sent) \(report) dropped \(dropped) unseen \(unseen) called \(called)"
            #expect(sent.sent == 2000 && report.damaged == 0 && report.duplicated == 0, message)
            #expect(called > 0 && called < 2000, "the queue did not overflow: \(message)")
            if fail == "closed" {
                #expect(dropped > 0 && report.received + dropped == sent.sent, message)
                #expect(report.received <= called && unseen == 0, message)
            } else {
                #expect(dropped == 0 && report.received == sent.sent, message)
                #expect(unseen > 0 && called + unseen == sent.sent, message)
            }

            // Neither a reload to the same rules, nor one to others, nor that there are none for a while forgets any.
            let rules = Self.rules(fail, length: 8)
            for changed in [
                rules.replacing("lua.time 1000", with: "lua.time 999"),
                rules.replacing("pass all", with: "pass all\n\tblock to 203.0.113.9"),
            ] {
                try network.write(changed, to: "npf.conf")
                #expect(try firewall.npfctl("reload").status == 0)
                #expect(try firewall.counter("sent to a queue and not seen") == unseen)
            }
            try network.run(on: .firewall, "iptables", "-t", "mangle", "-Z")
            #expect(try firewall.counter("sent to a queue and not seen") == unseen)
            let second = try network.startReceiver()
            let again = try network.send("count=2000")
            _ = try network.end(receiver: second)
            let calledAgain = try firewall.rule("pass in on inside proto udp").calls
            let open = try firewall.counter("sent to a queue and not seen")
            try network.write(rules.replacing("fail open", with: "fail closed"), to: "npf.conf")
            for command in ["stop", "start", "reload"] {
                #expect(try firewall.npfctl(command).status == 0, "\(command)")
            }
            let more = try firewall.counter("sent to a queue and not seen") - unseen
            #expect(open == unseen + more)
            #expect(
                fail == "closed" ? more == 0 : more > 0 && calledAgain + more == again.sent,
                "\(again) unseen \(more) called \(calledAgain)")
            #expect(try firewall.counter("errors") == 0, "\(firewall.log)")
        }

        @Test func interfaceThatGoesTakesItsPacketsAndNothingElse() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, rules: Self.rules("closed", length: 1024), scripts: Self.slow)
            let receiver = try network.startReceiver()
            let sent = try network.send("count=500")
            try network.run(on: .firewall, "ip", "link", "set", "inside", "down")
            let report = try network.end(receiver: receiver)
            #expect(report.received < sent.sent && report.damaged == 0, "\(sent) \(report)")
            try waitFor(
                until: { try firewall.counter("verdicts for packets that were gone") > 0 },
                "verdicts that come too late")

            // Another interface of the same name is met as one that was always there.
            try network.run(on: .firewall, "ip", "link", "delete", "inside")
            try network.link(.client, to: "inside", ipv6: false)
            let second = try network.startReceiver()
            let again = try network.send("count=20", "rate=100")
            let delivered = try network.end(receiver: second)
            #expect(delivered.received == again.sent && delivered.damaged == 0, "\(again) \(delivered)")
            #expect(try firewall.rule("pass in on inside proto udp").calls > 20)
            #expect(try firewall.counter("errors") == 0, "\(firewall.log)")
        }

        @Test func packetsThatConnectionTrackingDoesNotKnowAreFilteredAllTheSame() throws {
            let network = try Network(ipv6: false)
            for chain in ["PREROUTING", "OUTPUT"] {
                try network.run(on: .firewall, "iptables", "-t", "raw", "-A", chain, "-j", "CT", "--notrack")
            }
            let firewall = try Firewall(
                network,
                rules: """
                    procedure "words" { lua: call words }
                    group default {
                    \tpass all
                    \tpass in on inside proto udp to any port 7 apply "words"
                    }

                    """,
                scripts: [
                    "words.lua": """
                    function words(hdr, pld)
                      if pld:match('^open') then return 'pass-flow' end
                      if pld:match('^shut') then return 'block-flow' end
                      return not pld:match('^bad')
                    end
                    """
                ])
            try network.start(on: .server, "socat", "-u", "UDP4-RECV:7", "STDOUT")
            try waitFor(until: { try network.listens(.server, "udp", 7) }, "a receiver")
            let capture = try network.startCapture()
            for (word, port) in [("bad", 1000), ("open", 1000), ("bad", 1000), ("shut", 2000), ("good", 2000)] {
                try network.run(
                    on: .client, "socat", "-u", "STDIN", "UDP4-SENDTO:\(Network.server4):7,sourceport=\(port)",
                    input: "\(word) \(port)")
            }
            try network.run(
                on: .client, "socat", "-u", "STDIN", "UDP4-SENDTO:\(Network.server4):7,sourceport=3000", input: "end")
            func words() -> [String] {
                network.packets(of: capture).filter { $0[9] == 17 }.map { String(decoding: $0[28...], as: UTF8.self) }
            }
            try waitFor(until: { words().contains("end") }, "the last word")
            #expect(words() == ["open 1000", "bad 1000", "end"])
            withExtendedLifetime(firewall) {}
        }

        @Test func anotherProgramsQueueAndRulesGoOn() throws {
            let network = try Network(ipv6: false)
            let other = try network.start(on: .firewall, "\(Firewall.programs)/Traffic", "queue", "7")
            try waitFor(until: { other.output.contains("listening") }, "the other program")
            try network.run(
                on: .firewall, "iptables", "-A", "FORWARD", "-p", "udp", "--dport", "5004", "-j", "NFQUEUE",
                "--queue-num", "7")
            let firewall = try Firewall(
                network,
                rules: """
                    procedure "read" { lua: call read }
                    group default { pass all apply "read" }

                    """, scripts: ["read.lua": "function read(hdr, pld) return not pld:match('^never') end\n"])
            let receiver = try network.startReceiver()
            let sent = try network.send("count=2000", "rate=5000")
            let report = try network.end(receiver: receiver)
            #expect(report.received == sent.sent && report.damaged == 0 && report.reordered == 0, "\(sent) \(report)")
            #expect(try firewall.npfctl("reload").status == 0)
            firewall.signal(SIGTERM)
            #expect(firewall.wait() == 0)
            other.signal(SIGTERM)
            #expect(other.wait() == 0)
            #expect(other.output.contains("\"accepted\":\(sent.sent)}"), "\(other.output)")
            #expect(try network.run(on: .firewall, "iptables", "-S", "FORWARD").output.contains("--queue-num 7"))
        }
    }
}
