import ControlProtocol
import Packet
import SystemSupport
import TestSupport
import Testing

extension LiveTests {
    /// Packets that no socket sends: with options, extension headers and padding, and malformed ones.
    @Suite struct FrameTests {
        private static let (client4, server4) = (Address(Network.client4)!, Address(Network.server4)!)
        private static let (client6, server6) = (Address(Network.client6)!, Address(Network.server6)!)
        /// Where routing headers lead in the end.
        private static let beyond6 = Address("2001:db8:9::9")!

        /// The sum of RFC 1071, word by word.
        private static func checksum(_ bytes: [UInt8]) -> UInt16 {
            var sum: UInt32 = 0
            for index in stride(from: 0, to: bytes.count, by: 2) {
                sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
            }
            while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
            return ~UInt16(sum)
        }

        /// An IPv4 packet with its header's checksum, from the client to the server.
        private static func packet4(
            _ transport: IPProtocol, _ payload: [UInt8], options: [UInt8] = [], fragmentField: UInt16 = 0
        ) -> [UInt8] {
            var packet = ipv4(
                transport, payload, from: client4, to: server4, options: options, fragmentField: fragmentField)
            packet.replaceSubrange(10..<12, with: bytes(checksum(Array(packet[..<(20 + options.count)]))))
            return packet
        }

        private static func packet6(_ next: IPProtocol, _ payload: [UInt8]) -> [UInt8] {
            ipv6(next, payload, from: client6, to: server6)
        }

        /// A datagram to `port`, or what claims to be one.
        ///
        /// - Parameter destination: the packet's last one, which the checksum covers.
        private static func datagram(
            _ content: String, to port: UInt16, family: AddressFamily, destination: Address? = nil,
            length: Int? = nil, checksum wrong: UInt16? = nil
        ) -> [UInt8] {
            let payload = Array(content.utf8)
            let start = bytes(4000 as UInt16) + bytes(port) + bytes(UInt16(length ?? 8 + payload.count))
            let ends =
                family == .ipv4
                ? bytes(client4) + bytes(destination ?? server4) : bytes(client6) + bytes(destination ?? server6)
            let pseudoHeader = ends + [0, 17] + bytes(UInt16(8 + payload.count))
            let sum = wrong ?? checksum(pseudoHeader + start + [0, 0] + payload)
            return start + bytes(sum) + payload
        }

        /// A TCP segment to port 5004 of the server, its checksum right whatever else is wrong.
        private static func segment(words: UInt8, _ rest: [UInt8] = [], flags: UInt8 = 0x02, cut: Int = .max) -> [UInt8]
        {
            var segment = bytes(4000 as UInt16) + bytes(5004 as UInt16) + bytes(1000 as UInt32) + bytes(0 as UInt32)
            segment += [words << 4, flags, 0xff, 0xff, 0, 0, 0, 0] + rest
            segment = Array(segment.prefix(cut))
            guard segment.count >= 18 else { return segment }
            let pseudoHeader = bytes(client4) + bytes(server4) + [0, 6] + bytes(UInt16(segment.count))
            segment.replaceSubrange(16..<18, with: bytes(checksum(pseudoHeader + segment)))
            return segment
        }

        struct Frame: Sendable {
            var name: String
            /// The packet with a payload, which a script may have written, to a port.
            var packet: @Sendable (_ content: String, _ port: UInt16) -> [UInt8]

            init(_ name: String, _ packet: @escaping @Sendable (String, UInt16) -> [UInt8]) {
                (self.name, self.packet) = (name, packet)
            }
        }

        private static func frame4(_ name: String, options: [UInt8] = []) -> Frame {
            Frame(name) { packet4(.udp, datagram($0, to: $1, family: .ipv4), options: options) }
        }

        private static func frame6(
            _ name: String, _ next: IPProtocol, _ headers: [UInt8], destination: Address? = nil
        ) -> Frame {
            Frame(name) { packet6(next, headers + datagram($0, to: $1, family: .ipv6, destination: destination)) }
        }

