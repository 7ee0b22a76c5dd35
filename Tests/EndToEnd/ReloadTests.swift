import ControlProtocol
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    @Suite struct ReloadTests {
        private static let banner = ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")]

        @Test func aHundredReloadsUnderIperfLoseNoConnection() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, scripts: Self.banner)
            try network.start(on: .server, "iperf3", "-s", "-1")
            try waitFor(until: { try network.listens(.server, "tcp", 5201) }, "iperf3")
            let load = try network.start(
                on: .client, "iperf3", "-c", Network.server4, "-t", "8", "-P", "4", "-J", "--connect-timeout", "3000")
            usleep(500_000)
            for number in 1...100 {
                let result = try firewall.npfctl("reload")
                try #require(result.status == 0, "reload \(number): \(result.errorOutput)")
            }
            #expect(load.wait(seconds: 30) == 0, "\(load.output) \(load.errorOutput)")
            struct Report: Decodable {
                struct End: Decodable {
                    struct Sum: Decodable { var bytes: Int }
                    var streams: [Stream]
                    var received: Sum
                    private enum CodingKeys: String, CodingKey {
                        case streams
                        case received = "sum_received"
                    }
                }
                struct Stream: Decodable { var receiver: End.Sum }
                var end: End
                var error: String?
            }
            let report = try JSONDecoder().decode(Report.self, from: Data(load.output.utf8))
            #expect(report.error == nil)
            #expect(report.end.streams.count == 4)
            #expect(report.end.streams.allSatisfy { $0.receiver.bytes > 1_000_000 })
            #expect(try firewall.counter("verdicts for packets that were gone") == 0)
            #expect(try firewall.counter("dropped for a full queue") == 0)
            #expect(try firewall.counter("dropped for a full socket") == 0)
        }

        @Test func reloadSaysWhatIsHardlyMeant() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, scripts: Self.banner)
            let file = try network.write(
                "group default {\n\tblock in proto tcp to any port 23\n\tpass all\n}\n", to: "odd.conf")
            let odd = try firewall.npfctl("reload", file)
            #expect(odd.status == 0)
            #expect(
                odd.errorOutput.contains("odd.conf:2:2: warning: this rule never decides"), "\(odd.errorOutput)")
            #expect(try firewall.npfctl("show").output.contains("port 23"), "it is loaded")
            let plain = try firewall.npfctl("reload")
            #expect(plain.status == 0 && plain.errorOutput.isEmpty)
        }

        /// Two configurations that have neither a rule, nor a script, nor a table's contents in common.
        private static let alternatives = [
            """
            set queue.length 65536
            table <blocked> type lpm file "TABLE"
            procedure "first" { lua: call first }
            group default {
            \tpass all
            \tblock in from <blocked>
            \tpass in on inside proto udp to any port 5004 apply "first"
            }

            """,
            """
            set queue.length 65536
            table <blocked> type ipset
            table <other> type lpm file "TABLE"
            procedure "second" { lua: call second }
            group "inside" on inside {
            \tblock in final proto tcp from <blocked> to any port 22
            \tpass in final proto udp to any port 5000-5010 apply "second"
            }
            group default {
            \tblock in from <other>
            \tpass stateful out proto tcp all
            \tpass all
            }

            """,
        ]

        @Test func aThousandReloadsUnderDatagramsLoseNoneAndReorderNone() throws {
            let network = try Network(ipv6: false)
            let table = try network.write("203.0.113.0/24\n2001:db8:9::/48\n", to: "blocked")
            let alternatives = Self.alternatives.map { rules in
                rules.split(separator: "TABLE", omittingEmptySubsequences: false).joined(separator: table)
            }
            let firewall = try Firewall(
                network, rules: alternatives[0],
                scripts: [
                    "first.lua": "function first(hdr, pld) return not pld:match('^never') end\n",
                    "second.lua": "function second(pkt) return pkt:find('nowhere', 1, true) == nil end\n",
                ])
            let receiver = try network.startReceiver()
            let sender = try network.startSender("rate=20000", "flows=8", "size=100")
            let socket = try UnixSocket(connectingTo: firewall.socket, milliseconds: 30_000)
            for number in 1...1000 {
                let file = ControlRequest.File(name: "alternative", text: alternatives[number % 2])
                guard let response = try? ask(socket, ControlRequest(.reload, file: file)) else {
                    Issue.record("reload \(number) got no answer: \(firewall.log)")
                    return
                }
                try #require(response.ok, "reload \(number): \(response.error ?? "")")
            }
            let sent = try network.end(sender: sender)
            let report = try network.end(receiver: receiver)
            let rate = sent.sent * 1_000_000 / sent.microseconds
            let message: Comment = "\(sent) \(report) links: \(try network.lostByLinks())"
            #expect(rate >= 19_500, "the machine is too busy to send 20,000 datagrams a second: \(rate)")
            #expect(report.received == sent.sent && sent.refused == 0, message)
            #expect(report.damaged == 0 && report.duplicated == 0 && report.reordered == 0, message)
            #expect(try firewall.counter("verdicts for packets that were gone") == 0)
            // Both scripts have had their part, and the rules are those of the last reload.
            #expect(try firewall.show().rules.contains { $0.rule.hasPrefix("pass in on inside proto udp") })
            #expect(try firewall.counter("calls") >= sent.sent)
        }

        private func ask(_ socket: borrowing UnixSocket, _ request: ControlRequest) throws -> ControlResponse {
            try socket.writeAll(request.line())
            var line: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while line.last != UInt8(ascii: "\n") {
                let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe socket.read(into: $0) }
                guard let count, count > 0 else { throw SystemError("no answer") }
                line += buffer.prefix(count)
            }
            return try ControlResponse(line: line.dropLast())
        }

        struct Mistake: CustomTestStringConvertible {
            var name: String
            var rules: String?
            var script: String?
            var said: String
            var testDescription: String { name }
        }

        static let mistakes = [
            Mistake(name: "syntax", rules: "group default {\n\tpas all\n}\n", said: "npf.conf:2:2: "),
            Mistake(name: "no default group", rules: "group \"a\" {\n\tpass all\n}\n", said: "npf.conf:"),
            Mistake(
                name: "unknown procedure", rules: "group default {\n\tpass all apply \"x\"\n}\n", said: "npf.conf:2:"),
            Mistake(name: "script syntax", script: "function filter(hdr, pld)\n  retrun\nend\n", said: "filter.lua:"),
            Mistake(name: "script raises", script: "error('at load')", said: "filter.lua:1: at load"),
            Mistake(name: "script loops", script: "while true do end", said: "filter.lua:1: "),
            Mistake(name: "no function", script: "function other(pkt) end", said: "defines no function “filter”"),
            Mistake(name: "no parameters", script: "function filter() end", said: "takes 0 parameters"),
            Mistake(
                name: "missing script",
                rules: "procedure \"p\" { lua: call absent }\ngroup default {\n\tpass all apply \"p\"\n}\n",
                said: "absent.lua"),
            Mistake(name: "queue moved", rules: "set queue.number 7\n" + Firewall.rules, said: "restart"),
        ]

        @Test func mistakesLeaveTheOldRulesAndSayWhere() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            let firewall = try Firewall(network, scripts: Self.banner)
            let before = try firewall.show().rules.map(\.rule)
            for mistake in Self.mistakes {
                try network.write(mistake.rules ?? Firewall.rules, to: "npf.conf")
                try network.write(mistake.script ?? Self.banner["filter.lua"]!, to: "npf/filter.lua")
                let result = try firewall.npfctl("reload")
                #expect(result.status == 1, "\(mistake.name)")
                #expect(result.errorOutput.contains(mistake.said), "\(mistake.name): \(result.errorOutput)")
                #expect(try firewall.show().rules.map(\.rule) == before, "\(mistake.name)")
            }
            #expect(try network.ask(Network.server4, port: 22) == "")
            firewall.signal(SIGHUP)
            try waitFor(until: { firewall.log.contains("not reloaded") }, "the log")
            #expect(try network.ask(Network.server4, port: 22) == "")

            try network.write(Firewall.rules, to: "npf.conf")
            try network.write(Firewall.bannerScript(blocking: "OpenSSH_9.7"), to: "npf/filter.lua")
            firewall.signal(SIGHUP)
            try waitFor(until: { firewall.log.contains(": reloaded") }, "the log")
            #expect(try network.ask(Network.server4, port: 22) == "SSH-2.0-OpenSSH_6.4")
        }

        @Test func reloadTakesAFileThatTheDaemonCannotSee() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "hello", port: 80)
            let firewall = try Firewall(network, scripts: Self.banner)
            let other = try network.write("group default {\n\tblock in proto tcp to any port 80\n}\n", to: "other.conf")
            #expect(try firewall.npfctl("reload", other).status == 0)
            #expect(try network.ask(Network.server4, port: 80, seconds: 1) == "")
            #expect(try firewall.npfctl("reload", "-", input: "group default { pass all }\n").status == 0)
            #expect(try network.ask(Network.server4, port: 80) == "hello")
            let bad = try network.write("group default {\n}\n}\n", to: "bad.conf")
            let result = try firewall.npfctl("reload", bad)
            #expect(result.status == 1)
            #expect(result.errorOutput.contains("\(bad):3:1: "), "\(result.errorOutput)")
        }

        @Test func openConnectionsDoNotNoticeAReload() throws {
            let network = try Network(ipv6: false)
            try network.start(on: .server, "socat", "TCP4-LISTEN:7,fork,reuseaddr", "PIPE")
            try waitFor(until: { try network.listens(.server, "tcp", 7) }, "an echo server")
            let firewall = try Firewall(network, scripts: Self.banner)
            let fifo = "\(network.folder)/input"
            #expect(unsafe mkfifo(fifo, 0o600) == 0)
            let client = try network.start(
                on: .client, "sh", "-c", "exec socat -T10 - TCP:\(Network.server4):7 <'\(fifo)'")
            let pipe = unsafe open(fifo, O_WRONLY)
            defer { close(pipe) }
            for round in 1...5 {
                let line = Array("line \(round)\n".utf8)
                #expect(unsafe write(pipe, line, line.count) == line.count)
                try waitFor(until: { client.output.contains("line \(round)\n") }, "the echo of line \(round)")
                #expect(try firewall.npfctl("reload").status == 0)
            }
        }

        @Test func stopStartAndFlushDoAsInNPF() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            let firewall = try Firewall(network, scripts: Self.banner)
            #expect(try network.ask(Network.server4, port: 22, seconds: 1) == "")
            #expect(try firewall.npfctl("stop").status == 0)
            #expect(try firewall.npfctl("show").output.hasPrefix("# filtering:\tinactive\n# config:\tloaded\n"))
            let seen = try firewall.counter("packets so far")
            #expect(try network.ask(Network.server4, port: 22) == "SSH-2.0-OpenSSH_6.4")
            #expect(try firewall.counter("packets so far") == seen, "packets came to the queue")
            #expect(try firewall.npfctl("start").status == 0)
            #expect(try network.ask(Network.server4, port: 22, seconds: 1) == "")
            #expect(try firewall.npfctl("flush").status == 0)
            #expect(try firewall.npfctl("show").output == "# filtering:\tactive\n# config:\tempty\n")
            #expect(try network.ask(Network.server4, port: 22) == "SSH-2.0-OpenSSH_6.4")
            #expect(try firewall.counter("passed") > 0)
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try network.ask(Network.server4, port: 22, seconds: 1) == "")
        }

        @Test func stopAndStartLoseNoCountOfTheKernels() throws {
            let network = try Network(ipv6: false)
            // Nobody listens there, and the server's ICMP errors would be counted as well.
            try network.run(on: .server, "iptables", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP")
            let firewall = try Firewall(
                network, rules: "group default {\n\tpass all\n\tblock in final proto udp to any port 5001\n}\n")
            func counts() throws -> [UInt64] {
                try ["passed", "blocked"].map(firewall.counter)
                    + ["pass", "block"].map { try firewall.rule($0).packets }
            }
            try network.sendLines(2, to: 5000)
            try network.sendLines(3, to: 5001)
            #expect(try counts() == [4, 3, 4, 3])
            #expect(try firewall.npfctl("stop").status == 0)
            try network.sendLines(1, to: 5001)
            #expect(try counts() == [4, 3, 4, 3])
            #expect(try firewall.npfctl("start").status == 0)
            try network.sendLines(2, to: 5001)
            #expect(try counts() == [4, 5, 4, 5])
        }

        @Test func failPolicyChangesWithAReload() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "hello", port: 80)
            let firewall = try Firewall(network, scripts: Self.banner)
            try network.write("set fail open\n" + Firewall.rules, to: "npf.conf")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try network.ask(Network.server4, port: 80) == "hello")
            firewall.signal(SIGKILL)
            #expect(firewall.wait() == 128 + SIGKILL)
            #expect(try network.ask(Network.server4, port: 80) == "hello")
        }

        @Test func luactlListsStatesAndLoadsAScriptIntoThem() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            let firewall = try Firewall(network, rules: "set queue.workers 1\n" + Firewall.rules, scripts: Self.banner)
            let list = try firewall.luactl("list").output
            #expect(list.hasPrefix("1 active state:\nName"))
            #expect(list.contains("filter.lua filter() entry 2 worker 0"), "\(list)")
            #expect(try network.ask(Network.server4, port: 22, seconds: 1) == "")

            let other = try network.write(Firewall.bannerScript(blocking: "OpenSSH_9.7"), to: "edited/filter.lua")
            #expect(try firewall.luactl("load", "npf", other).status == 0)
            #expect(try network.ask(Network.server4, port: 22) == "SSH-2.0-OpenSSH_6.4")
            let bad = try network.write("function filter(", to: "bad/filter.lua")
            let refused = try firewall.luactl("load", "npf", bad)
            #expect(refused.status == 1)
            #expect(refused.errorOutput.contains("filter.lua:1:"), "\(refused.errorOutput)")
            let unused = try firewall.luactl("load", "npf", try network.write("", to: "unused.lua"))
            #expect(unused.status == 1)
            #expect(unused.errorOutput.contains("the rules call filter.lua"), "\(unused.errorOutput)")
            #expect(try firewall.luactl("load", "other", other).status == 1)
            #expect(try network.ask(Network.server4, port: 22) == "SSH-2.0-OpenSSH_6.4")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try network.ask(Network.server4, port: 22, seconds: 1) == "")
        }
    }
}
