import Engine
import Foundation
import LuaRuntime
import Luadata
import Packet
import TestSupport
import Testing

@Suite struct PacketLayoutsTests {
    /// Headers written out by hand, no two neighbours alike, and what their specifications say is in them.
    static let headers: [(layout: String, bytes: [UInt8], fields: String)] = [
        (
            "ethernet", [1, 2, 3, 4, 5, 6, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x08, 0x00],
            "destination_address=010203040506 source_address=111213141516 type=2048"
        ),
        ("vlan", [0x81, 0x00, 0xb1, 0x23, 0x86, 0xdd], "tpid=33024 pcp=5 dei=1 vid=291 type=34525"),
        (
            "arp",
            [0, 1, 8, 0, 6, 4, 0, 2, 1, 2, 3, 4, 5, 6] + bytes(alice) + [7, 8, 9, 10, 11, 12] + bytes(bob),
            """
            hardware_type=1 protocol_type=2048 hardware_address_length=6 protocol_address_length=4 opcode=2 \
            sender_hardware_address=010203040506 sender_protocol_address=3221225985 \
            target_hardware_address=0708090a0b0c target_protocol_address=3325256711
            """
        ),
        (
            "ipv4", [0x45, 0xb9] + ipv4(.tcp, .zeros(100), fragmentField: 0x4123).dropFirst(2),
            """
            version=4 ihl=5 tos=185 dscp=46 ecn=1 total_length=120 identification=4660 flags=2 df=1 mf=0 \
            fragment_offset=291 ttl=64 protocol=6 header_checksum=0 source_address=3221225985 \
            destination_address=3325256711
            """
        ),
        (
            "ipv6", [0x6b, 0x9a, 0xbc, 0xde] + ipv6(.udp, .zeros(300)).dropFirst(4),
            """
            version=6 traffic_class=185 dscp=46 ecn=1 flow_label=703710 payload_length=300 next_header=17 hop_limit=64 \
            source_address=20010db8000000000000000000000001 destination_address=20010db8ffff00000000000000000007
            """
        ),
        (
            "tcp", tcp([.syn, .ack], sequence: 0x0102_0304, acknowledgment: 0x0506_0708).dropLast(4) + [1, 2, 3, 4],
            """
            source_port=40000 destination_port=22 sequence_number=16909060 acknowledgment_number=84281096 data_offset=5 \
            reserved=0 cwr=0 ece=0 urg=0 ack=1 psh=0 rst=0 syn=1 fin=0 control_bits=18 window=65535 checksum=258 \
            urgent_pointer=772
            """
        ),
        (
            "tcp", .zeros(12) + [0x5a, 0xa9] + .zeros(6),
            "data_offset=5 reserved=10 cwr=1 ece=0 urg=1 ack=0 psh=1 rst=0 syn=0 fin=1 control_bits=169"
        ),
        ("tcp", .zeros(12) + [0, 0x56] + .zeros(6), "cwr=0 ece=1 urg=0 ack=1 psh=0 rst=1 syn=1 fin=0 control_bits=86"),
        ("udp", udp([1, 2, 3], checksum: 0x1234), "source_port=5353 destination_port=53 length=11 checksum=4660"),
        (
            "icmp", [8, 1, 2, 3, 4, 5, 6, 7],
            """
            type=8 code=1 checksum=515 identifier=1029 sequence_number=1543 gateway_internet_address=67438087 pointer=4 \
            next_hop_mtu=1543
            """
        ),
        (
            "icmpv6", [128, 1, 2, 3, 4, 5, 6, 7],
            "type=128 code=1 checksum=515 identifier=1029 sequence_number=1543 mtu=67438087 pointer=67438087"
        ),
        (
            "dns", [0x12, 0x34, 0b1010_1101, 0b1010_0101, 0, 1, 0, 2, 0, 3, 0, 4],
            "id=4660 qr=1 opcode=5 aa=1 tc=0 rd=1 ra=1 z=2 ad=1 cd=0 rcode=5 qdcount=1 ancount=2 nscount=3 arcount=4"
        ),
        ("dns", [0, 0, 0b0000_0010, 0b0001_0000] + .zeros(8), "aa=0 tc=1 rd=0 ra=0 z=1 ad=0 cd=1 rcode=0"),
        (
            "rtp", [0b1010_0011, 0b1010_0010, 0x12, 0x34, 0, 0, 1, 0, 0, 0, 2, 0],
            """
            version=2 padding=1 extension=0 csrc_count=3 marker=1 payload_type=34 sequence_number=4660 timestamp=256 \
            ssrc=512
            """
        ),
        ("tls_record", [22, 3, 1, 2, 5], "type=22 legacy_record_version=769 length=517"),
        (
            "tls_client_hello", [1, 0, 2, 1, 3, 3] + [UInt8](repeating: 0xab, count: 32) + [32],
            "msg_type=1 length=513 legacy_version=771 random=\(String(repeating: "ab", count: 32)) legacy_session_id_length=32"
        ),
        ("ssh", [0, 0, 4, 0xec, 6, 20], "packet_length=1260 padding_length=6 message_number=20"),
        (
            "ntp",
            [0b1110_0011, 2, 6, 0xec] + bytes(0x0102_0304 as UInt32) + bytes(5 as UInt32) + Array("GPS\0".utf8)
                + bytes(11 as UInt64) + bytes(12 as UInt64) + bytes(13 as UInt64) + bytes(14 as UInt64),
            """
            leap_indicator=3 version_number=4 mode=3 stratum=2 poll=6 precision=236 root_delay=16909060 \
            root_dispersion=5 reference_id=1196446464 reference_timestamp=11 origin_timestamp=12 receive_timestamp=13 \
            transmit_timestamp=14
            """
        ),
        (
            "dhcp",
            [1, 2, 6, 3] + bytes(0x0102_0304 as UInt32) + [0, 9, 0x80, 0] + (1...4).flatMap { bytes($0 as UInt32) }
                + (1...16) + Array("name".utf8) + .zeros(60) + Array("file".utf8) + .zeros(124)
                + [99, 130, 83, 99],
            """
            op=1 htype=2 hlen=6 hops=3 xid=16909060 secs=9 flags=32768 ciaddr=1 yiaddr=2 siaddr=3 giaddr=4 \
            chaddr=0102030405060708090a0b0c0d0e0f10 sname=6e616d65\(String(repeating: "00", count: 60)) \
            file=66696c65\(String(repeating: "00", count: 124)) magic_cookie=1669485411
            """
        ),
    ]