        /// A segment routing header (RFC 8754) with one segment left.
        private static let segmentRouting = [17, 2, 4, 1, 0, 0, 0, 0] + bytes(beyond6)

        private static let frames = [
            frame4("IPv4"), frame4("router alert", options: [148, 4, 0, 0]),
            frame4("forty bytes of options", options: Array(repeating: 1, count: 36) + [148, 4, 0, 0]),
            frame4("security option", options: [130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Frame("no checksum") { packet4(.udp, datagram($0, to: $1, family: .ipv4, checksum: 0)) },
            frame6("IPv6", .udp, []),
            frame6("hop-by-hop", .hopByHop, [17, 0, 1, 4, 0, 0, 0, 0]),
            frame6("destination options", .destinationOptions, [17, 1, 1, 12] + .zeros(12)),
            frame6("routing", .routing, segmentRouting, destination: beyond6),
            frame6(
                "hop-by-hop, destination options, routing", .hopByHop,
                [60, 0, 1, 4, 0, 0, 0, 0, 43, 0, 1, 4, 0, 0, 0, 0] + segmentRouting, destination: beyond6),
        ]

        /// As a router hands a packet on.
        private static func forwarded(_ packet: [UInt8]) -> [UInt8] {
            var packet = packet
            if packet[0] >> 4 == 6 {
                packet[7] -= 1
            } else {
                packet[8] -= 1
                packet.replaceSubrange(10..<12, with: [0, 0])
                packet.replaceSubrange(10..<12, with: bytes(checksum(Array(packet[..<Int(packet[0] & 15 * 4)]))))
            }
            return packet
        }

        private static let script = """
            local data = require 'data'
            local byte = data.layout{ value = {0, 8} }
            function read(hdr, pld) return not pld:match('^never') and hdr.protocol ~= nil end
            function edit(hdr, pld) pld:layout(byte).value = 0x58 end
            """

        @Test func framesArriveAsTheyWereOrAsTheScriptWroteThem() throws {
            let network = try Network()
            let firewall = try Firewall(
                network,
                rules: """
                    procedure "read" { lua: call read, file "frames.lua" }
                    procedure "edit" { lua: call edit, file "frames.lua" }
                    group default {
                    \tpass all apply "read"
                    \tpass in proto udp to any port 5005 apply "edit"
                    }

                    """, scripts: ["frames.lua": Self.script])
            let capture = try network.startCapture()
            var expected: [(String, [UInt8])] = []
            for frame in Self.frames {
                try network.send(frames: [frame.packet("as it was", 5004), frame.packet("as it was", 5005)])
                expected.append((frame.name, Self.forwarded(frame.packet("as it was", 5004))))
                expected.append((frame.name + ", edited", Self.forwarded(frame.packet("Xs it was", 5005))))
            }
            // What a network card adds to a short frame is no part of the packet.
            let short = Self.frames[0]
            try network.send(frames: [short.packet("a", 5004), short.packet("a", 5005)], padding: .ones(31))
            expected.append(("padded", Self.forwarded(short.packet("a", 5004))))
            expected.append(("padded, edited", Self.forwarded(short.packet("X", 5005))))
            func arrived() -> Set<[UInt8]> { Set(network.packets(of: capture)) }
            try? waitFor(until: { expected.allSatisfy { arrived().contains($0.1) } }, "the frames")
            let packets = arrived()
            for (name, packet) in expected {
                #expect(packets.contains(packet), "\(name): \(hexadecimal(packet)) in \(packets.map(hexadecimal))")
            }
            #expect(try firewall.counter("errors") == 0, "\(firewall.log)")
        }

        /// What no rule can judge: the headers break off, or contradict each other.
        private static let malformed: [(String, [UInt8])] = [
            ("TCP header of 8 bytes", packet4(.tcp, segment(words: 5, cut: 8))),
            ("TCP header of 19 bytes", packet4(.tcp, segment(words: 5, cut: 19))),
            ("data offset of 0", packet4(.tcp, segment(words: 0))),
            ("data offset of 4", packet4(.tcp, segment(words: 4))),
            ("data offset beyond the packet", packet4(.tcp, segment(words: 15))),
            ("UDP header of 4 bytes", packet4(.udp, Array(datagram("", to: 5004, family: .ipv4).prefix(4)))),
            ("no UDP header", packet4(.udp, [])), ("ICMP of 4 bytes", packet4(.icmp, [8, 0, 0xf7, 0xff])),
            ("no ICMP", packet4(.icmp, [])), ("ICMPv6 of 4 bytes", packet6(.icmpv6, [128, 0, 0, 0])),
            ("TCP header of 8 bytes, IPv6", packet6(.tcp, segment(words: 5, cut: 8))),
            ("destination options beyond the packet", packet6(.destinationOptions, [17, 9, 1, 4, 0, 0, 0, 0])),
            (
                "nine destination options",
                packet6(
                    .destinationOptions,
                    Array(repeating: [60, 0, 1, 4, 0, 0, 0, 0], count: 8).flatMap { $0 } + [17, 0, 1, 4, 0, 0, 0, 0]
                        + datagram("x", to: 5004, family: .ipv6))
            ),
        ]

        /// What rules can judge, and the receiver would refuse.
        private static let wrong: [(String, [UInt8])] = [
            ("UDP length beyond the packet", packet4(.udp, datagram("x", to: 5004, family: .ipv4, length: 900))),
            ("UDP length of 0", packet4(.udp, datagram("x", to: 5004, family: .ipv4, length: 0))),
            ("UDP checksum", packet4(.udp, datagram("x", to: 5004, family: .ipv4, checksum: 0xdead))),
            ("UDP checksum, IPv6", packet6(.udp, datagram("x", to: 5004, family: .ipv6, checksum: 0xdead))),
            ("TCP flags all set", packet4(.tcp, segment(words: 5, flags: 0xff))),
            ("TCP flags none set", packet4(.tcp, segment(words: 5, flags: 0))),
            ("TCP option beyond the header", packet4(.tcp, segment(words: 6, [2, 40, 5, 0xb4]))),
            ("ICMP error about nothing", packet4(.icmp, [3, 1, 0xfc, 0xfe, 0, 0, 0, 0])),
            ("ICMP error about half a header", packet4(.icmp, [3, 1, 0xb7, 0xfe, 0, 0, 0, 0, 0x45, 0])),
            ("unknown protocol", packet4(IPProtocol(rawValue: 253), [1, 2, 3])),
        ]

        @Test(arguments: ["pass all apply \"read\"", "block all"])
        func whatIsMalformedHarmsNothingAndDoesNotPass(_ rule: String) throws {
            let network = try Network()
            let firewall = try Firewall(
                network,
                rules: """
                    procedure "read" { lua: call read, file "frames.lua" }
                    group default {
                    \t\(rule)
                    \tpass proto udp to any port 5005
                    \tpass family inet6 proto ipv6-icmp icmp-type 135 all
                    \tpass family inet6 proto ipv6-icmp icmp-type 136 all
                    }

                    """, scripts: ["frames.lua": Self.script])
            let capture = try network.startCapture()
            try network.send(frames: Self.malformed.map(\.1) + Self.wrong.map(\.1))
            let last = Self.frames[0].packet("the end", 5005)
            try network.send(frames: [last])
            try waitFor(
                until: { network.packets(of: capture).contains(Self.forwarded(last)) }, "the packet that is to pass")
            let packets = network.packets(of: capture)
            for (name, packet) in Self.malformed {
                #expect(!packets.contains(Self.forwarded(packet)), "\(name) has passed")
            }
            for (name, packet) in Self.wrong {
                #expect(packets.contains(Self.forwarded(packet)) == rule.hasPrefix("pass"), "\(name)")
            }
            #expect(try firewall.counter("malformed") == UInt64(Self.malformed.count))
            #expect(try firewall.counter("errors") == 0, "\(firewall.log)")
        }
    }
}
