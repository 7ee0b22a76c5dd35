package import Packet

/// Writes random configurations, in all the spellings of the language, and random packets that they are about.
package struct RandomConfiguration {
    package var random: SplitMix64
    private var rulesets = 0

    package init(random: SplitMix64) {
        self.random = random
    }

    /// What the tables hold, those of the interfaces' addresses among them.
    package static let tables: [String: [String]] = [
        "t0": ["10.0.0.1", "fe80::1", "192.0.2.77"], "t_1": ["10.0.0.0/8", "2001:db8::/32", "10.1.2.3"],
        "c-2": ["128.0.0.0", "::1"], ".ifnet-eth0": ["10.0.0.2", "fe80::2"], ".ifnet-wan.100": ["192.0.2.64"],
    ]
    package static let interfaces = ["eth0", "br-lan", "wan.100", "veth0@if2"]
    private static let ipv4 = [
        "10.0.0.1", "10.0.0.2/31", "10.1.0.0/16", "10.0.0.0/8", "192.0.2.64/26", "192.0.2.77", "128.0.0.0/1",
        "10.0.0.0/255.255.255.0", "255.255.255.255", "198.51.100.9/32",
    ]
    private static let ipv6 = [
        "fe80::1", "fe80::/10", "2001:db8::/32", "2001:DB8:0:0::1/128", "fd00:1::/64", "8000::/1", "::1",
        "2001:db8::2/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::1000:0:0/95",
    ]
    private static let packetIPv4 = addresses([
        "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.2.3", "10.0.0.255", "192.0.2.64", "192.0.2.77", "192.0.2.128",
        "198.51.100.9", "127.255.255.255", "128.0.0.0", "255.255.255.255", "0.0.0.0",
    ])
    private static let packetIPv6 = addresses([
        "fe80::1", "fe80::2", "febf::1", "fec0::", "2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db9::",
        "fd00:1::7",
        "fd00:1:0:1::", "8000::", "7fff:ffff::", "::1", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::1000:0:0", "fe80::1002:0:0", "::ffff:10.0.0.1",
    ])
    private static let ports: [UInt16] = [0, 1, 21, 22, 23, 53, 80, 443, 1023, 1024, 8000, 8005, 8010, 65534, 65535]

    private static func addresses(_ texts: [String]) -> [Address] { texts.map { Address($0)! } }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    private mutating func pick<T>(_ values: [T]) -> T { values.randomElement(using: &random)! }

    private mutating func list(_ element: (inout Self) -> String) -> String {
        if chance(50) { return element(&self) }
        let elements = (0..<Int.random(in: 1...5, using: &random)).map { _ in element(&self) }
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return "{ \(elements.joined(separator: ", ")) }"
        case 1: return "{\n\(elements.joined(separator: " ,\n")),\n}"
        default: return "{\(elements.joined(separator: ",# comment\n"))}"
        }
    }

    // MARK: Text

    /// Rulesets are numbered anew.
    package mutating func startConfiguration() { rulesets = 0 }

    package mutating func text() -> String {
        var lines = [
            "$v4 = { 10.0.0.1, $w4 }", "$v6 = { fe80::1,\n ::1, }", "$ports = { ssh, 8000-8010, \"https\", 0x50 }",
        ]
        lines.insert("$w4 = 192.0.2.0/24", at: 0)
        lines.insert("table <t0> type ipset; table <t_1> type lpm\ntable <c-2> type const file \"c 2.txt\"", at: 0)
        lines.append("$if = wan.100; $all4 = { inet4(eth0), $v4, <t0> }; $mixed = { <t_1>, $if, ifaddrs(eth0) }")
        if chance(30) { lines.append("alg \"icmp\"") }
        if chance(30) {
            lines.append("set state.tcp.timeout.half_close 3k; set state.key.interface \(pick(["on", "off", "0"]))")
        }
        if chance(30) { lines.append("set fail open; set lua.memory \(pick(["4m", "8388608", "65537"]))") }
        if chance(30) { lines.append("set queue.number 0x10\nset queue.length 2k") }
        lines.append("procedure \"p\" { lua: call filter\(pick(["", ", payload"])) }")
        lines.append("procedure \"e\" { lua: edit \(pick(["on", "off", "1"])), call g ; log: npflog0\n}")
        lines.append(
            "procedure \"all\" {\n log: file \"a/b.pcapng\"\n normalize: \"no-df\", max-mss 1432, min-ttl 64, random-id\n"
                + " rndblock: percentage \(pick(["30.5", "7", "0.01", "99.99"])); rndblock: mod 5\n"
                + " ratelimit: bitrate 128k, \"extended-burst\" 5, normal-burst 2m\n}")
        lines.append(
            "procedure \"q r\" {\n lua: file \"a/b.lua\", payload, error pass, time 3, memory 64k,"
                + " instructions 1k\n}")
        var groups = (0..<Int.random(in: 0...3, using: &random)).map { _ in group(depth: 1) }
        groups.insert("group default {\n\(items(depth: 1))}", at: Int.random(in: 0...groups.count, using: &random))
        return (lines + groups).joined(separator: "\n") + "\n"
    }

    private mutating func group(depth: Int) -> String {
        "group \"g\(depth)\"\(direction())\(interface(20)) {\n\(items(depth: depth))}"
    }

    private mutating func items(depth: Int) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            if chance(8) {
                rulesets += 1
                text += "ruleset \"r\(rulesets)\"\(direction())\(interface(20))"
            } else {
                text += depth < 4 && chance(25) ? group(depth: depth + 1) : rule()
            }
            text += chance(80) ? "\n" : " ; "
        }
        return text
    }

    private mutating func direction() -> String { pick(["", "", "", " in", " out"]) }

    private mutating func interface(_ percent: Int) -> String {
        guard chance(percent) else { return "" }
        let name = pick(Self.interfaces)
        return " on \(pick([name, "\"\(name)\"", "$if"]))"
    }

    /// A rule, as a part of a configuration or for a dynamic ruleset, where it refers to less.
    package mutating func rule(isDynamic: Bool = false) -> String {
        var text = pick(["pass", "pass", "block", "block return", "block return-rst", "block return-icmp"])
        text += pick(["", "", "", "", "", " stateful", " stateful-all"])
        text += direction()
        text += pick(["", "", "", " final", " quick"])
        text += isDynamic && chance(15) ? " on eth7" : isDynamic ? "" : interface(15)
        if chance(5) { return text + " pcap-filter \"byte \(pick([0, 3, 9, 19, 200])) = \(pick([69, 96, 6, 1]))\"" }
        let isIPv4 = chance(60)
        if chance(20) { text += isIPv4 ? " family inet4" : " family inet6" }
        let (proto, takesPorts) = protocols()
        text += proto
        text += filter(isIPv4: isIPv4, takesPorts: takesPorts, isDynamic: isDynamic)
        if isDynamic { return text }
        if chance(8) {
            text += " lua-filter \"\(pick(["yes.lua", "no.lua"]))\"\(pick(["", " call match", " call other"]))"
        }
        text += pick(["", "", "", "", " apply \"p\"", " apply \"q r\"", " apply \"all\"", " apply \"e\""])
        return text
    }

    private mutating func protocols() -> (text: String, takesPorts: Bool) {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: (" proto tcp", true)
        case 1: (" proto tcp flags \(pick(["S/SAFR", "S/S", "A/AS", "FPU/FSRPAU", "E/EW"]))", true)
        case 2: (" proto \(pick(["udp", "0x11", "17"]))", true)
        case 3: (" proto { tcp, udp, }", true)
        case 4: (" proto icmp icmp-type \(pick(["8", "echo", "unreach code port-unr", "3 code 3"]))", false)
        case 5: (" proto ipv6-icmp icmp-type \(pick(["128", "echo", "unreach code 0x4"]))", false)
        case 6: (" proto \(pick(["gre", "47", "{ icmp, \"ipv6-icmp\" }", "{ 255, 0, tcp }"]))", false)
        default: ("", true)
        }
    }

    private mutating func filter(isIPv4: Bool, takesPorts: Bool, isDynamic: Bool) -> String {
        func endpoint(_ generator: inout Self) -> String {
            var text = generator.chance(30) ? "any" : generator.addresses(isIPv4: isIPv4, isDynamic: isDynamic)
            if takesPorts && generator.chance(30) {
                text += " port \(generator.list { isDynamic ? "1024" : $0.port() })"
            }
            return text
        }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return " all"
        case 1: return " from \(endpoint(&self))"
        case 2: return " to \(endpoint(&self))"
        default: return " from \(endpoint(&self)) to \(endpoint(&self))"
        }
    }

    private mutating func addresses(isIPv4: Bool, isDynamic: Bool) -> String {
        let negation = pick(["", "", "! ", "!"])
        if negation.isEmpty && chance(5) { return isIPv4 ? "0.0.0.0/0" : "::/0" }
        var elements = (isIPv4 ? Self.ipv4 : Self.ipv6) + ["<t0>", "<t_1>", "<c-2>"]
        if !isDynamic {
            elements += isIPv4 ? ["$v4", "$all4", "inet4(wan.100)"] : ["$v6", "$mixed", "inet6(\"eth0\")"]
            elements += ["$mixed", "ifaddrs($if)"]
        }
        return negation + list { $0.pick(elements) }
    }

    private mutating func port() -> String {
        pick(["22", "80-443", "0-65535", "65535", "0", "$ports", "http", "domain", "1-22", "8000-8000", "1024-65534"])
    }

    // MARK: Packets

    /// Bytes that `byte N = M` may look at.
    package mutating func bytes() -> [UInt8] { (0..<pick([0, 4, 10, 40])).map { _ in pick([69, 96, 6, 1]) } }

    package mutating func packet() -> (headers: PacketHeaders, interface: String, direction: Direction) {
        let isIPv4 = chance(60)
        let proto = pick([1, 6, 6, 6, 17, 17, 17, 47, 58, 0, 255] as [UInt8])
        let pool = isIPv4 ? Self.packetIPv4 : Self.packetIPv6
        var headers = PacketHeaders(
            transportProtocol: IPProtocol(rawValue: proto), source: pick(pool), destination: pick(pool))
        if chance(10) {
            headers.isFragment = true
            headers.isLaterFragment = chance(70)
        }
        if !headers.isLaterFragment {
            if proto == 6 || proto == 17 {
                headers.sourcePort = pick(Self.ports)
                headers.destinationPort = pick(Self.ports)
            }
            if proto == 6 {
                headers.tcpFlags = TCPFlags(
                    rawValue: pick([0x02, 0x12, 0x10, 0x18, 0x29, 0x42, .random(in: 0...255, using: &random)]))
            }
            if proto == 1 || proto == 58 {
                headers.icmpType = pick([0, 1, 3, 8, 128, 129])
                headers.icmpCode = pick([0, 3, 4])
            }
        }
        return (headers, pick(Self.interfaces + ["other", "eth7"]), chance(50) ? .in : .out)
    }
}

/// The program for `byte N = M`, the one kind of `pcap-filter` expression that the tests compile.
@Sendable package func compileByteFilter(_ expression: String) -> [BPFInstruction] {
    let words = expression.split(separator: " ")
    return [
        BPFInstruction(code: 0x30, jt: 0, jf: 0, k: UInt32(words[1])!),
        BPFInstruction(code: 0x15, jt: 0, jf: 1, k: UInt32(words[3])!),
        BPFInstruction(code: 0x06, jt: 0, jf: 0, k: 65_535),
        BPFInstruction(code: 0x06, jt: 0, jf: 0, k: 0),
    ]
}