    @Test func fieldsAreWhereTheirSpecificationsDrawThem() throws {
        for (layout, bytes, fields) in Self.headers {
            let expected = fields.split(separator: " ").map(String.init)
            let names = expected.map { "'\($0.prefix { $0 != "=" })'" }.joined(separator: ", ")
            let printed = try run(
                """
                local d = require'data'.new{\(bytes.map { "\($0)" }.joined(separator: ", "))}
                d:layout(require'layouts'.\(layout))
                for _, name in ipairs{\(names)} do
                  local value = d[name]
                  if type(value) == 'string' then
                    value = value:gsub('.', function(c) return ('%02x'):format(c:byte()) end)
                  end
                  print(name .. '=' .. tostring(value))
                end
                """)
            #expect(printed == expected, "\(layout)")
        }
    }

    /// The fields of a header lie one behind another, and fill it; those that are parts of others are these.
    @Test func noFieldOverlapsAnotherButByIntention() throws {
        let parts = [
            "ipv4": ["dscp", "ecn", "df", "mf"], "ipv6": ["dscp", "ecn"], "tcp": ["control_bits"],
            "icmp": ["gateway_internet_address", "pointer", "next_hop_mtu"], "icmpv6": ["mtu", "pointer"],
            "dns": ["ad", "cd"],
        ]
        let sizes = [
            "ethernet": 14, "vlan": 6, "arp": 28, "ipv4": 20, "ipv6": 40, "tcp": 20, "udp": 8, "icmp": 8, "icmpv6": 8,
            "dns": 12, "rtp": 12, "tls_record": 5, "tls_client_hello": 39, "ssh": 6, "ntp": 48, "dhcp": 240,
        ]
        #expect(Set(PacketLayouts.all.map(\.name)) == Set(sizes.keys))
        for layout in PacketLayouts.all {
            var end = 0
            for field in layout.fields {
                let bits = try #require(field.bits)
                if parts[layout.name]?.contains(field.name) == true {
                    #expect(bits.upperBound <= end, "\(layout.name).\(field.name)")
                } else {
                    #expect(bits.lowerBound == end, "\(layout.name).\(field.name)")
                    end = bits.upperBound
                }
            }
            #expect(end == (sizes[layout.name] ?? 0) * 8, "\(layout.name)")
        }
        for layout in PacketLayouts.all + PacketViews.all {
            let names = layout.fields.map(\.name)
            #expect(Set(names).count == names.count, "\(layout.name)")
            // A layout of these names is one that a script could have written.
            let entries = names.map { "\($0) = {0, 8}" }.joined(separator: ", ")
            #expect(try run("print(#require'data'.new{1}:layout{\(entries)})") == ["1"], "\(layout.name)")
        }
    }

