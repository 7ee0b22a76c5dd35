import ConfigLanguage
import Packet
import Ruleset
import Testing

/// What rmind/npf gets wrong and we do not: where a rule can be honoured it decides as it says.
///
/// The rules that cannot be honoured are among the diagnostics of `ConfigLanguage`.
struct UpstreamDefectTests {
    /// Each packet with whether the rule matches it.
    private func expect(_ rule: String, _ packets: [(PacketHeaders, Bool)]) throws {
        let ruleset = try compile("$a = { 10.0.0.1, 10.0.0.2 }\n$b = { $a, 10.0.0.9 }\ngroup default {\n\(rule)\n}")
        for (headers, matches) in packets {
            let match = ruleset.evaluate(headers, interface: 0, direction: .in)
            #expect((match.entry == 2) == matches, "\(rule): \(headers)")
        }
    }

    private func from(_ source: String) -> PacketHeaders {
        packet(.udp, source, source.contains(":") ? "2001:db8::99" : "192.0.2.99", ports: (1, 1))
    }

    @Test func dottedMasks() throws {
        try expect("pass from 10.0.0.0/255.0.0.0", [(from("10.1.2.3"), true), (from("11.0.0.0"), false)])
        try expect("pass from 0.0.0.0/128.0.0.0", [(from("127.1.2.3"), true), (from("128.0.0.0"), false)])
    }

    @Test func hexadecimalNumbers() throws {
        try expect(
            "pass proto 0x11 all",
            [(packet(.udp, "::1", "::1"), true), (packet(.init(rawValue: 0), "::1", "::1"), false)])
    }

    @Test func portRangesInLists() throws {
        func to(_ port: UInt16) -> PacketHeaders { packet(.udp, "10.0.0.1", "10.0.0.2", ports: (9, port)) }
        try expect(
            "pass proto udp to any port { 10-20, 30 }",
            [(to(9), false), (to(10), true), (to(15), true), (to(20), true), (to(21), false), (to(30), true)])
    }

    /// NetBSD PR bin/55403.
    @Test func ipv6ListsWithWordsInCommon() throws {
        let list = "{ fe80::1, fe80::1000:0:0/95, fe80::2, fe80::2000:0:0/96, fe80::3, fe80::3000:0:0/97 }"
        let members = [
            "fe80::1", "fe80::2", "fe80::3", "fe80::1000:0:0", "fe80::1001:ffff:ffff", "fe80::2000:ffff:ffff",
            "fe80::3000:7fff:ffff",
        ]
        let others = ["fe80::4", "fe80::1:0:1", "fe80::1002:0:0", "fe80::2001:0:1", "fe80::3000:8000:1", "fe81::1"]
        try expect("pass from \(list)", members.map { (from($0), true) } + others.map { (from($0), false) })
        try expect("pass from ! \(list)", members.map { (from($0), false) } + others.map { (from($0), true) })
        try expect(
            "pass from ! 2001:db8:1::/48",
            [(from("2001:db8:1::5"), false), (from("2001:db8:2::"), true), (from("::"), true)])
    }

    @Test func flagsWhoseMatchIsTheMask() throws {
        func flags(_ flags: UInt8) -> PacketHeaders { packet(.tcp, "10.0.0.1", "10.0.0.2", flags: flags) }
        try expect("pass proto tcp flags A/A all", [(flags(0x10), true), (flags(0x18), true), (flags(0x02), false)])
        try expect("pass proto tcp flags S/S all", [(flags(0x02), true), (flags(0xc2), true), (flags(0x10), false)])
        try expect("pass proto tcp flags S/SA all", [(flags(0x02), true), (flags(0x12), false), (flags(0x0a), true)])
    }

    @Test func negatedAndNestedLists() throws {
        try expect(
            "pass from ! { $b, 10.0.0.4 }",
            [
                (from("10.0.0.1"), false), (from("10.0.0.2"), false), (from("10.0.0.9"), false),
                (from("10.0.0.4"), false),
                (from("10.0.0.3"), true), (from("::1"), false),
            ])
    }

    @Test func addressesImplyTheirFamily() throws {
        try expect(
            "pass from ! 10.0.0.0/8", [(from("192.0.2.1"), true), (from("10.0.0.1"), false), (from("::1"), false)])
        try expect(
            "pass to ! ::1", [(packet(.udp, "::1", "::2"), true), (packet(.udp, "10.0.0.1", "10.0.0.2"), false)])
        // The low 32 bits alone do not make an address.
        try expect("pass from 0.0.0.1", [(from("0.0.0.1"), true), (from("::1"), false)])
    }

    @Test func theNetworkOfAllAddressesIsNoCriterion() throws {
        try expect("pass from 0.0.0.0/0", [(from("10.0.0.1"), true), (from("::1"), true)])
        try expect("pass family inet4 from 0.0.0.0/0", [(from("10.0.0.1"), true), (from("::1"), false)])
        try expect("pass from { 10.0.0.1, 0.0.0.0/0 }", [(from("10.0.0.2"), true)])
    }

    @Test func portsAloneMeanTCPAndUDP() throws {
        try expect(
            "pass to any port 0",
            [
                (packet(.tcp, "::1", "::2"), true), (packet(.udp, "::1", "::2"), true),
                (packet(.icmp, "10.0.0.1", "10.0.0.2"), false), (packet(.sctp, "::1", "::2"), false),
            ])
    }

    @Test func icmpTypesAndCodes() throws {
        func icmp(_ type: UInt8, _ code: UInt8) -> PacketHeaders {
            packet(.icmp, "10.0.0.1", "10.0.0.2", icmp: (type, code))
        }
        try expect("pass proto icmp icmp-type 3 all", [(icmp(3, 0), true), (icmp(3, 9), true), (icmp(0, 3), false)])
        try expect(
            "pass proto icmp icmp-type 0 code 0 all", [(icmp(0, 0), true), (icmp(0, 1), false), (icmp(1, 0), false)])
        try expect(
            "pass proto icmp icmp-type echo all",
            [(icmp(8, 0), true), (packet(.icmpv6, "::1", "::1", icmp: (8, 0)), false)])
    }
}
