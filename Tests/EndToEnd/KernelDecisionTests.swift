import ControlProtocol
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    /// What the kernel decides without the daemon.
    @Suite struct KernelDecisionTests {
        private static func packets(_ report: KernelReport, _ direction: String, _ action: String) -> UInt64 {
            report.items.filter { $0.direction == direction && $0.action == action }.reduce(0) {
                $0 + ($1.packets ?? 0)
            }
        }

        @Test func theCountersAddUp() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network,
                rules: """
                    procedure "log" { log: npflog0 }
                    group default {
                    block in final proto udp to any port 5001
                    pass in final proto udp to any port 5002
                    pass in final proto udp to any port 5003 apply "log"
                    block return in final proto udp to any port 5004
                    pass out all
                    }

                    """)
            // Nobody listens there, and the server's ICMP errors would be counted as well.
            try network.run(on: .server, "iptables", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP")
            for (port, count) in [(5001, 11), (5002, 12), (5003, 13), (5004, 14), (5005, 15)] {
                try network.sendLines(count, to: port)
            }
            try waitFor(until: { try firewall.rule("block return").packets == 14 }, "the daemon's share")
            let report = try firewall.kernel()
            func packets(_ place: String) -> [String: UInt64] {
                Dictionary(
                    report.items.filter { $0.place == place && $0.direction == "in" }.map {
                        ($0.action, $0.packets ?? 0)
                    },
                    uniquingKeysWith: +)
            }
            #expect(packets("npf.conf:3") == ["drop": 11])
            #expect(packets("npf.conf:4") == ["accept": 12])
            #expect(packets("npf.conf:5") == ["queue": 13])
            #expect(packets("npf.conf:6") == ["queue": 14])
            #expect(packets("npflua") == ["queue": 0, "drop": 15])
            let inbound = ["accept", "drop", "queue"].map { Self.packets(report, "in", $0) }
            #expect(inbound.reduce(0, +) == 65, "what came in: \(inbound)")
            #expect(Self.packets(report, "out", "accept") == 25)
            #expect(try firewall.rule("block in final proto udp").packets == 11, "shown with the rule")
            #expect(try firewall.counter("ruleset block") == 14, "the daemon saw no others")
            #expect(try firewall.counter("passed") == 12 + 25)
            #expect(try firewall.counter("blocked") == 26)

            try firewall.npfctl("reload")
            try network.sendLines(1, to: 5001)
            #expect(try firewall.counter("blocked") == 27, "the count goes on over a reload")
            let text = try firewall.npfctl("show", "kernel").output
            #expect(
                text.contains(
                    "in\tdrop\tblock in final proto udp to any port 5001  # npf.conf:3: 1 packets, 30 bytes\n"))
        }

        /// Rules, and which of the ports 6001 to 6006 a datagram from 192.0.2.2 arrives at.
        private static let decisions: [(rules: String, arrives: [Int])] = [
            ("pass all", [6001, 6002, 6003, 6004, 6005, 6006]),
            ("block all\npass out all", []),
            // The last rule decides, unless a final one did before.
            ("pass all\nblock in proto udp to any port 6001-6003\npass in to any port 6002", [6002, 6004, 6005, 6006]),
            ("pass all\nblock in final to any port 6002\npass in to any port 6002", [6001, 6003, 6004, 6005, 6006]),
            ("pass out all\npass in from ! 192.0.2.0/24\npass in from { 192.0.2.0/31, 192.0.2.3 }", []),
            ("pass out all\npass in from ! 192.0.2.3 to any port { 6001, 6005-6006 }", [6001, 6005, 6006]),
            ("pass out all\npass in on inside to any port 6001\npass in on outside to any port 6002", [6001]),
            (
                "pass all\nblock out on outside to any port 6004\nblock out on inside to any port 6005",
                [6001, 6002, 6003, 6005, 6006]
            ),
            ("pass out all\npass in proto tcp flags S/SA all", []),
            // Many rules, past which goes what is none's.
            (
                "pass all\n"
                    + [6001, 6003, 6007, 6008, 6009].map { "block in proto udp to any port \($0)\n" }.joined()
                    + "block in from 192.0.2.77", [6002, 6004, 6005, 6006]
            ),
            (
                "pass out all\n"
                    + [6001, 6003, 6007, 6008, 6009].map { "pass in proto udp to any port \($0)\n" }.joined()
                    + "pass in from 192.0.2.77", [6001, 6003]
            ),
            // A table, a state and a script of the rules: some is the daemon's.
            ("pass out all\npass in from <constant> to any port 6001\npass in from <filled> to any port 6002", [6001]),
            ("pass out all\npass in family inet6 all\npass stateful in final proto udp to any port 6003", [6003]),
            (
                "pass out all\npass in all apply \"none\"\nblock in final to any port 6006",
                [6001, 6002, 6003, 6004, 6005]
            ),
        ]

        @Test func realPacketsAreDecidedAsTheRulesSay() throws {
            let network = try Network(ipv6: false)
            try network.write("192.0.2.2\n198.51.100.2\n", to: "constant")
            let ports = 6001...6006
            for port in ports {
                try network.start(
                    on: .server, "socat", "-u", "UDP4-RECV:\(port)", "OPEN:\(network.folder)/\(port),creat,append")
            }
            try waitFor(until: { try ports.allSatisfy { try network.listens(.server, "udp", $0) } }, "the servers")
            func rules(_ text: String) -> String {
                "table <constant> type const file \"constant\"\ntable <filled> type ipset\n"
                    + "procedure \"none\" { log: npflog0 }\ngroup default {\n\(text)\n}\n"
            }
            let firewall = try Firewall(network, rules: rules(Self.decisions[0].rules))
            for (number, (text, arrives)) in Self.decisions.enumerated() {
                try network.write(rules(text), to: "npf.conf")
                let reloaded = try firewall.npfctl("reload")
                try #require(reloaded.status == 0, "\(reloaded.errorOutput)")
                for port in ports { try network.sendLines(1, to: port, "case\(number)") }
                usleep(200_000)
                let arrived = try ports.filter { try network.read("\($0)").contains("case\(number)\n") }
                #expect(arrived == arrives, "\(text)")
            }
        }

        @Test func othersRulesGoOnWorking() throws {
            let network = try Network(ipv6: false)
            // What docker and firewalld put there, in short: chains of their own, and marks.
            for rule in [
                "-t nat -N DOCKER", "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
                "-t nat -A POSTROUTING -s 192.0.2.0/24 ! -o inside -j MASQUERADE", "-N DOCKER-USER",
                "-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -p udp --dport 7001 -j DROP",
                "-t mangle -A PREROUTING -p udp --dport 7002 -j MARK --set-mark 7",
                "-A FORWARD -m mark --mark 7 -j DROP",
            ] {
                let result = try network.run(on: .firewall, ["iptables"] + rule.split(separator: " ").map(String.init))
                try #require(result.status == 0, "\(rule): \(result.errorOutput)")
            }
            let before = try network.run(on: .firewall, "iptables-save").output.split(separator: "\n").filter {
                $0.hasPrefix("-A")
            }
            for port in 7001...7003 {
                try network.start(
                    on: .server, "socat", "-u", "UDP4-RECV:\(port)", "OPEN:\(network.folder)/\(port),creat,append")
            }
            try waitFor(
                until: { try (7001...7003).allSatisfy { try network.listens(.server, "udp", $0) } }, "the servers")
            let firewall = try Firewall(network, rules: "group default {\npass all\n}\n")
            for port in 7001...7003 { try network.sendLines(1, to: port) }
            usleep(300_000)
            #expect(try (7001...7003).filter { try !network.read("\($0)").isEmpty } == [7003])
            let after = try network.run(on: .firewall, "iptables-save").output.split(separator: "\n").filter {
                $0.hasPrefix("-A") && !$0.contains("npflua")
            }
            #expect(after == before)
            _ = firewall
        }

        @Test func reloadsUnderTrafficLoseNothing() throws {
            let network = try Network(ipv6: false)
            try network.start(
                on: .server, "socat", "-u", "UDP4-RECV:8001,rcvbuf=4000000", "OPEN:\(network.folder)/got,creat,append")
            try waitFor(until: { try network.listens(.server, "udp", 8001) }, "the server")
            let kernel = "group default {\npass all\n}\n"
            let queue = "procedure \"log\" { log: npflog0 }\ngroup default {\npass all apply \"log\"\n}\n"
            let firewall = try Firewall(network, rules: kernel)
            let sender = try network.start(
                on: .client, "bash", "-c",
                "exec 3>/dev/udp/\(Network.server4)/8001; for i in $(seq 20000); do echo $i >&3; [ $((i % 10)) = 0 ] && sleep 0.004; done"
            )
            for number in 0..<100 {
                try network.write(number % 2 == 0 ? queue : kernel, to: "npf.conf")
                let result = try firewall.npfctl("reload")
                try #require(result.status == 0, "\(result.errorOutput)")
            }
            #expect(sender.wait(seconds: 60) == 0)
            usleep(500_000)
            let got = try network.read("got").split(separator: "\n").compactMap { Int($0) }
            // Where a rule goes over to the kernel, its next packet may overtake those that the daemon still has.
            #expect(got.sorted() == Array(1...20000), "\(20000 - got.count) lost")
        }

        /// Does by hand what `npfctl show kernel --print --iptables` says.
        private static func install(_ text: String, on network: Network) throws {
            #expect(try network.run(on: .firewall, "iptables-restore", "--noflush", input: text).status == 0)
            for line in text.split(separator: "\n") where line.hasPrefix("# To lead") {
                let command = line.split(separator: ":", maxSplits: 1)[1].split(separator: " ").map(String.init)
                #expect(try network.run(on: .firewall, command).status == 0)
            }
        }

        @Test func theAdministratorMayInstallTheRules() throws {
            let network = try Network(ipv6: false)
            let on = "group default {\nblock in final proto icmp all\npass all\n}\n"
            let firewall = try Firewall(network, rules: "set kernel.rules off\n\(on)")
            #expect(try !firewall.kernelRules().contains("npflua"))
            func pings() throws -> Bool {
                try network.run(on: .client, "ping", "-c", "1", "-W", "1", Network.server4).status == 0
            }
            #expect(try pings(), "nothing comes to the daemon")
            let text = try firewall.npfctl("show", "kernel", "--print", "--iptables").output
            let offline = try firewall.npfctl(
                "show", "kernel", "--print", "--iptables", "--config", firewall.configuration, "--scripts",
                firewall.scriptFolder
            ).output
            #expect(text == offline)
            try Self.install(text, on: network)
            #expect(try !pings(), "by the administrator's hand")
            #expect(try firewall.npfctl("show", "kernel", "--print").output.contains("add table inet npflua_own\n"))
            for arguments in [["-F", "npflua-own-in"], ["-F", "npflua-own-out"]] {
                try network.run(on: .firewall, ["iptables", "-t", "mangle"] + arguments)
            }
            #expect(try pings())

            try network.write(on, to: "npf.conf")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try !pings(), "the daemon installs its rules")
            try network.write("set kernel.rules off\n\(on)", to: "npf.conf")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try pings(), "and takes them away")
            try waitFor(until: { try !firewall.kernelRules().contains("npflua-in") }, "the removal")
        }

        @Test func daemonWithoutKernelRulesTakesAwayWhatAKilledOneHasLeft() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, rules: "group default {\npass all\n}\n")
            firewall.signal(SIGKILL)
            #expect(firewall.wait() == 128 + SIGKILL)
            #expect(try firewall.kernelRules().contains("npflua"))
            try network.write("set kernel.rules off\ngroup default {\npass all\n}\n", to: "npf.conf")
            try firewall.start()
            #expect(try !firewall.kernelRules().contains("npflua"))
        }

        @Test func printedRulesLeaveWhatDynamicRulesDecideToTheDaemon() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network,
                rules: """
                    set kernel.rules off
                    group "ban" in on outside { ruleset "ban" }
                    group default {
                    block in final proto icmp all
                    pass all
                    }

                    """)
            let text = try firewall.npfctl("show", "kernel", "--print", "--iptables").output
            let names = text.matches(of: /npflua-[a-z-]+/).map { String($0.output) }
            #expect(!names.isEmpty && names.allSatisfy { $0.hasPrefix("npflua-own-") }, "\(text)")
            try Self.install(text, on: network)
            try network.sendLines(3, to: 5001)
            // The rules cannot follow what is added, so nothing is decided by them.
            try waitFor(until: { try firewall.rule("pass all").packets == 6 }, "what the rules let through")
            #expect(try Set(firewall.kernel().items.map(\.action)) == ["queue"])
        }

        @Test func reloadToTheSameRulesLeavesThemWithTheirCounts() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, rules: "group default {\npass all\nblock in final proto udp to any port 5001\n}\n")
            /// What is counted in the kernel, by `show kernel`, by `show` and by `stats`.
            func counts() throws -> [UInt64?] {
                let saved = try network.run(on: .firewall, "iptables-save", "-c").output
                let rule = saved.split(separator: "\n").first { $0.contains("npf.conf:3") }
                let item = try firewall.kernel().items.first { $0.place == "npf.conf:3" }
                return [
                    rule.flatMap { UInt64($0.dropFirst().prefix { $0 != ":" }) }, item?.packets,
                    try firewall.rule("block").packets, try firewall.counter("blocked"),
                ]
            }
            try network.sendLines(3, to: 5001)
            #expect(try counts() == [3, 3, 3, 3])
            for (number, expected) in [(2, [5, 2, 2, 5]), (1, [6, 1, 1, 6])] as [(Int, [UInt64?])] {
                #expect(try firewall.npfctl("reload").status == 0)
                try network.sendLines(number, to: 5001)
                #expect(try counts() == expected)
            }
        }
    }
}
