import ControlProtocol
import SystemSupport
import Testing

extension LiveTests {
    /// What passes arrives as it was sent, or as a script has written it: every byte is compared at the receiver.
    @Suite struct IntactTests {
        /// Each procedure has a port of its own.
        private static let rules = """
            procedure "read" { lua: call read, file "intact.lua" }
            procedure "edit" { lua: call edit, file "intact.lua" }
            procedure "edit segments" { lua: call edit_segments, file "intact.lua" }
            procedure "edit stream" { lua: call edit_stream, file "intact.lua" }
            group default {
            \tpass all
            \tpass in on inside proto { tcp, udp } to any port 5004 apply "read"
            \tpass out on outside proto { tcp, udp } to any port 5004 apply "read"
            \tpass in on inside proto udp to any port 5005 apply "edit"
            \tpass in on inside proto udp to any port 5006 apply "edit segments"
            \tpass in on inside proto tcp to any port 5007 apply "edit stream"
            \tpass out on outside proto udp to any port 5015 apply "edit"
            \tpass out on outside proto udp to any port 5016 apply "edit segments"
            \tpass out on outside proto tcp to any port 5017 apply "edit stream"
            }

            """

        private static let script = """
            local data = require 'data'
            local byte = data.layout{ value = {0, 8} }
            local function write(pld, at) pld:segment(at, 1):layout(byte).value = 0x58 end

            function read(hdr, pld) return not pld:match('^never') end
            function edit(hdr, pld) write(pld, 16) end
            function edit_segments(hdr, pld)
              for at = 16, #pld - 1, 1400 do write(pld, at) end
            end
            -- The same bytes of the stream, however it is cut.
            local first
            function edit_stream(hdr, pld)
              if hdr.syn == 1 then first = hdr.sequence_number + 1 end
              for at = (first - hdr.sequence_number) % 4096, #pld - 1, 4096 do write(pld, at) end
            end
            """

        private static func firewall(_ network: Network) throws -> Firewall {
            try Firewall(network, rules: rules, scripts: ["intact.lua": script])
        }

        struct Datagrams: CustomTestStringConvertible {
            var name: String
            var size: Int
            var segment = 0
            var port = 5004
            var count = 100
            var from = Network.Host.client
            var families = [Network.server4, Network.server6]
            var testDescription: String { name }
            var isCutByTheFirewall: Bool { segment != 0 || size > 1500 }
        }

        private static let ordinary = [
            Datagrams(name: "small", size: 64), Datagrams(name: "one byte more than nothing", size: 17),
            Datagrams(name: "fragments of 8 KiB", size: 8192), Datagrams(name: "fragments of 60 KiB", size: 61_440),
            Datagrams(name: "segments", size: 56_000, segment: 1400, count: 2000),
            Datagrams(name: "small, edited", size: 64, port: 5005),
            Datagrams(name: "fragments of 8 KiB, edited", size: 8192, port: 5005),
            Datagrams(name: "fragments of 60 KiB, edited", size: 61_440, port: 5005),
            Datagrams(name: "segments, edited", size: 56_000, segment: 1400, port: 5006, count: 2000),
            Datagrams(name: "of the firewall, edited", size: 1000, port: 5015, from: .firewall),
            Datagrams(name: "fragments of the firewall, edited", size: 8192, port: 5015, from: .firewall),
            Datagrams(
                name: "segments of the firewall, edited", size: 56_000, segment: 1400, port: 5016, count: 2000,
                from: .firewall),
        ]

