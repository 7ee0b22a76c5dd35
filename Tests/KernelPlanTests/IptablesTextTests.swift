import ConfigLanguage
import KernelPlan
import Packet
import Ruleset
import TestSupport
import Testing

struct IptablesTextTests {
    /// A rule of npf.conf, in a group of its own, and the rules for both families that it becomes.
    private static let cases: [(rule: String, inet4: [String], inet6: [String])] = [
        (
            "block in final from 10.0.0.0/8 to any port 22",
            [
                "-p 6 -m tcp --dport 22 -s 10.0.0.0/8 DROP", "-p 17 -m udp --dport 22 -s 10.0.0.0/8 DROP",
            ], []
        ),
        (
            "pass in final proto udp from any port 1000-2000 to any port 53",
            ["-p 17 -m udp --sport 1000:2000 --dport 53 RETURN"], ["-p 17 -m udp --sport 1000:2000 --dport 53 RETURN"]
        ),
        (
            "pass in final proto tcp from any port 1 to any port { 22, 80-90 }",
            ["-p 6 -m multiport --sports 1 -m multiport --dports 22,80:90 RETURN"],
            ["-p 6 -m multiport --sports 1 -m multiport --dports 22,80:90 RETURN"]
        ),
        (
            "pass in final on eth0 proto tcp flags S/SA all",
            ["-i eth0 -p 6 -m tcp --tcp-flags SYN,ACK SYN RETURN"],
            ["-i eth0 -p 6 -m tcp --tcp-flags SYN,ACK SYN RETURN"]
        ),
        // iptables knows no ECE.
        ("pass in final on eth0 proto tcp flags E/E all", ["-i eth0 NFQUEUE"], ["-i eth0 NFQUEUE"]),
        ("pass in final proto icmp icmp-type 3 code 4 all", ["-p 1 -m icmp --icmp-type 3/4 RETURN"], ["NFQUEUE"]),
        ("pass in final proto ipv6-icmp icmp-type 128 all", ["NFQUEUE"], ["-p 58 -m icmp6 --icmpv6-type 128 RETURN"]),
        // 0 is iptables' word for all protocols, and `+` for all that follows in an interface's name.
        ("pass in final proto 0 all", ["NFQUEUE"], ["NFQUEUE"]),
        ("pass in final on \"eth+\" all", ["NFQUEUE"], ["NFQUEUE"]),
        (
            "block in final from ! 2001:db8::/32", [],
            [
                "-m iprange --src-range ::-2001:db7:ffff:ffff:ffff:ffff:ffff:ffff DROP",
                "-m iprange --src-range 2001:db9::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff DROP",
            ]
        ),
        (
            "pass in final from { 10.0.0.1, 10.0.0.2, 10.0.0.3 }", ["-m iprange --src-range 10.0.0.1-10.0.0.3 RETURN"],
            []
        ),
        (
            "pass in final on wan.100 all apply \"p\"",
            [
                "-i wan.100 -p 6 -m conntrack ! --ctstate NEW -m bpf --bytecode BYTECODE RETURN",
                "-i wan.100 -p 17 -m conntrack ! --ctstate NEW -m bpf --bytecode BYTECODE RETURN",
                "-i wan.100 NFQUEUE",
            ],
            [
                "-i wan.100 -p 6 -m conntrack ! --ctstate NEW -m bpf --bytecode BYTECODE RETURN",
                "-i wan.100 -p 17 -m conntrack ! --ctstate NEW -m bpf --bytecode BYTECODE RETURN",
                "-i wan.100 NFQUEUE",
            ]
        ),
    ]

    @Test func everyCriterionIsSaidOrQueued() throws {
        for (rule, inet4, inet6) in Self.cases {
            let text = "procedure \"p\" { lua: call f, payload }\ngroup default {\n\(rule)\npass in proto 99 all\n}\n"
            let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
            let plan = KernelPlan(
                compiling: configuration, marks: configuration.flowMarks, queues: 7...8, failOpen: false)
            for (family, expected) in [(Configuration.Family.inet4, inet4), (.inet6, inet6)] {
                let rules = Self.rules(plan.iptablesRestore(family))
                #expect(rules == expected, "\(rule), \(family)")
            }
        }
    }

