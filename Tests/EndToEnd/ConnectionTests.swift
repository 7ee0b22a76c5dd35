import ControlProtocol
import FoundationEssentials
import SystemSupport
import Testing

extension LiveTests {
    /// Connections, tables and dynamic rules on real packets, by the commands that other programs give.
    @Suite struct ConnectionTests {
        private static let stateful = """
            table <fail2ban> type ipset
            procedure "log" { log: npflog0 }
            group "ban" {
            \truleset "blacklistd"
            \tblock in final from <fail2ban> apply "log"
            }
            group default {
            \tblock all
            \tpass stateful in proto tcp to any port 8080
            \tpass stateful out proto tcp to any port 8080
            }

            """

        @Test func statefulConnectionsPassAndAreListed() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "hello", port: 8080)
            try network.serve(banner: "hidden", port: 8081)
            let firewall = try Firewall(network, rules: Self.stateful)
            #expect(try network.ask(Network.server4, port: 8080).contains("hello"))
            #expect(try network.ask(Network.server4, port: 8081).isEmpty)
            #expect(try firewall.counter("state allocations") == 2)
            #expect(try firewall.counter("state pass") > 4)

            let listed = try firewall.npfctl("list").output.split(separator: "\n").map(String.init)
            #expect(listed.first?.hasPrefix("# src-addr:port") == true)
            #expect(listed.count == 3)
            #expect(listed.dropFirst().allSatisfy { $0.hasPrefix("192.0.2.2:") && $0.contains(" 198.51.100.2:8080 ") })
            #expect(try firewall.npfctl("list", "-6", "-h").output.isEmpty)
            // A reload, and stop and start, leave connections alone; flush does not.
            for command in ["reload", "stop", "start"] { #expect(try firewall.npfctl(command).status == 0) }
            #expect(try firewall.npfctl("list", "-h").output.split(separator: "\n").count == 2)
            #expect(try firewall.npfctl("flush").status == 0)
            #expect(try firewall.npfctl("list", "-h").output.isEmpty)
        }

