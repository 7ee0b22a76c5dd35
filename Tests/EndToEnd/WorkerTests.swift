import ControlProtocol
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    /// Two workers that share the connections of one firewall.
    @Suite struct WorkerTests {
        /// The client's addresses: each flow's worker is chosen by the hash of its addresses, so one of them has all twelve
        /// only once in two thousand runs.
        private static let clients = (10..<22).map { "192.0.2.\($0)" }

        private static let stateful = """
            set queue.workers 2
            table <ban> type ipset
            group default {
            \truleset "dynamic"
            \tblock in final from <ban>
            \tblock all
            \tpass stateful in on inside proto { tcp, udp } to any port 8080
            \tpass stateful out on outside proto { tcp, udp } to any port 8080
            }

            """

        private static func network() throws -> Network {
            let network = try Network(ipv6: false)
            for client in clients {
                try network.run(on: .client, "ip", "address", "add", "\(client)/24", "dev", "eth0")
            }
            return network
        }

        /// What a client of an address reads from the server.
        private static func ask(_ network: Network, from client: String, seconds: Int = 1) throws -> String {
            try network.run(
                on: .client, "timeout", "\(seconds)", "socat", "-T\(seconds)", "-",
                "TCP:\(Network.server4):8080,bind=\(client)"
            ).output.filter { !$0.isNewline }
        }

        private static func packets(_ firewall: Firewall) throws -> [UInt64] {
            try (0..<2).map { try firewall.counter("packets of worker \($0)") }
        }

        @Test func connectionsAreSharedAndEachStaysWithOneWorker() throws {
            let network = try Self.network()
            try network.serve(banner: "hello", port: 8080)
            let firewall = try Firewall(network, rules: Self.stateful)
            for client in Self.clients { #expect(try Self.ask(network, from: client) == "hello", "\(client)") }
            #expect(try Self.packets(firewall).allSatisfy { $0 > 0 })
            // On the way in and on the way out; a packet of another worker would find no state, and be blocked.
            #expect(try firewall.counter("state allocations") == UInt64(2 * Self.clients.count))
            #expect(try firewall.counter("ruleset block") == 0)
            let listed = try firewall.npfctl("list", "-h").output.split(separator: "\n")
            #expect(listed.count == 2 * Self.clients.count)
            for client in Self.clients { #expect(listed.count { $0.hasPrefix("\(client):") } == 2, "\(client)") }
            // The states of whichever worker has them explain a packet.
            let words = try #require(listed.first { $0.contains("inside") }).split { $0 == " " || $0 == ":" }
            let explained = try firewall.npfctl(
                "explain", "--live",
                "in on inside proto tcp from \(words[0]) port \(words[1]) to \(words[2]) port 8080 flags A")
            #expect(explained.output.contains("state"), "\(explained.output) \(explained.errorOutput)")
            let shown = try firewall.show().rules.filter { $0.rule.contains("stateful") }
            #expect(shown.count == 2 && shown.allSatisfy { $0.packets >= UInt64(4 * Self.clients.count) })
            let threads = try network.run(
                on: .firewall, "sh", "-c", "cat /proc/\(firewall.processID)/task/*/comm"
            ).output
            #expect(threads.contains("npflua-0") && threads.contains("npflua-1"), "\(threads)")
        }

        @Test func whatChangesChangesForBothWorkers() throws {
            let network = try Self.network()
            try network.serve(banner: "hello", port: 8080)
            let firewall = try Firewall(network, rules: Self.stateful)
            func areAll(_ answer: String) throws -> Bool {
                // Silence is known by waiting for it.
                let seconds = answer.isEmpty ? 1 : 5
                let asking = try Self.clients.map { client in
                    try network.start(
                        on: .client, "timeout", "\(seconds)", "socat", "-T\(seconds)", "-",
                        "TCP:\(Network.server4):8080,bind=\(client)")
                }
                return asking.allSatisfy { client in
                    _ = client.wait()
                    return client.output.filter { !$0.isNewline } == answer
                }
            }
            #expect(try areAll("hello"))
            for client in Self.clients { #expect(try firewall.npfctl("table", "ban", "add", client).status == 0) }
            #expect(try areAll(""))
            #expect(try firewall.npfctl("table", "ban", "flush").status == 0)
            #expect(
                try firewall.npfctl("rule", "dynamic", "add", "block in final proto tcp from any to any port 8080")
                    .status == 0)
            #expect(try areAll(""))
            #expect(try firewall.npfctl("rule", "dynamic", "flush").status == 0)
            #expect(try areAll("hello"))
            try network.write("set queue.workers 2\ngroup default {\n\tblock all\n}\n", to: "npf.conf")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try areAll(""))
            #expect(try firewall.npfctl("stop").status == 0)
            #expect(try areAll("hello"))
            try network.write("set queue.workers 3\ngroup default {\n\tpass all\n}\n", to: "npf.conf")
            let refused = try firewall.npfctl("reload")
            #expect(refused.status == 1)
            #expect(refused.errorOutput.contains("queue.workers cannot change"), "\(refused.errorOutput)")
        }

        @Test func aWorkerWhoseScriptRunsLongStopsNeitherTheOtherNorLeavesAReloadByHalf() throws {
            let network = try Self.network()
            try network.serve(banner: "hello", port: 8080)
            let rules = """
                set queue.workers 2
                set lua.time 9000
                set lua.instructions 1g
                procedure "p" { lua: call filter }
                procedure "short" { lua: call short }
                group default {
                \tpass all
                \tpass in on inside proto udp to any port 9001 apply "p"
                \tpass in on inside proto udp to any port 9002 apply "short"
                \tpass in on inside proto tcp to any port 8080 apply "short"
                }

                """
            let firewall = try Firewall(
                network, rules: rules,
                scripts: [
                    "filter.lua": "function filter(pkt) while true do tostring(0.1) end end\n",
                    "short.lua": "function short(pkt) end\n",
                ])
            // The kernel chooses a worker by addresses and protocol.
            func send(_ word: String, to port: Int) throws {
                try network.run(
                    on: .client, "socat", "-u", "-", "UDP4-SENDTO:\(Network.server4):\(port),bind=\(Self.clients[0])",
                    input: word)
            }
            func worker(of act: () throws -> Void) throws -> Int {
                let before = try Self.packets(firewall)
                try act()
                try waitFor(until: { try Self.packets(firewall) != before }, "a packet")
                return try Self.packets(firewall)[0] > before[0] ? 0 : 1
            }
            let first = try worker { try send("short", to: 9002) }
            let workers = try Self.clients.map { client in
                try worker { try #require(try Self.ask(network, from: client) == "hello") }
            }
            let stuck = Self.clients[try #require(workers.firstIndex(of: first))]
            let other = Self.clients[try #require(workers.firstIndex(of: 1 - first))]

            // The time limit ends the script, and with it the packet.
            try send("forever", to: 9001)
            #expect(try Self.ask(network, from: other) == "hello")
            #expect(try Self.ask(network, from: stuck) == "")
            try network.write("set queue.workers 2\ngroup default {\n\tblock all\n}\n", to: "npf.conf")
            let refused = try firewall.npfctl("reload")
            #expect(refused.status == 1)
            #expect(refused.errorOutput.contains("nothing was changed"), "\(refused.errorOutput)")
            #expect(try Self.ask(network, from: other) == "hello", "the other worker has the old rules, too")
            #expect(try firewall.show().rules.count == 4)
            try waitFor(until: { try Self.ask(network, from: stuck) == "hello" }, "the end of the script")
            #expect(try firewall.npfctl("reload").status == 0)
            for client in [other, stuck] { #expect(try Self.ask(network, from: client) == "") }
        }

        /// An ICMP error comes from a router, whose address hashes to whichever worker.
        @Test func icmpErrorsFindTheWorkerThatHasTheirConnection() throws {
            let network = try Self.network()
            let firewall = try Firewall(network, rules: Self.stateful)
            let router = "198.51.100.77"
            try network.run(on: .server, "ip", "address", "add", "\(router)/24", "dev", "eth0")
            try network.start(on: .server, "socat", "-u", "UDP4-RECV:8080", "OPEN:/dev/null,wronly")
            try waitFor(until: { try network.listens(.server, "udp", 8080) }, "the server")
            // The kernel's rules are to send errors to the first queue.
            for chain in ["PREROUTING", "POSTROUTING"] {
                try network.run(
                    on: .firewall, "iptables", "-w", "-t", "mangle", "-I", chain, "-p", "icmp", "--icmp-type",
                    "destination-unreachable", "-j", "NFQUEUE", "--queue-num", "2014")
            }
            func received() throws -> Int {
                let lines = try network.run(on: .client, "cat", "/proc/net/snmp").output.split(separator: "\n")
                    .filter { $0.hasPrefix("Icmp:") }.map { $0.split(separator: " ") }
                let place = try #require(lines.first?.firstIndex(of: "InDestUnreachs"))
                return Int(lines[1][place]) ?? -1
            }
            func tell(_ client: String, port: UInt16) throws {
                let error = fragmentationNeeded(from: client, port: 5000, to: Network.server4, port: port)
                try network.write(bytes: error, to: "error")
                try network.run(
                    on: .server, "socat", "-u", "OPEN:\(network.folder)/error,rdonly",
                    "IP4-SENDTO:\(client):1,bind=\(router)")
            }
            let before = try received()
            for (number, client) in Self.clients.enumerated() {
                try network.run(
                    on: .client, "socat", "-u", "-", "UDP4-SENDTO:\(Network.server4):8080,bind=\(client):5000",
                    input: "hello")
                try waitFor(
                    until: { try firewall.counter("state allocations") == UInt64(2 * number + 2) }, "the states")
                try tell(client, port: 8080)
            }
            try waitFor(until: { try received() - before == Self.clients.count }, "the ICMP errors")
            #expect(try Self.packets(firewall).allSatisfy { $0 > 0 })
            #expect(try firewall.counter("ICMP errors handed to another worker") > 0)
            let handedOn = try firewall.counter("ICMP errors handed to another worker")
            // One that nobody knows ends with the last worker, by its rules.
            let blocked = try firewall.counter("ruleset block")
            try tell(Self.clients[0], port: 4)
            try waitFor(until: { try firewall.counter("ruleset block") == blocked + 1 }, "the last worker's decision")
            #expect(try firewall.counter("ICMP errors handed to another worker") == handedOn + 1)
            #expect(try received() - before == Self.clients.count)
            #expect(try firewall.counter("packets waiting") == 0)
        }

        @Test func stoppingLosesNothing() throws {
            let network = try Self.network()
            let firewall = try Firewall(
                network, rules: "set queue.workers 2\n" + Firewall.rules,
                scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            let loads = try (0..<4).map { number in
                try network.start(on: .server, "iperf3", "-s", "-1", "-p", "\(5201 + number)")
                try waitFor(until: { try network.listens(.server, "tcp", 5201 + number) }, "iperf3")
                return try network.start(
                    on: .client, "iperf3", "-c", Network.server4, "-p", "\(5201 + number)", "-B", Self.clients[number],
                    "-u", "-b", "4M", "-l", "200", "-t", "4", "--connect-timeout", "3000")
            }
            usleep(1_500_000)
            let packets = try Self.packets(firewall)
            firewall.signal(SIGTERM)
            #expect(firewall.wait() == 0)
            #expect(packets.reduce(0, +) > 1000)
            for load in loads {
                #expect(load.wait(seconds: 30) == 0, "\(load.output) \(load.errorOutput)")
                #expect(load.output.contains(" 0/"), "\(load.output)")
                #expect(!load.output.contains("out-of-order"), "\(load.output)")
            }
        }

        @Test func aQueueCopiesWhatTheRulesLookAt() throws {
            let network = try Self.network()
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 8080)
            // What it is told of a packet is all there is of it.
            let script = """
                function filter(hdr, pld, ctx)
                  return #hdr + #pld == ctx.length and not pld:match('OpenSSH_6.4')
                end
                """
            let firewall = try Firewall(network, rules: Self.stateful, scripts: ["filter.lua": script])
            let plain = "set queue.workers 2\ngroup default {\n\tpass all\n}\n"
            let inspecting = "set queue.workers 2\n" + Firewall.rules
            func copied() throws -> Set<Substring> {
                let lines = try network.run(on: .firewall, "cat", "/proc/net/netfilter/nfnetlink_queue").output
                let queues = lines.split(separator: "\n").map { $0.split(separator: " ") }
                // The queues behind the workers' own are for the packets of bursts, which are changed whole.
                return Set(queues.filter { $0[0] == "2014" || $0[0] == "2015" }.map { $0[4] })
            }
            func reload(_ rules: String) throws {
                try network.write(rules, to: "npf.conf")
                let result = try firewall.npfctl("reload")
                try #require(result.status == 0, "\(result.errorOutput)")
            }
            #expect(try copied() == ["256"])
            try reload(inspecting)
            #expect(try copied() == ["65531"])
            #expect(try Self.ask(network, from: Self.clients[0]) == "")
            try reload("set queue.bytes 1k\n" + plain)
            #expect(try copied() == ["1024"])
            #expect(try Self.ask(network, from: Self.clients[0]) == "SSH-2.0-OpenSSH_6.4")

            // Long packets, cut and whole by turns: none that was cut comes to the script.
            try network.start(on: .server, "iperf3", "-s", "-1")
            try waitFor(until: { try network.listens(.server, "tcp", 5201) }, "iperf3")
            let load = try network.start(on: .client, "iperf3", "-c", Network.server4, "-t", "4", "-P", "2")
            usleep(300_000)
            for _ in 0..<20 {
                try reload(inspecting)
                usleep(50_000)
                try reload(plain)
            }
            #expect(load.wait(seconds: 30) == 0, "\(load.output) \(load.errorOutput)")
            #expect(try firewall.counter("calls") > 100)
            // The one of above alone.
            let blocked = try firewall.counter("procedure block")
            #expect(blocked >= 1 && blocked < 5)
            #expect(try firewall.counter("headers not copied whole") == 0)
            #expect(try firewall.counter("bytes") > 100_000_000, "of packets, not of copies")
        }
    }
}

/// An ICMP "fragmentation needed" (RFC 1191) about a UDP packet, from its ICMP header on.
private func fragmentationNeeded(from source: String, port: UInt16, to destination: String, port to: UInt16) -> [UInt8]
{
    func address(_ text: String) -> [UInt8] { text.split(separator: ".").map { UInt8($0)! } }
    func word(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }
    let quoted: [UInt8] =
        [0x45, 0, 0, 33, 0, 1, 0x40, 0, 63, 17, 0, 0] + address(source) + address(destination) + word(port) + word(to)
        + word(13) + word(0)
    var error: [UInt8] = [3, 4, 0, 0] + word(0) + word(1400) + quoted
    var sum = stride(from: 0, to: error.count, by: 2).reduce(0) { $0 + Int(error[$1]) << 8 + Int(error[$1 + 1]) }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    error.replaceSubrange(2..<4, with: word(UInt16(~sum & 0xffff)))
    return error
}