    @Test func everyFieldIsInTestAndOnTheLuaPage() throws {
        let page = try String(
            contentsOf: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/lua-api.md"),
            encoding: .utf8)
        for layout in PacketLayouts.all {
            let names = Set(layout.fields.map(\.name))
            let tested = Self.headers.filter { $0.layout == layout.name }.flatMap {
                $0.fields.split(separator: " ").map { String($0.prefix { $0 != "=" }) }
            }
            #expect(Set(tested) == names, "\(layout.name)")
            let row = try #require(
                page.split(separator: "\n").first { $0.hasPrefix("| `\(layout.name)` |") }, "\(layout.name)")
            // A string's name is marked by a star.
            let written = row.split(separator: "|").last?.split(separator: " ").map(String.init) ?? []
            let expected = layout.fields.map { $0.isString ? "`\($0.name)`*" : "`\($0.name)`" }
            #expect(written == expected, "\(layout.name)")
        }
    }

    @Test func tableOfLayoutsIsTheStatesOwn() throws {
        for (script, output) in [
            (
                "layouts.udp.length = nil print(data.new(8):layout(layouts.udp).length, layouts.udp.length)",
                ["nil\tnil"]
            ),
            ("layouts.udp.port = {0, 16} print(data.new{1, 2}:layout(layouts.udp).port)", ["258"]),
            ("layouts.udp = nil print(layouts.udp.length[1])", ["32"]),
            ("layouts.mine = data.layout{a = {0, 8}} print(data.new{7}:layout(require'layouts'.mine).a)", ["7"]),
            (
                "print(layouts.udp == layouts.udp, getmetatable(layouts), pcall(setmetatable, layouts, {}))",
                [
                    "true\tfalse\tfalse\tcannot change a protected metatable"
                ]
            ),
            ("print(select(2, pcall(function() return layouts.upd end)))", ["script.lua:2: no layout 'upd'"]),
            ("print(select(2, pcall(function() return layouts[1] end)))", ["script.lua:2: no layout '1'"]),
            ("local t = {} for k, v in pairs(layouts.udp) do t[#t + 1] = k end print(#t)", ["4"]),
        ] {
            let printed = try run("local data, layouts = require 'data', require 'layouts'\n\(script)")
            #expect(printed == output, "\(script)")
        }
        // What one state has changed no other sees.
        #expect(try run("print(require'layouts'.udp.length[1], require'layouts'.udp.port)") == ["32\tnil"])
    }

    private func run(_ script: String) throws -> [String] {
        let printed = Printed()
        var state = try LuaState { printed.lines.append(String(decoding: $0, as: UTF8.self)) }
        state.installLuadata()
        state.installPacketLayouts()
        try state.load(Array(script.utf8), chunkName: "script.lua")
        return printed.lines
    }
}

/// What a script has printed, on the thread that runs it.
final class Printed: @unchecked Sendable {
    var lines: [String] = []
}

extension Layout.Field {
    fileprivate var isString: Bool { if case .number = content { false } else { true } }

    /// The bits of a field of fixed length.
    fileprivate var bits: Range<Int>? {
        switch content {
        case .number(let offset, let width): offset..<(offset + width)
        case .string(let offset, let length): (offset * 8)..<((offset + length) * 8)
        case .rest: nil
        }
    }
}