        @Test func blacklistdsCommandsBlockAndUnblock() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "hello", port: 8080)
            let firewall = try Firewall(network, rules: Self.stateful)
            let added = try firewall.npfctl(
                "rule", "blacklistd", "add", "block", "in", "final", "proto", "tcp", "from", "192.0.2.2/32", "to",
                "any",
                "port", "8080")
            let words = added.output.split { $0.isWhitespace }
            try #require(words.count == 2 && words[0] == "OK", "\(added.output) \(added.errorOutput)")
            #expect(try network.ask(Network.server4, port: 8080).isEmpty)
            let rule = "block in final proto tcp from 192.0.2.2 to any port 8080"
            #expect(try firewall.npfctl("rule", "blacklistd", "list").output == "\(rule) # id=\"\(words[1])\" \n")
            let explained = try firewall.npfctl(
                "explain", "--live", "in proto tcp from 192.0.2.2 port 4000 to 198.51.100.2 port 8080 flags S")
            #expect(explained.output.contains("block: “\(rule)”"), "\(explained.output) \(explained.errorOutput)")
            // A reload keeps it.
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try firewall.npfctl("rule", "blacklistd", "rem-id", String(words[1])).status == 0)
            #expect(try network.ask(Network.server4, port: 8080).contains("hello"))
            #expect(try firewall.npfctl("rule", "blacklistd", "flush").status == 0)
            let unknown = try firewall.npfctl("rule", "nothing", "list")
            #expect(unknown.status == 1 && unknown.errorOutput == "npfctl: ruleset \"nothing\" not found\n")
        }

        @Test func tablesChangeWhatPassesAndWhatIsLogged() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "hello", port: 8080)
            let firewall = try Firewall(network, rules: Self.stateful)
            let operations: [(words: [String], output: String, error: String)] = [
                (["add", "192.0.2.2"], "npfctl: success\n", ""),
                (["add", "192.0.2.2"], "", "npfctl: entry already exists\n"),
                (["test", "192.0.2.2"], "npfctl: match\n", ""), (["test", "192.0.2.3"], "", "npfctl: not found\n"),
                (["list"], "192.0.2.2\n", ""), (["add", "10.0.0.0/8"], "", "npfctl: mask used"),
                (["add", "nonsense"], "", "npfctl: invalid CIDR 'nonsense'\n"),
                (["rem", "192.0.2.9"], "", "npfctl: not found\n"),
            ]
            for operation in operations {
                let result = try network.run(
                    on: .firewall,
                    ["\(Firewall.programs)/npfctl", "--socket", firewall.socket, "table", "fail2ban"] + operation.words)
                #expect(
                    result.output == operation.output && result.errorOutput.hasPrefix(operation.error), "\(operation)")
                #expect(result.status == (operation.error.isEmpty ? 0 : 1))
            }
            #expect(try network.ask(Network.server4, port: 8080).isEmpty)
            try waitFor(
                until: { FileManager.default.fileExists(atPath: "\(firewall.logFolder)/npflog0.pcapng") }, "the log")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try network.ask(Network.server4, port: 8080).isEmpty)
            #expect(try firewall.npfctl("table", "fail2ban", "rem", "192.0.2.2").output == "npfctl: success\n")
            #expect(try network.ask(Network.server4, port: 8080).contains("hello"))
            #expect(try firewall.npfctl("table", "fail2ban", "add", "192.0.2.2", "timeout", "2").status == 0)
            #expect(try network.ask(Network.server4, port: 8080, seconds: 1).isEmpty)
            try waitFor(
                until: { try network.ask(Network.server4, port: 8080, seconds: 1).contains("hello") }, "the timeout")
            #expect(
                try firewall.npfctl("table", "fail2ban", "replace", "-", input: "# banned\n192.0.2.2\n").status == 0)
            #expect(try firewall.npfctl("table", "fail2ban", "list").output == "192.0.2.2\n")
            #expect(try firewall.npfctl("table", "fail2ban", "flush").output == "npfctl: success\n")
            #expect(
                try firewall.npfctl("table", "nothing", "list").errorOutput
                    == "npfctl: table 'nothing' not found in the active configuration\n")
        }

        @Test func replacedTableMayGetANameAndAType() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "hello", port: 8080)
            let firewall = try Firewall(network, rules: Self.stateful)
            #expect(try network.ask(Network.server4, port: 8080).contains("hello"))
            let replaced = try firewall.npfctl(
                "table", "fail2ban", "replace", "-n", "banned", "-t", "lpm", "-", input: "192.0.2.0/24\n")
            #expect(replaced.status == 0, "\(replaced.errorOutput)")
            #expect(try network.ask(Network.server4, port: 8080).isEmpty)
            #expect(try firewall.npfctl("table", "fail2ban", "list").status == 1)
            #expect(try firewall.npfctl("table", "banned", "list").output == "192.0.2.0/24\n")
            let shown = try firewall.show().text
            #expect(shown.contains("table <banned> type lpm\n") && shown.contains("block in final from <banned> apply"))
            // What a network of a table is for is said where bits stand behind it; NPF takes them away, too.
            let added = try firewall.npfctl("table", "banned", "add", "203.0.113.9/8")
            #expect(added.output == "npfctl: success\n")
            #expect(
                added.errorOutput
                    == "npfctl: warning: `203.0.113.9/8` has bits behind its prefix; the network is `203.0.0.0/8`\n")
            for (words, sentence) in [
                (["-t", "lmp"], "unsupported table type 'lmp': it is ipset, lpm or const"),
                (["-n", "a b"], "'a b' is no name of a table: it is a word of letters, digits, _ and -"),
                (["-t", "ipset"], "stdin:1:1: `192.0.2.0/24` is a network, which only a table of type lpm holds"),
            ] {
                let refused = try network.run(
                    on: .firewall,
                    ["\(Firewall.programs)/npfctl", "--socket", firewall.socket, "table", "banned", "replace"] + words
                        + ["-"], input: "192.0.2.0/24\n")
                #expect(refused.status == 1 && refused.errorOutput.hasPrefix("npfctl: \(sentence)\n"), "\(refused)")
            }
            // npf.conf has the name that a reload gives it again.
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try firewall.npfctl("table", "fail2ban", "list").output == "")
            #expect(try network.ask(Network.server4, port: 8080).contains("hello"))
        }

        @Test func connectionsOutliveWhatAConstantTableHeld() throws {
            let network = try Network(ipv6: false)
            try network.start(on: .server, "socat", "TCP4-LISTEN:7,fork,reuseaddr", "PIPE")
            try waitFor(until: { try network.listens(.server, "tcp", 7) }, "an echo server")
            try network.write("\(Network.client4)\n", to: "allowed")
            let firewall = try Firewall(
                network,
                rules: """
                    table <allowed> type const file "allowed"
                    group default {
                    \tblock all
                    \tpass stateful proto tcp from <allowed> to any port 7
                    }

                    """)
            func echo() throws -> String {
                try network.run(
                    on: .client, "socat", "-T2", "-", "TCP:\(Network.server4):7,connect-timeout=1", input: "new"
                ).output
            }
            #expect(try echo() == "new")
            let client = try network.start(
                on: .client, "bash", "-c",
                """
                exec 3<>/dev/tcp/\(Network.server4)/7
                echo one >&3; head -n 1 <&3
                until [ -e '\(network.folder)/go' ]; do sleep 0.1; done
                echo two >&3; head -n 1 <&3
                """)
            try waitFor(until: { client.output == "one\n" }, "the first echo")
            let replaced = try firewall.npfctl("table", "allowed", "replace", "-", input: "192.0.2.9\n")
            #expect(replaced.status == 0, "\(replaced.errorOutput)")
            #expect(try echo() == "")
            try network.write("", to: "go")
            try waitFor(until: { client.output == "one\ntwo\n" }, "the second echo")
        }

        @Test func hostsOfPcapFiltersAreNotAskedFor() throws {
            let network = try Network(ipv6: false)
            let asked = try network.start(on: .server, "socat", "-u", "UDP4-RECV:53", "STDOUT")
            try waitFor(until: { try network.listens(.server, "udp", 53) }, "a name server")
            let resolver = try network.write(
                "nameserver \(Network.server4)\noptions timeout:1 attempts:1\n", to: "resolv.conf")
            func run(_ command: String) throws -> CommandResult {
                try network.run(
                    on: .client, "unshare", "-m", "sh", "-c",
                    "touch /etc/resolv.conf && mount --bind \(resolver) /etc/resolv.conf && \(command)")
            }
            let rules = try network.write(
                "group default { pass pcap-filter \"host a.example.org\" }\n", to: "hosts.conf")
            let refused = try run("exec \(Firewall.programs)/npfctl validate \(rules)")
            #expect(refused.status == 1 && refused.errorOutput.contains("name servers are not asked"), "\(refused)")
            #expect(asked.output.isEmpty)
            // The name server would have heard.
            _ = try run("getent hosts a.example.org")
            try waitFor(until: { asked.output.contains("example") }, "a question")
        }

        @Test func aMillionNetworksAreReplacedAtOnce() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, rules: "table <t> type lpm\ngroup default { pass all; block from <t> }\n")
            var file = ""
            for number in 0..<1_000_000 {
                file +=
                    "2001:db8:\(String(number >> 16, radix: 16)):\(String(number & 0xffff, radix: 16)):1234:5678:9abc:0/112\n"
            }
            try network.write(file, to: "million")
            let replaced = try firewall.npfctl("table", "t", "replace", "\(network.folder)/million")
            #expect(replaced.status == 0, "\(replaced.errorOutput)")
            #expect(try firewall.npfctl("table", "t", "test", "2001:db8:f:423f:1234:5678:9abc:1").status == 0)
            #expect(try firewall.npfctl("table", "t", "test", "2001:db8:f:4240:1234:5678:9abc:1").status == 1)
        }

        @Test func interfacesAddressesAreFollowed() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "hello", port: 8080)
            let firewall = try Firewall(
                network, rules: "group default {\n\tpass all\n\tblock in proto tcp to ! ifaddrs(lo) port 8080\n}\n")
            #expect(try network.ask(Network.server4, port: 8080).isEmpty)
            _ = try network.run(on: .firewall, "ip", "address", "add", "\(Network.server4)/32", "dev", "lo")
            _ = try network.run(on: .firewall, "ip", "address", "delete", "\(Network.server4)/32", "dev", "lo")
            #expect(try network.ask(Network.server4, port: 8080, seconds: 1).isEmpty)
            let description = "in proto tcp from 192.0.2.2 port 4000 to 203.0.113.9 port 8080 flags S"
            func isBlocked() throws -> Bool {
                try firewall.npfctl("explain", "--live", description).output.contains("block:")
            }
            #expect(try isBlocked())
            _ = try network.run(on: .firewall, "ip", "address", "add", "203.0.113.9/32", "dev", "lo")
            try waitFor(until: { try !isBlocked() }, "the new address")
        }

        /// fail2ban from Debian's packages, with its own action `npf`, which runs `/sbin/npfctl table fail2ban add IP`.
        @Test func fail2banBansAndUnbans() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "hello", port: 8080)
            let firewall = try Firewall(network, rules: Self.stateful)
            #expect(try network.ask(Network.server4, port: 8080).contains("hello"))
            let folder = "\(network.folder)/fail2ban"
            let log = try network.write("", to: "auth.log")
            try network.write(
                "[Definition]\nfailregex = ^.* failed login from <HOST>$\n", to: "fail2ban/filter.d/demo.conf")
            try network.write(
                """
                [demo]
                enabled = true
                filter = demo
                backend = polling
                usedns = no
                logpath = \(log)
                maxretry = 1
                action = npf
                """, to: "fail2ban/jail.conf")
            try network.write(
                "[Definition]\nloglevel = INFO\nlogtarget = STDERR\nsyslogsocket = auto\nsocket = \(folder)/socket\n"
                    + "pidfile = \(folder)/pid\ndbfile = None\n", to: "fail2ban/fail2ban.conf")
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/action.d", withDestinationPath: "/etc/fail2ban/action.d")
            // Where the action looks for npfctl, and npfctl for the daemon: for this process alone.
            try network.start(
                on: .firewall, "unshare", "-m", "sh", "-e", "-c",
                """
                mount -t tmpfs none /run
                mkdir -p /run/npflua \(folder)/upper \(folder)/work
                ln -s \(firewall.socket) /run/npflua/control.sock
                ln -s \(Firewall.programs)/npfctl \(folder)/upper/npfctl
                mount -t overlay none -o lowerdir=/usr/sbin,upperdir=\(folder)/upper,workdir=\(folder)/work /usr/sbin
                exec fail2ban-server -f -c \(folder) -s \(folder)/socket -p \(folder)/pid start
                """)
            func client(_ words: String...) throws -> CommandResult {
                try network.run(on: .firewall, ["fail2ban-client", "-c", folder, "-s", "\(folder)/socket"] + words)
            }
            try waitFor(until: { try client("status", "demo").status == 0 }, "fail2ban")
            func banned() throws -> String { try firewall.npfctl("table", "fail2ban", "list").output }
            let time = try Command.run(["date", "+%Y-%m-%d %H:%M:%S"]).output.split(separator: "\n")[0]
            try network.write("\(time) failed login from \(Network.client4)\n", to: "auth.log")
            try waitFor(until: { try banned() == "\(Network.client4)\n" }, "the ban")
            #expect(try network.ask(Network.server4, port: 8080).isEmpty)
            #expect(try client("set", "demo", "unbanip", Network.client4).status == 0)
            try waitFor(until: { try banned().isEmpty }, "the end of the ban")
            #expect(try network.ask(Network.server4, port: 8080).contains("hello"))
        }
    }
}
