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
              return not word:find('bad')
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

        /// With a value of marks to spare the kernel tells of a new connection, else its SYN does.
        private static let oneScript = """
            procedure "q" { lua: call banner, payload, inspect 3 }
            group default {
            \tpass all
            \tpass proto tcp from any port 22 apply "q"
            }

            """

        @Test func onlyContentsOfAConnectionComeAndTheirMarkGoes() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "SSH-2.0-OpenSSH_9.7", port: 22)
            let firewall = try Firewall(network, rules: Self.oneScript, scripts: Self.scripts)
            try network.run(
                on: .firewall, "iptables", "-t", "mangle", "-A", "FORWARD", "-m", "mark", "!", "--mark", "0", "-j",
                "DROP")
            let before = try queued(firewall)
            for _ in 0..<3 { #expect(try network.ask(Network.server4, port: 22) == "SSH-2.0-OpenSSH_9.7") }
            // A handshake does not come, and what the script has passed is the kernel's on its way out; the end of a
            // connection may come with its banner.
            let came = try queued(firewall) - before
            #expect((3...6).contains(came))
            #expect(try calls(firewall, "pass proto tcp") == 3)
            #expect(try firewall.counter("passed after inspection") == 3)
        }

        @Test(arguments: [rules, oneScript])
        func connectionOfTheSamePortsIsLookedAtAnew(_ rules: String) throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "SSH-2.0-OpenSSH_9.7", port: 22)
            let firewall = try Firewall(network, rules: rules, scripts: Self.scripts)
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

        /// The kernel gives it the mark of the connection that has announced it.
        @Test func whatAnotherConnectionHasAnnouncedIsLookedAt() throws {
            let network = try Network(ipv6: false)
            let rules = """
                procedure "p" { lua: call filter }
                group default {
                \tpass all
                \tpass proto tcp from any port { 21, 22 } apply "p"
                }

                """
            let firewall = try Firewall(network, rules: rules, scripts: Self.scripts)
            try network.run(
                on: .firewall, "iptables", "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", "21", "-j", "CT",
                "--helper", "ftp")
            let isExpected = ["FORWARD", "-m", "conntrack", "--ctstatus", "EXPECTED"]
            try network.run(on: .firewall, ["iptables", "-t", "mangle", "-A"] + isExpected)
            let address = Network.server4.replacing(".", with: ",")
            let session = try network.write(
                "printf '220 open\\r\\n'; sleep 0.5; printf '227 Entering Passive Mode (\(address),0,22)\\r\\n'; sleep 9",
                to: "session")
            try network.start(on: .server, "socat", "TCP4-LISTEN:21,reuseaddr", "EXEC:sh \(session)")
            try waitFor(until: { try network.listens(.server, "tcp", 21) }, "the server")
            let client = try network.start(on: .client, "socat", "-u", "TCP:\(Network.server4):21", "-")
            try waitFor(until: { client.output.contains("227") }, "the announcement")
            #expect(try firewall.counter("decisions given to the kernel") == 1, "what announces it has passed")

            try network.serve(banner: "bad", port: 22)
            #expect(try network.ask(Network.server4, port: 22) == "")
            let counted = try network.run(on: .firewall, "iptables", "-t", "mangle", "-L", "FORWARD", "-vxn").output
            let packets = counted.split(separator: "\n").last?.split(separator: " ").first.flatMap { Int($0) } ?? 0
            #expect(packets >= 3, "it was announced: \(counted)")
        }

        @Test(arguments: [rules, oneScript])
        func connectionBegunBeforeTheOldOneHasEndedIsLookedAtAnew(_ rules: String) throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, rules: rules, scripts: Self.scripts)
            func connect(_ banner: String) throws -> [Background] {
                let file = try network.write("\(banner)\r\n", to: "banner")
                // Without an end of its own; killed, it sends a reset.
                let server = try network.start(
                    on: .server, "socat", "-u", "OPEN:\(file),rdonly,ignoreeof", "TCP4-LISTEN:22,reuseaddr,linger=0")
                try waitFor(until: { try network.listens(.server, "tcp", 22) }, "the server")
                let client = try network.start(
                    on: .client, "socat", "-u",
                    "TCP:\(Network.server4):22,sourceport=40000,reuseaddr,linger=0,connect-timeout=5", "-")
                return [client, server]
            }
            let first = try connect("SSH-2.0-OpenSSH_9.7")
            try waitFor(until: { first[0].output.contains("OpenSSH_9.7") }, "the banner")
            #expect(try firewall.counter("decisions given to the kernel") >= 1)

            // Both ends go, and the firewall does not hear of it.
            try network.run(on: .firewall, "iptables", "-t", "raw", "-A", "PREROUTING", "-j", "DROP")
            for end in first { end.end() }
            try network.run(on: .firewall, "iptables", "-t", "raw", "-F")
            let second = try connect("SSH-2.0-OpenSSH_6.4")
            try waitFor(until: { try firewall.rule("pass proto tcp").blocks > 0 || !second[0].output.isEmpty }, "it")
            #expect(second[0].output == "")
        }

        @Test func emptyDatagramOfABlockedFlowIsBlocked() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, rules: Self.rules.replacing("call filter", with: "call filter, payload"), scripts: Self.scripts
            )
            try network.run(on: .server, "iptables", "-A", "INPUT", "-p", "udp", "-m", "length", "--length", "28")
            // The first of these flows is no connection when it is blocked, the second one is, the third one passes.
            for (port, words) in [(1000, ["shut"]), (2000, ["good", "shut"]), (3000, ["good"])] {
                for word in words { try send(word, on: network, from: port) }
                try network.run(
                    on: .client, "socat", "-u", "STDIN",
                    "UDP4-SENDTO:\(Network.server4):5004,sourceport=\(port),shut-null")
            }
            func came() throws -> Substring? {
                let saved = try network.run(on: .server, "iptables-save", "-c").output
                return saved.split(separator: "\n").first { $0.contains("--length 28") }?.prefix { $0 != ":" }
            }
            try waitFor(until: { try came() != "[0" }, "the flow that passes")
            #expect(try came() == "[1")
            #expect(try firewall.counter("blocked by scripts") == 2)
        }

        @Test func markThatSomebodyRestoresDecidesNothing() throws {
            let network = try Network(ipv6: false)
            try network.run(
                on: .firewall, "iptables", "-t", "mangle", "-A", "FORWARD", "-j", "CONNMARK", "--restore-mark")
            let firewall = try Firewall(
                network, rules: "group \"ban\" {\n\truleset \"ban\"\n}\n" + Self.rules, scripts: Self.scripts)
            let receiver = try receive(on: network)
            try send("open", "bad ", on: network)
            let rule = ["block", "out", "final", "proto", "udp", "to", "any", "port", "5004"]
            #expect(try firewall.npfctl(["rule", "ban", "add"] + rule).status == 0)
            try send("shut", on: network)
            try waitFor(until: { try firewall.counter("ruleset block") == 1 }, "the datagram that the rule blocks")
            #expect(try firewall.npfctl("rule", "ban", "flush").status == 0)
            try send("last", on: network)
            try waitFor(until: { receiver.output.hasSuffix("last") }, "the last datagram")
            #expect(receiver.output == "openbad last")
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
                Self.scripts["filter.lua"]!.replacing("'bad'", with: "'evil'"), to: "npf/filter.lua")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try firewall.counter("decisions taken back from the kernel") == 1)
            try send("evil", "good", on: network)
            try waitFor(until: { receiver.output.utf8.count >= 12 }, "the datagrams")
            #expect(receiver.output == "openbad good")
            #expect(try calls(firewall) > 0)
        }

        @Test func reloadWithAnotherMarkLeavesNoneOfEither() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, rules: Self.rules, scripts: Self.scripts)
            try send("open", on: network)
            func marks() throws -> [Substring] {
                let connections = try network.run(on: .firewall, "cat", "/proc/net/nf_conntrack").output
                return connections.split { $0.isWhitespace }.filter { $0.hasPrefix("mark=") }.sorted()
            }
            // Somebody has used the bits that are to be ours.
            func mark(_ option: String) throws {
                let rule = "\(option) FORWARD -p udp --sport 3000 -j CONNMARK --set-mark 0x20000000"
                try network.run(
                    on: .firewall, ["iptables", "-t", "mangle"] + rule.split(separator: " ").map(String.init))
            }
            try mark("-A")
            try send("good", on: network, from: 3000)
            try waitFor(until: { try marks() == ["mark=2147483648", "mark=536870912"] }, "the marks")
            try mark("-D")

            try network.write("set flow.mark 0x30000000\n" + Self.rules, to: "npf.conf")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try marks() == ["mark=0", "mark=0"])
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
