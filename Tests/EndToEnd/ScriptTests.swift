import ControlProtocol
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    @Suite struct ScriptTests {
        /// Sends UDP datagrams from the client and gives what the server has received, in order.
        private func exchange(
            _ network: Network, _ datagrams: [String], expecting count: Int, port: Int = 5004
        ) throws -> String {
            let receiver = try network.start(on: .server, "socat", "-u", "UDP4-RECV:\(port)", "STDOUT")
            try waitFor(until: { try network.listens(.server, "udp", port) }, "a receiver")
            for datagram in datagrams {
                try network.run(
                    on: .client, "socat", "-u", "STDIN", "UDP4-SENDTO:\(Network.server4):\(port)", input: datagram)
            }
            try? waitFor(until: { receiver.output.utf8.count >= count }, "the datagrams")
            usleep(100_000)
            receiver.end()
            return receiver.output
        }

        private static let udpRules = """
            procedure "p" { lua: call filter$OPTIONS }
            group default {
            \tpass all
            \tpass in proto udp to any port 5004 apply "p"
            }

            """

        private func rules(_ options: String = "", _ settings: String = "") -> String {
            settings
                + Self.udpRules.split(separator: "$OPTIONS", omittingEmptySubsequences: false)
                .joined(separator: options)
        }

        @Test func payloadTypeOfRTPIsReadByALayout() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, rules: rules(),
                scripts: [
                    "filter.lua": """
                    local data = require 'data'
                    local rtp = data.layout{ payload_type = {9, 7} }
                    function filter(hdr, pld)
                      pld:layout(rtp)
                      return pld.payload_type ~= 34 -- H.263
                    end
                    """
                ])
            // Version 2, marker bit set or not, payload type, then a letter to tell them by.
            func packet(_ type: UInt8, marker: Bool, _ letter: String) -> String {
                String(decoding: [0x00, type | (marker ? 0x40 : 0)], as: UTF8.self) + letter
            }
            // Types below 64, so that the second byte stays ASCII through a String.
            let received = try exchange(
                network,
                [packet(34, marker: false, "A"), packet(8, marker: false, "B"), packet(35, marker: false, "C")],
                expecting: 6)
            #expect(received.filter(\.isLetter) == "BC")
            #expect(try firewall.rule("pass in proto udp").blocks == 1)
        }

        @Test func scriptBansASenderForTheNextPacketOn() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network,
                rules: """
                    table <banned> type ipset
                    procedure "p" { lua: call filter }
                    group default {
                    \tpass all
                    \tpass in proto udp to any port 5004 apply "p"
                    \tblock in final from <banned>
                    }

                    """,
                scripts: [
                    "filter.lua": """
                    local banned = require 'npf'.table('banned')
                    function filter(hdr, pld)
                      if tostring(pld) == 'attack' then return not banned:add(hdr.source_address, 60) end
                    end
                    """
                ])
            #expect(try exchange(network, ["hello", "attack", "again"], expecting: 5) == "hello")
            #expect(try firewall.npfctl("table", "banned", "list").output == "\(Network.client4)\n")
            #expect(try firewall.rule("block in final").packets == 1)
            #expect(try firewall.rule("pass in proto udp").calls == 2)
            #expect(try firewall.npfctl("table", "banned", "rem", Network.client4).status == 0)
            #expect(try exchange(network, ["back"], expecting: 4) == "back")
        }

        @Test func everyScriptOfARuleIsListedWithItsMemory() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network,
                rules: """
                    set lua.instructions 100m; set lua.time 10000; set queue.workers 1
                    procedure "p" { lua: call small; lua: call large }
                    group default {
                    \tpass all apply "p"
                    \tblock from 203.0.113.1 lua-filter "asked.lua"
                    }

                    """,
                scripts: [
                    "small.lua": "function small(pkt) end",
                    "large.lua": "held = ('x'):rep(1000000) function large(pkt) end",
                    "asked.lua": "held = ('x'):rep(2000000) function match(pkt) end",
                ])
            let lines = try firewall.luactl("list").output.split(separator: "\n").dropFirst(2)
            let held = lines.map { line in
                let words = line.split(separator: " ")
                return "\(words[2]) \(Int(words[words.count - 2]).map { $0 / 1_000_000 } ?? -1)"
            }
            #expect(held == ["small.lua 0", "large.lua 1", "asked.lua 2"], "\(lines)")
        }

        struct Failing: CustomTestStringConvertible {
            var name: String
            var script: String
            var said: String
            var testDescription: String { name }
        }

        static let failing = [
            Failing(
                name: "raises", script: "if tostring(pld) == 'bad' then error('no such thing') end",
                said: "filter.lua:2: no such thing"),
            Failing(name: "loops", script: "if tostring(pld) == 'bad' then while true do end end", said: "limit"),
            Failing(
                name: "loops under pcall",
                script: "if tostring(pld) == 'bad' then while true do pcall(function() while true do end end) end end",
                said: "limit"),
            Failing(
                name: "eats memory",
                script: "if tostring(pld) == 'bad' then return #('x'):rep(1024):rep(1024) == 1 end",
                said: "memory"),
            Failing(name: "answers nonsense", script: "if tostring(pld) == 'bad' then return 42 end", said: "42"),
            Failing(
                name: "backtracks",
                script: """
                    if tostring(pld) == 'bad' then return (('a'):rep(40)):find(('a*'):rep(30) .. '[b]') == 1 end
                    """,
                said: "limit"),
        ]

        @Test(arguments: failing, ["block", "pass"])
        func failingScriptIsCountedLoggedAndItsPolicyDecides(_ failing: Failing, _ policy: String) throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, rules: rules(", error \(policy), time 5, memory 1m"),
                scripts: ["filter.lua": "function filter(hdr, pld)\n\(failing.script)\nend\n"])
            let received = try exchange(
                network, ["one", "bad", "two"], expecting: policy == "pass" ? 9 : 6)
            #expect(received == (policy == "pass" ? "onebadtwo" : "onetwo"), "\(failing.name)")
            let rule = try firewall.rule("pass in proto udp")
            #expect(rule.calls == 3)
            #expect(rule.errors == 1)
            try waitFor(until: { firewall.log.contains("filter.lua") }, "the log")
            #expect(firewall.log.contains(failing.said), "\(firewall.log)")
            #expect(firewall.log.contains("npf.conf:"), "\(firewall.log)")
            #expect(try firewall.counter("script error \(policy)") == 1)
        }

        @Test func messagesOfScriptsAreLoggedWithTheirRuleAtABoundedRate() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, rules: "set queue.workers 1\n" + rules(),
                scripts: [
                    "filter.lua": """
                    local npf = require 'npf'
                    npf.log('notice', 'here I am')
                    function filter(hdr, pld)
                      npf.log('debug', 'not said')
                      for i = 1, 100 do npf.log('warning', 'message', i, tostring(pld)) end
                      error('failed after all')
                    end
                    """
                ])
            try waitFor(until: { firewall.log.contains("notice: here I am rule=") }, "the message of loading")
            _ = try exchange(network, ["one"], expecting: 0)
            try waitFor(until: { firewall.log.contains("came too fast to be logged: ") }, "the log")
            #expect(firewall.log.contains("warning: message\t1\tone rule="), "\(firewall.log)")
            #expect(firewall.log.contains("script failed: "), "messages keep failures out: \(firewall.log)")
            #expect(firewall.log.contains("npf.conf:"))
            #expect(!firewall.log.contains("not said"))
            let (logged, dropped) = try (firewall.counter("messages logged"), firewall.counter("messages dropped"))
            #expect(logged + dropped == 101 && logged < 30, "\(logged) logged, \(dropped) dropped")
        }

        @Test func rewrittenPayloadArrivesWithValidChecksums() throws {
            let network = try Network()
            let firewall = try Firewall(
                network,
                rules: """
                    procedure "p" { lua: call rewrite }
                    group default {
                    \tpass all
                    \tpass in proto { tcp, udp } from any port 7 apply "p"
                    \tpass in proto { tcp, udp } to any port 7 apply "p"
                    }

                    """,
                scripts: [
                    "rewrite.lua": """
                    function rewrite(hdr, pld)
                      if #pld >= 6 then pld:layout{ word = {0, 6, 'string'} }
                        if pld.word == 'secret' then pld.word = 'hidden' end
                      end
                    end
                    """
                ])
            for family in ["4", "6"] {
                let only = family == "6" ? ",ipv6only" : ""
                try network.start(on: .server, "socat", "TCP\(family)-LISTEN:7,fork,reuseaddr\(only)", "PIPE")
                try network.start(on: .server, "socat", "UDP\(family)-RECVFROM:7,fork,reuseaddr\(only)", "PIPE")
            }
            try waitFor(
                until: {
                    try network.listens(.server, "tcp", 7, count: 2) && network.listens(.server, "udp", 7, count: 2)
                },
                "echo servers")
            // A receiver that is told that nobody has verified a checksum yet verifies it itself.
            let capture = try network.start(
                on: .server, "tcpdump", "-i", "eth0", "-n", "-vv", "-U", "-l", "port 7 and inbound")
            try waitFor(until: { capture.errorOutput.contains("listening") }, "tcpdump")
            for address in ["\(Network.server4)", "[\(Network.server6)]"] {
                for transport in ["TCP", "UDP"] {
                    let result = try network.run(
                        on: .client, "socat", "-t1", "-T3", "STDIO", "\(transport):\(address):7", input: "secret plan\n"
                    )
                    #expect(result.output == "hidden plan\n", "\(transport) \(address): \(firewall.log)")
                }
            }
            #expect(try firewall.counter("packets changed") >= 4)
            #expect(!capture.output.contains("bad udp cksum"), "\(capture.output)")
            #expect(!capture.output.contains("bad cksum"), "\(capture.output)")
        }

        @Test func answerReturnTellsTheSender() throws {
            let network = try Network()
            try network.serve(banner: "hello", port: 8080)
            let firewall = try Firewall(
                network,
                rules: """
                    procedure "p" { lua: call refuse }
                    group default {
                    \tpass all
                    \tpass in proto tcp to any port 8080 apply "p"
                    \tpass in proto udp to any port 8081 apply "p"
                    \tblock return in proto tcp to any port 9090
                    \tblock in proto tcp to any port 9091
                    }

                    """, scripts: ["refuse.lua": "function refuse(pkt) return 'return' end"])
            for address in [Network.server4, "[\(Network.server6)]"] {
                for port in [8080, 9090] {
                    let result = try network.run(on: .client, "timeout", "3", "socat", "-", "TCP:\(address):\(port)")
                    #expect(
                        result.errorOutput.contains("Connection refused"),
                        "\(address):\(port) \(result) \(firewall.log)")
                }
                let silent = try network.run(on: .client, "timeout", "1", "socat", "-", "TCP:\(address):9091")
                #expect(silent.status == 124)
                let udp = try network.run(
                    on: .client, "timeout", "3", "socat", "-T2", "STDIO", "UDP:\(address):8081", input: "x")
                #expect(
                    udp.errorOutput.contains("refused") || udp.errorOutput.contains("No route to host")
                        || udp.errorOutput.contains("Permission denied"), "\(address) \(udp) \(firewall.log)")
            }
            #expect(try firewall.counter("resets and ICMP errors sent") >= 6)
        }

        @Test func senderIsToldThatItsFlowIsBlocked() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network,
                rules: """
                    procedure "p" { lua: call shut }
                    group default {
                    \tpass all
                    \tblock return in final proto udp to any port 5004 apply "p"
                    }

                    """, scripts: ["shut.lua": "function shut(pkt) return 'block-flow' end"])
            let result = try network.run(
                on: .client, "socat", "-t2", "STDIO", "UDP:\(Network.server4):5004", input: "x")
            #expect(result.errorOutput.contains("No route to host"), "\(result) \(firewall.log)")
            #expect(try firewall.counter("decisions given to the kernel") == 1)
        }

        @Test func fragmentsArePutTogetherBeforeAScriptSeesThem() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, rules: rules(),
                scripts: ["filter.lua": "function filter(hdr, pld) return not tostring(pld):find('EVIL', 1, true) end"])
            let long = String(repeating: "x", count: 2500)
            let received = try exchange(network, [long + "EVIL", long + "GOOD"], expecting: 2504)
            #expect(received == long + "GOOD")
            #expect(try firewall.rule("pass in proto udp").blocks == 1)
        }

        @Test func answerPassesRulesThatBlockEverything() throws {
            let network = try Network()
            let firewall = try Firewall(
                network,
                rules: "group default {\n\tblock return all\n\tpass proto ipv6-icmp all\n}\n")
            for address in [Network.server4, "[\(Network.server6)]"] {
                let result = try network.run(on: .client, "timeout", "3", "socat", "-", "TCP:\(address):9090")
                #expect(result.errorOutput.contains("Connection refused"), "\(address) \(result) \(firewall.log)")
            }
        }

        @Test func decidedFlowIsNotLookedAtAgain() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, rules: rules(),
                scripts: [
                    "filter.lua": """
                    function filter(hdr, pld)
                      local word = tostring(pld)
                      if word == 'open' then return 'pass-flow' end
                      if word == 'shut' then return 'block-flow' end
                      return word ~= 'bad'
                    end
                    """
                ])
            let receiver = try network.start(on: .server, "socat", "-u", "UDP4-RECV:5004", "STDOUT")
            try waitFor(until: { try network.listens(.server, "udp", 5004) }, "a receiver")
            func send(_ word: String, from port: Int) throws {
                try network.run(
                    on: .client, "socat", "-u", "STDIN", "UDP4-SENDTO:\(Network.server4):5004,sourceport=\(port)",
                    input: word)
            }
            for (word, port) in [
                ("bad", 1000), ("open", 1000), ("bad", 1000), ("bad", 2000), ("shut", 2000), ("good", 2000),
                ("good", 3000),
            ] {
                try send(word, from: port)
            }
            try waitFor(until: { receiver.output.utf8.count >= 11 }, "the datagrams")
            #expect(receiver.output == "openbadgood")
            #expect(try firewall.counter("passed by scripts") == 1)
            #expect(try firewall.counter("blocked by scripts") == 1)
            #expect(try firewall.rule("pass in proto udp").calls == 5)
        }
    }
}
