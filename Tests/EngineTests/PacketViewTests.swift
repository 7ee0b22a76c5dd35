import Engine
import LuaRuntime
import Luadata
import Packet
import TestSupport
import Testing

@Suite struct PacketViewTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var packet: [UInt8]
        /// Fields and what they hold: numbers, or strings in hexadecimal.
        var fields: String
        /// Fields that it has not.
        var without: String
        var testDescription: String { name }
    }

    static let transport = "source_port destination_port checksum syn window length type code identifier tcp_options"

    static let cases = [
        Case(
            name: "IPv4 TCP, options of both",
            packet: ipv4(
                .tcp, tcp([.syn], payload: [1, 2], options: [2, 4, 5, 0xb4, 1, 1, 4, 2], sequence: 77),
                options: [1, 1, 1, 0]),
            fields: """
                version=4 ihl=6 ttl=64 protocol=6 total_length=54 source_address=3221225985 options=01010100 \
                destination_address=3325256711 source_port=40000 destination_port=22 sequence_number=77 data_offset=7 \
                syn=1 ack=0 control_bits=2 window=65535 tcp_options=020405b401010402
                """,
            without: "hop_limit next_header payload_length extension_headers length type code identifier"),
        Case(
            name: "IPv4 UDP", packet: ipv4(.udp, udp([1, 2, 3], checksum: 0x1234)),
            fields: "protocol=17 ihl=5 source_port=5353 destination_port=53 length=11 checksum=4660",
            without: "options tcp_options syn type extension_headers"),
        Case(
            name: "IPv4 ICMP", packet: ipv4(.icmp, icmp(type: 8, code: 3), options: .zeros(40)),
            fields: """
                protocol=1 type=8 code=3 checksum=0 identifier=1 sequence_number=2 next_hop_mtu=2 \
                options=\(String(repeating: "00", count: 40))
                """,
            without: "source_port syn mtu length"),
        Case(
            name: "IPv4 SCTP", packet: ipv4(.sctp, .zeros(40)), fields: "protocol=132 total_length=60",
            without: transport),
        Case(
            name: "IPv4 first fragment", packet: ipv4(.udp, udp([1, 2]), fragmentField: 0x2000),
            fields: "flags=1 mf=1 fragment_offset=0 source_port=5353 length=10", without: "type syn"),
        Case(
            name: "IPv4 later fragment", packet: ipv4(.udp, .ones(40), options: [1, 1, 1, 1], fragmentField: 0x2010),
            fields: "protocol=17 fragment_offset=16 options=01010101", without: transport),
        Case(
            name: "IPv6 TCP", packet: ipv6(.tcp, tcp([.ack, .fin])),
            fields: """
                version=6 protocol=6 next_header=6 ttl=64 hop_limit=64 payload_length=20 traffic_class=0 flow_label=0 \
                source_address=20010db8000000000000000000000001 source_port=40000 ack=1 fin=1 syn=0
                """,
            without: "ihl tos header_checksum total_length extension_headers tcp_options options length"),
        Case(
            name: "IPv6 UDP behind extension headers",
            packet: ipv6(
                .hopByHop, extensionHeader(next: .destinationOptions) + extensionHeader(next: .udp, words: 2) + udp([9])
            ),
            fields: """
                next_header=0 protocol=17 source_port=5353 destination_port=53 length=9 \
                extension_headers=3c000000000000001101\(String(repeating: "00", count: 14))
                """,
            without: "syn options tcp_options type"),
        Case(
            name: "IPv6 ICMPv6", packet: ipv6(.icmpv6, icmp(type: 128, code: 4)),
            fields: "protocol=58 type=128 code=4 identifier=1 sequence_number=2 mtu=65538",
            without: "source_port next_hop_mtu extension_headers"),
        Case(
            name: "IPv6 first fragment",
            packet: ipv6(.fragment, fragmentHeader(next: .tcp, offset: 0, moreFollow: true) + tcp(.syn)),
            fields: "next_header=44 protocol=6 syn=1 extension_headers=06ff000100000009", without: "length type"),
        Case(
            name: "IPv6 later fragment",
            packet: ipv6(.fragment, fragmentHeader(next: .tcp, offset: 64, moreFollow: true) + .ones(40)),
            fields: "next_header=44 protocol=6 extension_headers=06ff004100000009", without: transport),
    ]

    @Test(arguments: cases)
    func fieldsAreThereFromTheStart(_ test: Case) throws {
        let expected = test.fields.split(separator: " ").map(String.init)
        let names = expected.map { $0.prefix { $0 != "=" } } + test.without.split(separator: " ")
        for (parameters, view) in [("hdr, pld", "hdr"), ("pkt", "pkt"), ("hdr, pld, ctx", "hdr")] {
            let printed = try run(
                """
                local function show(view, names)
                  for name in names:gmatch('%S+') do
                    local value = view[name]
                    if type(value) == 'string' then
                      value = value:gsub('.', function(c) return ('%02x'):format(c:byte()) end)
                    end
                    if value then print(name .. '=' .. value) end
                  end
                end
                function filter(\(parameters))
                  show(\(view), '\(names.joined(separator: " "))')
                  if pld and (pld.ttl or pld.source_port or pld.type) then print('payload') end
                end
                """, on: test.packet)
            #expect(printed == expected, "\(parameters)")
        }
    }

    @Test func ownLayoutTakesTheirPlace() throws {
        let printed = try run(
            """
            local layouts = require 'layouts'
            function filter(hdr, pld)
              print(hdr.ttl, hdr:layout{a = {0, 8}}.a, hdr.ttl, hdr:segment().ttl, hdr[1])
              print(hdr:segment(20):layout(layouts.udp).destination_port, hdr:layout{}.a)
            end
            """, on: datagram("x"))
        #expect(printed == ["64\t69\tnil\tnil\tnil", "53\tnil"])
    }

    /// Every field of every kind of packet, kept over the verdict; the next packet does not show through.
    @Test func keptViewIsEmptyForGood() throws {
        let names = Set(PacketViews.all.flatMap { $0.fields.map(\.name) }).sorted()
        for test in Self.cases {
            var filter = try filter(
                """
                local kept = {}
                local names = {\(names.map { "'\($0)'" }.joined(separator: ", "))}
                function filter(hdr, pld)
                  assert(hdr.ttl == 64)
                  for _, view in ipairs(kept) do
                    for _, name in ipairs(names) do
                      assert(view[name] == nil, name)
                      view[name] = 1
                      view[name] = 'x'
                      assert(view[name] == nil, name)
                    end
                    assert(#view == 0 and tostring(view) == '' and not view:segment() and not view:segment(0, 0))
                  end
                  kept[#kept + 1] = hdr
                  kept[#kept + 1] = pld
                  kept[#kept + 1] = hdr:segment():segment()
                end
                """)
            for _ in 1...3 {
                var packet = test.packet
                let decision = decide(&filter, &packet)
                #expect(decision.cause == .rule, "\(test.name)")
                #expect(packet == test.packet, "\(test.name)")
            }
        }
    }

    @Test func writtenFieldsLandAndChecksumsAreMended() throws {
        let superPacket = tcp([.ack], payload: .ones(70_000))
        var packets = Self.cases.map { ($0.name, $0.packet) }
        packets += [
            ("IPv4 super-packet", ipv4(.tcp, superPacket, length: 0)),
            ("IPv6 super-packet", ipv6(.tcp, superPacket, length: 0)),
        ]
        for (name, var packet) in packets {
            mend(&packet)
            // A super-packet's transport checksum may stand for the pseudo-header alone when it comes.
            if name.hasSuffix("super-packet") { packet[packet[0] >> 4 == 4 ? 36 : 56] ^= 0x55 }
            let headers = try parse(packet)
            var filter = try filter(
                """
                function filter(hdr, pld)
                  hdr.ttl, hdr.dscp, hdr.ecn = hdr.ttl - 1, 46, 1
                  if hdr.source_port then hdr.source_port = 0x1234 end
                  if hdr.type then hdr.identifier = 0x1234 end
                  hdr.tcp_options = '\\1\\1'
                  hdr.nothing = 1
                end
                """)
            var expected = packet
            let (isIPv4, start) = (headers.family == .ipv4, headers.transportOffset)
            expected[isIPv4 ? 8 : 7] = 63
            expected[1] = isIPv4 ? 0xb9 : 0x90
            if !isIPv4 { expected[0] = 0x6b }
            if !headers.isLaterFragment {
                switch headers.transportProtocol {
                case .tcp, .udp: expected.replaceSubrange(start..<(start + 2), with: [0x12, 0x34])
                case .icmp, .icmpv6: expected.replaceSubrange((start + 4)..<(start + 6), with: [0x12, 0x34])
                default: break
                }
                if headers.transportProtocol == .tcp, headers.payloadOffset > start + 20 {
                    expected.replaceSubrange((start + 20)..<(start + 22), with: [1, 1])
                }
            }
            mend(&expected)
            #expect(decide(&filter, &packet).isChanged, "\(name)")
            #expect(packet == expected, "\(name)")
            #expect(try hasValidChecksums(packet), "\(name)")
        }
    }

    private func filter(_ script: String, print: (@Sendable ([UInt8]) -> Void)? = nil) throws -> Filter {
        let folder = try ScriptFolder(["filter.lua": script])
        return try Filter(
            LoadedConfiguration(
                text: Array("procedure \"p\" { lua: call filter }\ngroup default {\n\tpass all apply \"p\"\n}\n".utf8),
                file: "npf.conf", scripts: ScriptDirectory(path: folder.path), print: print), seed: 1)
    }

    private func decide(_ filter: inout Filter, _ packet: inout [UInt8]) -> Decision {
        unsafe packet.withUnsafeMutableBytes { packet in
            unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1) { name in
                unsafe name[0] = 0
                return unsafe filter.decide(
                    packet,
                    from: PacketOrigin(
                        interface: 0, interfaceName: name.baseAddress!, direction: .in, time: 0, clock: 0))
            }
        }
    }

    /// What a script prints for a packet.
    private func run(_ script: String, on packet: [UInt8]) throws -> [String] {
        let printed = Printed()
        var filter = try filter(script) { printed.lines.append(String(decoding: $0, as: UTF8.self)) }
        var packet = packet
        #expect(decide(&filter, &packet).cause == .rule)
        return printed.lines
    }
}
