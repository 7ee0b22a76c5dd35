import CaptureFile
import Testing

struct LinkLayerTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var linkType: UInt32
        /// What stands before the IP packet.
        var header: [UInt8]
        var packet: [UInt8] = ipv4Packet
        var isIP = true
        var direction: CaptureDirection?
        var interfaceIndex: Int?
        var testDescription: String { name }
    }

    static let macs: [UInt8] = Array(repeating: 2, count: 12)

    static func cooked(packetType: UInt8, protocol etherType: [UInt8]) -> [UInt8] {
        [0, packetType, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0] + etherType
    }

    static func cooked2(packetType: UInt8, protocol etherType: [UInt8]) -> [UInt8] {
        etherType + [0, 0, 0, 0, 1, 2, 0, 1, packetType, 6, 1, 2, 3, 4, 5, 6, 0, 0]
    }

    static let cases: [Case] = [
        Case(name: "Ethernet, IPv4", linkType: 1, header: macs + [8, 0]),
        Case(name: "Ethernet, IPv6", linkType: 1, header: macs + [0x86, 0xdd], packet: ipv6Packet),
        Case(name: "Ethernet, 802.1Q", linkType: 1, header: macs + [0x81, 0, 0, 5, 8, 0]),
        Case(
            name: "Ethernet, 802.1ad", linkType: 1, header: macs + [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x86, 0xdd],
            packet: ipv6Packet),
        Case(name: "Ethernet, old double tags", linkType: 1, header: macs + [0x91, 0, 0, 5, 0x81, 0, 0, 6, 8, 0]),
        Case(name: "Ethernet, ARP", linkType: 1, header: macs + [8, 6], isIP: false),
        Case(name: "Ethernet, ARP behind a tag", linkType: 1, header: macs + [0x81, 0, 0, 5, 8, 6], isIP: false),
        Case(name: "Ethernet, length field", linkType: 1, header: macs + [0, 46], isIP: false),
        Case(name: "Ethernet, cut in the header", linkType: 1, header: macs + [8], packet: [], isIP: false),
        Case(name: "Ethernet, cut in a tag", linkType: 1, header: macs + [0x81, 0, 0, 5, 8], packet: [], isIP: false),
        Case(name: "Ethernet, nothing in it", linkType: 1, header: macs + [8, 0], packet: [], isIP: false),
        Case(name: "Ethernet, empty frame", linkType: 1, header: [], packet: [], isIP: false),
        Case(name: "raw, IPv4", linkType: 101, header: []),
        Case(name: "raw, IPv6", linkType: 101, header: [], packet: ipv6Packet),
        Case(name: "raw, neither", linkType: 101, header: [0x10], isIP: false),
        Case(name: "raw, empty frame", linkType: 101, header: [], packet: [], isIP: false),
        Case(name: "raw, 12", linkType: 12, header: []),
        Case(name: "raw, 14", linkType: 14, header: [], packet: ipv6Packet),
        Case(name: "IPv4", linkType: 228, header: []),
        Case(name: "IPv6", linkType: 229, header: [], packet: ipv6Packet),
        Case(name: "cooked, to us", linkType: 113, header: cooked(packetType: 0, protocol: [8, 0]), direction: .in),
        Case(
            name: "cooked, multicast", linkType: 113, header: cooked(packetType: 2, protocol: [8, 0]), direction: .in),
        Case(
            name: "cooked, sent", linkType: 113, header: cooked(packetType: 4, protocol: [0x86, 0xdd]),
            packet: ipv6Packet, direction: .out),
        Case(
            name: "cooked, tagged", linkType: 113, header: cooked(packetType: 4, protocol: [0x81, 0]) + [0, 5, 8, 0],
            direction: .out),
        Case(
            name: "cooked, ARP", linkType: 113, header: cooked(packetType: 0, protocol: [8, 6]), isIP: false,
            direction: .in),
        Case(
            name: "cooked, cut", linkType: 113, header: Array(cooked(packetType: 4, protocol: [8]).prefix(15)),
            packet: [], isIP: false),
        Case(
            name: "cooked 2, to us", linkType: 276, header: cooked2(packetType: 0, protocol: [8, 0]), direction: .in,
            interfaceIndex: 258),
        Case(
            name: "cooked 2, sent", linkType: 276, header: cooked2(packetType: 4, protocol: [0x86, 0xdd]),
            packet: ipv6Packet, direction: .out, interfaceIndex: 258),
        Case(
            name: "cooked 2, tagged", linkType: 276,
            header: cooked2(packetType: 4, protocol: [0x81, 0]) + [0, 5, 8, 0],
            direction: .out, interfaceIndex: 258),
        Case(
            name: "cooked 2, ARP", linkType: 276, header: cooked2(packetType: 4, protocol: [8, 6]), isIP: false,
            direction: .out, interfaceIndex: 258),
        Case(name: "loopback, lowest byte first", linkType: 0, header: [2, 0, 0, 0]),
        Case(name: "loopback, highest byte first", linkType: 0, header: [0, 0, 0, 2]),
        Case(name: "loopback, IPv6 of macOS", linkType: 0, header: [30, 0, 0, 0], packet: ipv6Packet),
        Case(name: "loopback, IPv6 of NetBSD", linkType: 0, header: [0, 0, 0, 24], packet: ipv6Packet),
        Case(name: "loopback, other", linkType: 0, header: [7, 0, 0, 0], isIP: false),
        Case(name: "loopback, cut", linkType: 0, header: [2, 0, 0], packet: [], isIP: false),
    ]

    @Test(arguments: cases)
    func `finds the IP packet of a frame`(_ test: Case) throws {
        for isBigEndian in [false, true] {
            var builder = CaptureBuilder(isBigEndian: isBigEndian)
            builder.putPcapHeader(linkType: test.linkType)
            builder.putRecord(seconds: 0, fraction: 0, test.header + test.packet)
            let (packets, error) = read(builder.bytes)
            #expect(error == nil)
            let packet = try #require(packets.first)
            #expect(packet.packet.map { Array(builder.bytes[$0]) } == (test.isIP ? test.packet : nil))
            #expect(packet.direction == test.direction)
            #expect(packet.interfaceIndex == test.interfaceIndex)
        }
    }

    @Test(arguments: [2, 9, 105, 127, 277, 65535] as [UInt32])
    func `says which link type cannot be read`(linkType: UInt32) {
        var builder = CaptureBuilder(isBigEndian: false)
        builder.putPcapHeader(linkType: linkType)
        builder.putRecord(seconds: 0, fraction: 0, ipv4Packet)
        #expect(
            read(builder.bytes).error?.description
                == "byte 24: link type \(linkType) cannot be read: capture Ethernet, Linux cooked, loopback or raw IP")
    }
}