        private static func exchange(_ datagrams: Datagrams, in network: Network, _ what: String) throws {
            let edited = datagrams.port == 5004 ? 0 : 65_536
            for (index, address) in datagrams.families.enumerated() {
                let source = "source=\(4000 + index)"
                if datagrams.segment != 0 {
                    // Of a burst that opens a flow, connection tracking lets only the first segment through.
                    let first = try network.startReceiver(port: datagrams.port, count: 1, edited: edited)
                    _ = try network.send(
                        from: datagrams.from, to: address, port: datagrams.port, "count=1", source,
                        "size=\(datagrams.segment)")
                    let report = try network.end(receiver: first)
                    try #require(report.received == 1 && report.damaged == 0, "\(datagrams.name)")
                }
                let receiver = try network.startReceiver(
                    port: datagrams.port, count: datagrams.count, edited: edited)
                let sent = try network.send(
                    from: datagrams.from, to: address, port: datagrams.port, "count=\(datagrams.count)", source,
                    "size=\(datagrams.size)", "segment=\(datagrams.segment)", "rate=10000")
                let report = try network.end(receiver: receiver)
                let message: Comment = "\(datagrams.name), \(address), \(what): \(sent) \(report)"
                #expect(report.received == UInt64(datagrams.count) && report.damaged == 0, message)
                #expect(report.duplicated == 0, message)
            }
        }

        @Test(arguments: [true, false])
        func datagramsArriveAsTheScriptWroteThem(_ offload: Bool) throws {
            let network = try Network()
            let firewall = try Self.firewall(network)
            if !offload {
                // The firewall has to cut what it got whole, and to fill in the checksums.
                for interface in ["inside", "outside"] {
                    let result = try network.run(
                        on: .firewall, "ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off")
                    try #require(result.status == 0, "\(result.errorOutput)")
                }
            }
            for datagrams in Self.ordinary where offload || datagrams.isCutByTheFirewall {
                let (seen, changed) = try (
                    firewall.counter("packets so far"), firewall.counter("packets changed")
                )
                try Self.exchange(datagrams, in: network, offload ? "with offloads" : "without offloads")
                let now = try firewall.counter("packets changed") - changed
                if datagrams.port != 5004 { #expect(now > 0, "\(datagrams.name)") }
                if datagrams.segment != 0 && datagrams.port == 5004 {
                    // They came in bursts of 40, and were not cut before the queue.
                    #expect(try firewall.counter("packets so far") - seen < 1000, "\(datagrams.name)")
                }
            }
            #expect(try firewall.counter("errors") == 0, "\(firewall.log)")
        }

        @Test func packetsAsLongAsTheLinkTakesArrive() throws {
            let network = try Network()
            let firewall = try Self.firewall(network)
            for (mtu, edited) in [(1500, 1500), (9000, 9000), (65_535, 65_531)] {
                try network.setMTU(mtu)
                for (address, headers) in [(Network.server4, 28), (Network.server6, 48)] {
                    for (size, port) in [(mtu - headers, 5004), (edited - headers, 5005)] {
                        try Self.exchange(
                            Datagrams(name: "\(size) bytes", size: size, port: port, families: [address]), in: network,
                            "MTU \(mtu)")
                    }
                }
            }
            // A verdict has no room for the last four bytes of the longest packet: it does not arrive cut.
            let receiver = try network.startReceiver(port: 5005, edited: 65_536)
            _ = try network.send(port: 5005, "count=10", "size=65507")
            #expect(try network.end(receiver: receiver).received == 0)
            #expect(try firewall.counter("changed packets dropped for their length") == 10)
            #expect(try firewall.counter("errors") == 0, "\(firewall.log)")
        }

        @Test(arguments: [true, false])
        func streamsArriveAsTheScriptWroteThem(_ offload: Bool) throws {
            let network = try Network()
            let firewall = try Self.firewall(network)
            if !offload {
                for interface in ["inside", "outside"] {
                    try network.run(on: .firewall, "ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off")
                }
            }
            for (bytes, host, port) in [
                (offload ? 100 << 20 : 8 << 20, Network.Host.client, 5004), (8 << 20, .client, 5007),
                (8 << 20, .client, 5017), (8 << 20, .firewall, 5017),
            ] {
                for address in [Network.server4, Network.server6] {
                    let report = try network.stream(
                        bytes, from: host, to: address, port: port, edited: port == 5004 ? 0 : 4096)
                    #expect(
                        report == StreamReport(received: bytes, damaged: 0), "port \(port) from \(host) to \(address)")
                }
            }
            // 64 KiB at once for the most part: what was cut before the queue would be four times as many.
            if offload { #expect(try firewall.counter("packets so far") < 50_000) }
            #expect(try firewall.counter("errors") == 0, "\(firewall.log)")
        }
    }
}
