import ControlProtocol
import SystemSupport
import Testing

extension LiveTests {
    /// What the kernel knows of decided flows: it carries it out without the daemon, and forgets it when it is told to.
    @Suite struct FlowTests {
        private static let rules = """
            procedure "p" { lua: call filter }
            procedure "q" { lua: call banner, payload, inspect 3 }
            group default {
            \tpass all
            \tpass proto udp to any port 5004 apply "p"
            \tpass proto tcp from any port 22 apply "q"
            }

            """
        private static let scripts = [
            "filter.lua": """
            function filter(hdr, pld)
              local word = tostring(pld)
              if word:find('open') then return 'pass-flow' end
              if word:find('shut') then return 'block-flow' end
              return word ~= 'bad'
            end
            """,
            "banner.lua": "function banner(hdr, pld) return not tostring(pld):find('OpenSSH_6.4') end",
        ]

        private func send(_ words: String..., on network: Network, from port: Int = 1000) throws {
            for word in words {
                try network.run(
                    on: .client, "socat", "-u", "STDIN", "UDP4-SENDTO:\(Network.server4):5004,sourceport=\(port)",
                    input: word)
            }
        }

        /// Starts a receiver of datagrams.
        private func receive(on network: Network) throws -> Background {
            let receiver = try network.start(on: .server, "socat", "-u", "UDP4-RECV:5004", "STDOUT")
            try waitFor(until: { try network.listens(.server, "udp", 5004) }, "a receiver")
            return receiver
        }

        private func calls(_ firewall: Firewall, _ rule: String = "pass proto udp") throws -> UInt64 {
            try firewall.rule(rule).calls
        }

        /// Packets that the daemon has got.
        private func queued(_ firewall: Firewall) throws -> UInt64 { try firewall.counter("packets so far") }

        @Test func decidedFlowIsTheKernels() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, rules: Self.rules, scripts: Self.scripts)
            let receiver = try receive(on: network)
            try send("open", on: network)
            try send("shut", on: network, from: 2000)
            try waitFor(until: { receiver.output == "open" }, "the first datagram")
            #expect(try firewall.counter("decisions given to the kernel") >= 2)

            let before = try queued(firewall)
            for _ in 0..<20 { try send("bad ", on: network) }
            for _ in 0..<20 { try send("good", on: network, from: 2000) }
            try waitFor(until: { receiver.output.utf8.count >= 84 }, "the datagrams of the flow that passes")
            #expect(receiver.output == "open" + String(repeating: "bad ", count: 20))
            // The blocked flow has never been a connection: its packets are new ones, and blocked by the daemon.
            #expect(try queued(firewall) - before <= 20 + 8)
        }

        @Test func bannerIsLookedAtAndTheRestOfTheConnectionIsNot() throws {
            let network = try Network(ipv6: false)
            let bulk = String(repeating: "0123456789abcdef", count: 65_536)
            try network.serve(banner: "SSH-2.0-OpenSSH_9.7\r\n" + bulk, port: 22)
            let firewall = try Firewall(network, rules: Self.rules, scripts: Self.scripts)
            let before = try queued(firewall)
            #expect(try network.ask(Network.server4, port: 22, seconds: 5).utf8.count == 19 + bulk.utf8.count)
            #expect(try calls(firewall, "pass proto tcp") <= 8)
            #expect(try firewall.counter("passed after inspection") == 1)
            #expect(try queued(firewall) - before < 100, "\(bulk.utf8.count) bytes went through the daemon")
        }

        @Test func connectionOfTheSamePortsIsLookedAtAnew() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "SSH-2.0-OpenSSH_9.7", port: 22)
            let firewall = try Firewall(network, rules: Self.rules, scripts: Self.scripts)
            func ask() throws -> String {
                try network.run(
                    on: .client, "timeout", "3", "socat", "-u",
                    "TCP:\(Network.server4):22,sourceport=40000,reuseaddr", "-"
                ).output.filter { !$0.isNewline }
            }
            #expect(try ask() == "SSH-2.0-OpenSSH_9.7")
            let first = try firewall.counter("passed after inspection")
            #expect(first == 1)
            try network.write("SSH-2.0-OpenSSH_6.4\r\n", to: "banner.22")
            #expect(try ask() == "")
            #expect(try firewall.counter("passed after inspection") == first)
        }

        @Test func reloadTakesBackWhatItChanges() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, rules: Self.rules, scripts: Self.scripts)
            let receiver = try receive(on: network)
            try send("open", on: network)
            let looks = try calls(firewall)

            // Nothing changes: neither the kernel nor the daemon looks at the flow again.
            #expect(try firewall.npfctl("reload").status == 0)
            try send("bad ", on: network)
            #expect(try firewall.counter("decisions taken back from the kernel") == 0)
            #expect(try calls(firewall) == 0)
            #expect(looks > 0)

            try network.write(
                Self.scripts["filter.lua"]!.replacing("word ~= 'bad'", with: "word ~= 'evil'"), to: "npf/filter.lua")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try firewall.counter("decisions taken back from the kernel") == 1)
            try send("evil", "good", on: network)
            try waitFor(until: { receiver.output.utf8.count >= 12 }, "the datagrams")
            #expect(receiver.output == "openbad good")
            #expect(try calls(firewall) > 0)
        }

        @Test func startForgetsWhatTheDaemonBeforeHasTold() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, rules: Self.rules, scripts: Self.scripts)
            let receiver = try receive(on: network)
            try send("open", on: network)
            try waitFor(until: { receiver.output == "open" }, "the first datagram")
            firewall.signal(15)
            #expect(firewall.wait() == 0)
            try firewall.start()
            #expect(firewall.log.contains("connections that had been decided are looked at anew: 1"), "\(firewall.log)")
            try send("bad", "good", on: network)
            try waitFor(until: { receiver.output.utf8.count >= 8 }, "the datagrams")
            #expect(receiver.output == "opengood")
        }
    }
}
