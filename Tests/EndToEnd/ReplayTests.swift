import ControlProtocol
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    @Suite struct ReplayTests {
        private struct Line: Decodable {
            var number: Int
            var direction: String
            var verdict: String
            var cause: String?
            var rule: String?
            var entry: Int?
        }

        private func replay(_ firewall: Firewall, _ arguments: String...) throws -> [Line] {
            let result = try Command.run(
                [
                    "\(Firewall.programs)/npfctl", "replay", "--json", "-c", firewall.configuration, "--scripts",
                    firewall.scriptFolder,
                ] + arguments)
            #expect(result.status == 0, "\(result.errorOutput)")
            return try result.output.split(separator: "\n").map {
                try JSONDecoder().decode(Line.self, from: Data($0.utf8))
            }
        }

        @Test func replayedCaptureOfALiveRunIsDecidedAlike() throws {
            // Without IPv6 all packets are the test's own, so that counts can be compared.
            let network = try Network(ipv6: false)
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            try network.serve(banner: "SSH-2.0-OpenSSH_9.7", port: 2222)
            let firewall = try Firewall(
                network,
                rules: """
                    procedure "p" { lua: call filter }
                    group "a" in {
                    \tpass proto tcp all apply "p"
                    \tblock return proto tcp to any port 9999
                    \tblock proto icmp icmp-type 8 all
                    }
                    group default {
                    \tpass in all
                    \tpass out all
                    }

                    """, scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            let capture = "\(network.folder)/live.pcap"
            let tcpdump = try network.start(
                on: .firewall, "tcpdump", "-i", "any", "-n", "-U", "-s", "0", "-B", "8192", "-w", capture, "ip")
            try waitFor(until: { tcpdump.errorOutput.contains("listening") }, "tcpdump")
            usleep(300_000)
            let before = try firewall.show().rules
            #expect(before.allSatisfy { $0.packets == 0 })

            #expect(try network.ask(Network.server4, port: 22, seconds: 1) == "")
            #expect(try network.ask(Network.server4, port: 2222) == "SSH-2.0-OpenSSH_9.7")
            try network.run(on: .client, "ping", "-c", "2", "-i", "0.2", "-W", "1", Network.server4)
            try network.run(on: .server, "ping", "-c", "1", "-W", "1", Network.client4)
            try network.run(on: .client, "timeout", "1", "socat", "-", "TCP:\(Network.server4):9999")
            // Let the connections' last packets come: until nothing has been counted for a while.
            var last: [UInt64] = []
            try waitFor(
                until: {
                    let now = try firewall.show().rules.map(\.packets)
                    defer { last = now }
                    usleep(500_000)
                    return now == last
                }, "quiet")
            let live = try firewall.show().rules
            tcpdump.signal(SIGINT)
            #expect(tcpdump.wait() == 0)

            let lines = try replay(firewall, capture).filter { $0.direction == "in" }
            #expect(lines.count > 20)
            for rule in live where rule.rule != "pass out all" {
                let ofRule = lines.filter { $0.entry == rule.entry }
                #expect(UInt64(ofRule.count) == rule.packets, "\(rule.rule)")
                let blocked = ofRule.filter { $0.cause == "procedure" }.count
                #expect(UInt64(blocked) == rule.blocks, "\(rule.rule)")
                #expect(ofRule.allSatisfy { $0.rule == rule.rule })
            }
            #expect(lines.contains { $0.cause == "procedure" && $0.verdict == "block" })
            #expect(lines.contains { $0.cause == "rule" && $0.verdict == "block" })
            #expect(lines.contains { $0.cause == "rule" && $0.verdict == "pass" })
        }

        @Test func replayNeedsNoPrivilege() throws {
            let network = try Network(ipv6: false)
            let conf = try network.write("group default { pass all }\n", to: "npf.conf")
            // A capture of no packets: its header alone.
            let capture = try network.write("", to: "empty.pcap")
            let header: [UInt8] = [
                0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0,
            ]
            try Data(header).write(to: URL(filePath: capture))
            unsafe chmod(network.folder, 0o755)
            let result = try Command.run([
                "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                "\(Firewall.programs)/npfctl", "replay", "-c", conf, capture,
            ])
            #expect(result.status == 0, "\(result.errorOutput)")
            #expect(result.output == "")
        }

        @Test(arguments: [
            (["replay", "-c", "CONF", "NOWHERE"], "cannot read NOWHERE"),
            (["replay", "-c", "CONF", "CONF"], "CONF: byte 0: "),
            (["validate", "NOWHERE"], "cannot read NOWHERE"),
            (["lua", "NOWHERE"], "cannot read NOWHERE"),
        ])
        func whatCannotBeReadIsNamed(_ arguments: [String], _ said: String) throws {
            let network = try Network(ipv6: false)
            let conf = try network.write("group default { pass all }\n", to: "npf.conf")
            func filled(_ text: String) -> String {
                text.split(separator: "CONF", omittingEmptySubsequences: false).joined(separator: conf)
                    .split(separator: "NOWHERE", omittingEmptySubsequences: false)
                    .joined(separator: "\(network.folder)/nowhere")
            }
            let result = try Command.run(["\(Firewall.programs)/npfctl"] + arguments.map(filled))
            #expect(result.status == 1)
            #expect(result.errorOutput.contains(filled(said)), "\(result.errorOutput)")
        }

        private struct Explanation: Decodable {
            var decision: String
            var location: String?
            var rule: String?
            var steps: [String]
        }

        @Test func explanationsAsObjectsSayAllThatTheirTextSays() throws {
            let network = try Network(ipv6: false)
            let conf = try network.write(
                "procedure \"p\" { lua: call f }\ngroup default { pass in all apply \"p\" }\n", to: "npf.conf")
            try network.write("function f(pkt) return pkt.x.y end\n", to: "f.lua")
            func explain(_ arguments: String...) throws -> String {
                let packet = "in proto udp from 192.0.2.1 port 1 to 192.0.2.2 port 2"
                let result = try Command.run(
                    ["\(Firewall.programs)/npfctl", "explain", "-c", conf, "--scripts", network.folder] + arguments
                        + [packet])
                #expect(result.status == 0, "\(result.errorOutput)")
                return result.output
            }
            let object = try JSONDecoder().decode(Explanation.self, from: Data(explain("--json").utf8))
            let place = try #require(object.location)
            #expect(place == "\(conf):2:17" && object.decision == "block")
            #expect(object.steps.contains { $0.hasPrefix("script: f.lua:1: ") }, "\(object.steps)")
            let rule = try #require(object.rule)
            #expect(
                try explain()
                    == (object.steps + ["\(object.decision): “\(rule)” (\(place))", ""])
                    .joined(separator: "\n"))
        }

        /// A capture of one UDP packet.
        private static let capture: [UInt8] =
            [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0]
            + [100, 0, 0, 0, 0, 0, 0, 0, 29, 0, 0, 0, 29, 0, 0, 0]
            + [0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 53, 0, 53, 0, 9, 0, 0, 7]

        @Test func whatScriptsLogGoesToStandardError() throws {
            let network = try Network(ipv6: false)
            try network.write(
                """
                local npf = require 'npf'
                npf.log('notice', 'loaded')
                function filter(hdr, pld)
                  for i = 1, #pld do npf.log('warning', npf.time(), 'a\\nb\\27') end
                  for i = 1, 100 do npf.log('debug', i) end
                end

                """, to: "filter.lua")
            let conf = try network.write(
                "procedure \"p\" { lua: call filter }\ngroup default { pass all apply \"p\" }\n", to: "npf.conf")
            let capture = "\(network.folder)/one.pcap"
            try Data(Self.capture).write(to: URL(filePath: capture))
            let result = try Command.run([
                "\(Firewall.programs)/npfctl", "replay", "-c", conf, "--scripts", network.folder, capture,
            ])
            #expect(result.status == 0)
            #expect(result.output.split(separator: "\n").count == 1)
            let lines = result.errorOutput.split(separator: "\n")
            #expect(
                lines.prefix(4) == [
                    "notice: loaded", "packet 1: warning: 100.0\ta", "packet 1: warning:     b?", "packet 1: debug: 1",
                ])
            #expect(lines.last == "npfctl: messages of scripts that came too many at once to be kept: 38")
            #expect(lines.count == 4 + 61 + 1)
        }

        @Test func luaRunsAScriptInTheSandbox() throws {
            let network = try Network(ipv6: false)
            try network.write("return { answer = 42 }", to: "helper.lua")
            let good = try network.write(
                "local data = require 'data'\nprint(require('helper').answer, #data.new(3))\nprint('x\\0y')\n",
                to: "good.lua")
            let npfctl = "\(Firewall.programs)/npfctl"
            let result = try Command.run([npfctl, "lua", good])
            #expect(result.status == 0, "\(result.errorOutput)")
            #expect(result.output == "42\t3\nx\0y\n")
            let logging = try network.write(
                "require('npf').log('error', 'it', 'is', require('net').format(1))", to: "logging.lua")
            let logged = try Command.run([npfctl, "lua", logging])
            #expect(logged.status == 0 && logged.output == "")
            #expect(logged.errorOutput == "error: it\tis\t0.0.0.1\n")
            for (script, arguments, said) in [
                ("error('oh')", [], "bad.lua:1: oh"), ("x = = 1", [], "bad.lua:1: "), ("io.write('x')", [], "'io'"),
                ("while true do end", ["--time", "50"], "bad.lua:1: "),
                ("for i = 1, 1e6 do end", ["--instructions", "1000"], "instruction"),
                ("x = ('y'):rep(1 << 20)", ["--memory", "300k"], "memory"),
                ("return nil + 1", [], "arithmetic"),
            ] {
                let bad = try network.write(script, to: "bad.lua")
                let result = try Command.run([npfctl, "lua"] + arguments + [bad])
                #expect(result.status == 1, "\(script)")
                #expect(result.errorOutput.contains(said), "\(script): \(result.errorOutput)")
                #expect(result.output == "")
            }
        }
    }
}