    /// Only flows with a mark are asked for it.
    @Test func flowsWithMarksHaveAListOfTheirOwn() throws {
        let text = "procedure \"p\" { lua: call f }\ngroup default {\npass in proto tcp to any port 22 apply \"p\"\n}\n"
        let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
        let plan = KernelPlan(
            compiling: configuration, marks: configuration.flowMarks, queues: 7...8, failOpen: false)
        let isOfSSH = "-p 6 -m tcp --dport 22"
        #expect(Self.rules(plan.iptablesRestore(.inet4)) == ["\(isOfSSH) NFQUEUE"])
        #expect(
            Self.rules(plan.iptablesRestore(.inet4), of: "npflua-in-flow")
                == [
                    "\(isOfSSH) -m connmark --mark 2147483648/3221225472 RETURN", "\(isOfSSH) NFQUEUE",
                ])
    }

    /// Where nothing but a script's decision keeps connections from passing, they are asked for that alone.
    @Test func connectionsThatPassAnywayAreAskedForTheirMarkAlone() throws {
        func rules(
            _ rules: String, settings: String = ""
        ) throws -> (inet4: [String], inet6: [String], nft: [String]) {
            let text = "\(settings)procedure \"p\" { lua: call f }\ngroup default {\n\(rules)\n}\n"
            let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
            let plan = KernelPlan(
                compiling: configuration, marks: configuration.flowMarks, queues: 7...8, failOpen: false)
            func passing(_ family: Configuration.Family) -> [String] {
                plan.iptablesRestore(family).split(separator: "\n").filter { $0.contains(" ! -p icmp ") }
                    .map(String.init)
            }
            let nft = plan.nftables.split(separator: "\n").filter { $0.contains(" meta l4proto != 1 ") }
            return (passing(.inet4), passing(.inet6), nft.map { String($0.dropFirst("add rule inet npflua ".count)) })
        }
        let isOut = "-A npflua-out ! -p icmp -m connmark ! --mark 1073741824/3221225472 "
        let isIn = "-A npflua-in ! -p icmp -m mark --mark 0/3221225472 -m connmark ! --mark 1073741824/3221225472 "
        let nft = "meta nfproto ipv4 meta l4proto != 1 "
        let isUnblocked = "ct mark & 3221225472 != 1073741824 counter accept "

        let out = try rules(
            "pass all\npass in from any port 22 apply \"p\"\npass out proto icmp icmp-type 0 all\nblock out proto icmp all"
        )
        #expect(out.inet4 == [isOut + "-j RETURN"])
        #expect(out.nft == ["outbound \(nft)\(isUnblocked)comment \"npf.conf:3\""])
        #expect(out.inet6.isEmpty, "of IPv6 the engine refuses what connection tracking does not")
        let inbound = try rules("pass all\npass out from any port 22 apply \"p\"")
        #expect(inbound.inet4 == [isIn + "-j RETURN"])
        #expect(inbound.nft == ["inbound \(nft)meta mark & 3221225472 == 0 \(isUnblocked)comment \"npf.conf:3\""])

        for other in [
            "block out to any port 1", "block out proto icmp all\npass out to any port 1",
            "pass stateful out to any port 1",
            "pass out proto { icmp, udp } all apply \"p\"",
            "pass stateful in to any port 1",
        ] {
            let none = try rules("pass all\npass in from any port 22 apply \"p\"\n\(other)")
            #expect(none.inet4.isEmpty && none.nft.isEmpty, "\(other)")
        }
        #expect(try rules("pass in all\npass in from any port 22 apply \"p\"").inet4.isEmpty, "nothing goes out")
        #expect(try rules("pass all\nblock out to any port 1").inet4.isEmpty, "there are no marks")
        let passing = "pass all\npass in from any port 22 apply \"p\""
        for (setting, count) in [("set ip4.drop_options on\n", 0), ("set ip6.drop_options on\n", 1)] {
            let some = try rules(passing, settings: setting)
            #expect(some.inet4.count == count && some.nft.count == count, "\(setting)")
        }
    }

    /// Packets of flows that have passed come first, but not what begins a connection anew, or its master has the mark of.
    @Test(arguments: [Configuration.Family.inet4, .inet6])
    func leadingRulesTakeWhatGoesOn(_ family: Configuration.Family) throws {
        func leading(_ rule: String, settings: String = "") throws -> [Substring] {
            let text = "\(settings)procedure \"p\" { lua: call f }\ngroup default {\npass in \(rule) apply \"p\"\n}\n"
            let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
            let plan = KernelPlan(
                compiling: configuration, marks: configuration.flowMarks, queues: 7...8, failOpen: false)
            return plan.iptablesRestore(family).split(separator: "\n").filter { $0.hasPrefix("-A npflua-in ") }
                .prefix { !$0.hasPrefix("-A npflua-in -i lo ") }
        }
        let isPassed =
            "-m connmark --mark 2147483648/3221225472 -m mark --mark 0/3221225472 -m conntrack ! --ctstatus EXPECTED "
        for (rule, criteria) in [
            ("proto tcp to any port 22", "-p 6 -m tcp --dport 22 -m tcp --tcp-flags SYN NONE "),
            ("proto tcp flags A/AF all", "-p 6 -m tcp --tcp-flags FIN,SYN,ACK ACK "),
        ] {
            let rules = try leading(rule)
            #expect(rules.count == 1)
            #expect(rules[0].hasPrefix("-A npflua-in \(criteria)\(isPassed)-"), "\(rules[0])")
            // Of IPv6 the engine refuses what connection tracking does not.
            #expect(rules[0].hasSuffix("EXPECTED -j RETURN") == (family == .inet4), "\(rules[0])")
        }
        #expect(try leading("proto tcp flags S/SA all").isEmpty)

        let programs = try [
            #require(leading("to any port 22").last),
            #require(leading("proto tcp to any port 22", settings: "set ip4.drop_options on\n").last),
        ]
        #expect(programs[0].hasPrefix("-A npflua-in -p 17 -m udp --dport 22 \(isPassed)-m bpf "), "\(programs[0])")
        for (text, proto) in zip(programs, [IPProtocol.udp, .tcp]) {
            try #require(text.contains(" --bytecode "), "\(text)")
            let program = try Bytecode(inRule: text)
            let transport = proto == .tcp ? tcp(.ack) : udp([1])
            #expect(program.accepts(family == .inet4 ? ipv4(proto, transport) : ipv6(proto, transport)))
            #expect(!program.accepts(ipv4(proto, transport, options: .zeros(4))))
            #expect(!program.accepts(ipv6(.hopByHop, extensionHeader(next: proto) + transport)))
        }
    }

    /// The daemon is told of a connection's first contents wherever they may be queued.
    @Test func firstContentsOfAConnectionAreMarked() throws {
        func opened(_ rules: String) throws -> [String] {
            let text = "procedure \"p\" { lua: call f, payload }\ngroup default {\n\(rules)\n}\n"
            let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
            let plan = KernelPlan(
                compiling: configuration, marks: configuration.flowMarks, queues: 7...7, failOpen: false)
            return plan.iptablesRestore(.inet4).split(separator: "\n").filter { $0.hasSuffix("-j npflua-opened") }.map {
                String($0.split(separator: " -m connmark --mark 0/3221225472")[0])
            }
        }
        #expect(try opened("pass in proto udp to any port 53 apply \"p\"\npass out all") == [])
        #expect(
            try opened("pass in from any port { 22, 2222 } apply \"p\"\npass out all")
                == ["-A npflua-in -p 6 -m multiport --sports 22,2222"])
        // Of many addresses iptables is told none, and what is queued besides belongs to connections as well.
        let many = (0..<65).map { "10.0.0.\($0 * 2)" }.joined(separator: ", ")
        #expect(
            try opened("pass in on eth0 from { \(many) } apply \"p\"\npass out all") == ["-A npflua-in -i eth0 -p 6"])
        // What is behind them goes to the queue too, but these must be told of.
        #expect(
            try opened("pass all apply \"p\"\npass in final proto tcp to any port 25 apply \"p\"")
                == ["-A npflua-in -p 6 -m tcp --dport 25", "-A npflua-in -p 6", "-A npflua-out -p 6"])
    }

    /// The rules of the third line in a chain, without what all of them have and with one name for all programs.
    private static func rules(_ text: String, of chain: String = "npflua-in") -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("-A \(chain) ") && $0.contains("npf.conf:3") }.map { line in
            var words = line.split(separator: " ").map(String.init)
            while let start = words.firstIndex(where: { $0.hasPrefix("\"") && !$0.hasPrefix("\"npf") }),
                let end = words[start...].firstIndex(where: { $0.hasSuffix("\"") })
            {
                words.replaceSubrange(start...end, with: ["BYTECODE"])
            }
            let remark = words.firstIndex(of: "comment")! - 1
            #expect(words[remark...].starts(with: ["-m", "comment", "--comment", "\"npf.conf:3\"", "-j"]))
            let queue = words[remark...].contains("NFQUEUE")
            #expect(!queue || words.suffix(2) == ["--queue-balance", "7:8"])
            return (words[2..<remark] + [words[remark + 5]]).joined(separator: " ")
        }
    }

    /// Packets of rules that iptables cannot be told are the daemon's to count, and not what their item says.
    @Test func whatCannotBeSaidIsCountedAsQueued() throws {
        let text = """
            procedure "p" { lua: call f }
            group default {
            block in all
            pass in final proto tcp flags E/E all
            pass in final proto udp to any port 1
            pass in final proto udp to any port 2 apply "p"
            pass out all
            }
            """
        let plan = try KernelPlan(
            compiling: Configuration(parsing: Array(text.utf8), file: "npf.conf"), queues: 7...7, failOpen: true)
        var packets: (queued: UInt64, passed: UInt64) = (0, 0)
        // Each rule has a bit of its own.
        var bit: UInt64 = 0
        let listings = [Configuration.Family.inet4, .inet6].map { family in
            let rules = plan.iptablesRestore(family).split(separator: "\n").filter { $0.hasPrefix("-A npflua-") }
            let counted = rules.map { rule in
                let count = UInt64(1) << bit
                bit += 1
                if rule.contains("NFQUEUE") { packets.queued += count }
                if rule.contains("npf.conf") && rule.hasSuffix("RETURN") { packets.passed += count }
                return "[\(count):0] \(rule)"
            }
            return IptablesListing(counted.joined(separator: "\n"))
        }
        let counters = try #require(PlanCounting(iptables: plan).counters(inIptables: listings[0], listings[1]))
        #expect(counters.queued.packets == packets.queued && packets.queued > 0)
        let passed = counters.sum(plan) { $0.action == .accept }.packets
        #expect(bit < 64 && passed & packets.passed == packets.passed && passed & packets.queued == 0)
        #expect((counters - counters).queued.packets == 0 && (counters + counters).queued.packets == 2 * packets.queued)
    }

    @Test func longListsAreQueuedAndPortsAreSplit() throws {
        func plan(_ rule: String) throws -> [String] {
            let text = "group default {\n\n\(rule)\n}\n"
            let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
            let plan = KernelPlan(compiling: configuration, queues: 7...8, failOpen: false)
            return Self.rules(plan.iptablesRestore(.inet4))
        }
        let addresses = (0..<65).map { "10.0.0.\($0 * 2)" }
        #expect(try plan("pass in from { \(addresses.joined(separator: ", ")) }") == ["NFQUEUE"])
        #expect(try plan("pass in from { \(addresses.dropLast().joined(separator: ", ")) }").count == 64)
        let ports = (0..<20).map { "\($0 * 10)-\($0 * 10 + 1)" }
        let split = try plan("pass in proto udp to any port { \(ports.joined(separator: ", ")) }")
        #expect(split.count == 3 && split[0].contains("--dports 0:1,10:11,20:21,30:31,40:41,50:51,60:61 "))
    }

    // MARK: Bytecode

    /// The programs of a plan for a family: what is unreadable, what has no payload, and ICMP errors.
    private static func programs(
        _ family: Configuration.Family, scripts: Int = 1
    ) throws -> (unreadable: Bytecode, payloadless: Bytecode, icmpErrors: Bytecode) {
        let other = scripts == 1 ? "" : "procedure \"q\" { lua: call g }"
        let text = "procedure \"p\" { lua: call f, payload }\ngroup default { \npass in all apply \"p\"\n}\n\(other)\n"
        let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
        // The outbound default keeps what is unreadable, the inbound rule the other.
        let plan = KernelPlan(
            compiling: configuration, marks: configuration.flowMarks, queues: 7...8, failOpen: false)
        let lines = plan.iptablesRestore(family).split(separator: "\n").filter { $0.contains("--bytecode") }
        func program(_ words: String, _ mark: String) throws -> Bytecode {
            try Bytecode(inRule: lines.first { $0.contains("-A \(words)") && $0.contains(mark) }!)
        }
        return try (
            program("npflua-out -m bpf", "npflua\""),
            program("npflua-in -p 6 -m conntrack ! --ctstate NEW", "npf.conf:3"),
            program("npflua-out -p \(family == .inet4 ? 1 : 58)", "npflua\"")
        )
    }

    @Test func bytecodeKnowsICMPErrors() throws {
        let (inet4, inet6) = (try Self.programs(.inet4).icmpErrors, try Self.programs(.inet6).icmpErrors)
        for type in UInt8.min...UInt8.max {
            #expect(
                inet4.accepts(ipv4(.icmp, [type, 0, 0, 0])) == [3, 4, 5, 11, 12].contains(type), "\(type)")
            #expect(inet6.accepts(ipv6(.icmpv6, [type, 0, 0, 0])) == (1...4).contains(type), "\(type)")
        }
    }

    /// A SYN is among them where marks can tell the engine of a new connection: not with as many scripts as values.
    @Test(arguments: [(1, true), (2, false)])
    func bytecodeKnowsWhatHasNoPayload(_ scripts: Int, _ withSYN: Bool) throws {
        let inet4 = try Self.programs(.inet4, scripts: scripts).payloadless
        let inet6 = try Self.programs(.inet6, scripts: scripts).payloadless
        for words in 0...10 {
            for count in 0...3 {
                let segment = tcp(.ack, payload: .zeros(count), options: .zeros(4 * words))
                #expect(inet4.accepts(ipv4(.tcp, segment)) == (count == 0), "\(words) \(count)")
                #expect(inet6.accepts(ipv6(.tcp, segment)) == (count == 0), "\(words) \(count)")
            }
        }
        let cases: [(TCPFlags, Bool)] = [
            (.syn, withSYN), ([.syn, .ack], withSYN), ([.fin, .ack], false), (.rst, false), ([.ack, .psh], true),
        ]
        for (flags, passes) in cases {
            #expect(inet4.accepts(ipv4(.tcp, tcp(flags))) == passes, "\(flags)")
            #expect(inet6.accepts(ipv6(.tcp, tcp(flags))) == passes, "\(flags)")
        }
        for count in 0...3 {
            #expect(inet4.accepts(ipv4(.udp, udp(.zeros(count)))) == (count == 0))
            #expect(inet6.accepts(ipv6(.udp, udp(.zeros(count)))) == (count == 0))
            #expect(!inet4.accepts(ipv4(.icmp, icmp(type: 8, payload: .zeros(count)))))
            #expect(!inet6.accepts(ipv6(.icmpv6, icmp(type: 128, payload: .zeros(count)))))
        }
        #expect(!inet4.accepts(Array(ipv4(.tcp, tcp(.ack)).prefix(32))), "cut")
    }

    @Test func bytecodeKnowsWhatIsUnreadable() throws {
        let (inet4, inet6) = (try Self.programs(.inet4).unreadable, try Self.programs(.inet6).unreadable)
        for (packet, expected) in [
            (ipv4(.tcp, tcp(.ack)), false), (ipv4(.tcp, tcp(.ack), options: .zeros(4)), true),
            (ipv4(.udp, udp(), fragmentField: 0x2000), true), (ipv4(.udp, udp(), fragmentField: 1), true),
            (ipv4(.udp, udp(), fragmentField: 0x4000), false), (ipv4(.gre, []), false),
        ] {
            #expect(inet4.accepts(packet) == expected, "\(packet)")
        }
        for (packet, expected) in [
            (ipv6(.tcp, tcp(.ack)), false), (ipv6(.icmpv6, icmp(type: 1)), false), (ipv6(.gre, [0, 0]), false),
            (ipv6(.gre, [0]), true), (ipv6(.gre, []), true),
            (ipv6(.hopByHop, extensionHeader(next: .tcp) + tcp(.ack)), true),
            (ipv6(.routing, extensionHeader(next: .tcp) + tcp(.ack)), true),
            (ipv6(.fragment, fragmentHeader(next: .udp, offset: 0, moreFollow: true) + udp()), true),
            (ipv6(.destinationOptions, extensionHeader(next: .tcp) + tcp(.ack)), true),
            (ipv6(.ah, .zeros(24)), true),
        ] {
            #expect(inet6.accepts(packet) == expected, "\(packet)")
        }
    }
}
