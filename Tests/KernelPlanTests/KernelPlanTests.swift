import ConfigLanguage
import Glibc
import KernelPlan
import Packet
import SystemSupport
import Testing

@Suite struct KernelPlanTextTests {
    private static let skeleton = """
        add table inet npflua
        add chain inet npflua inbound { type filter hook prerouting priority dstnat + 10; policy accept; }
        add chain inet npflua outbound { type filter hook postrouting priority mangle; policy accept; }
        add chain inet npflua inbound_flow
        add chain inet npflua outbound_flow
        add chain inet npflua marked
        add chain inet npflua decided
        add chain inet npflua opened
        add chain inet npflua payloadless
        flush chain inet npflua inbound
        flush chain inet npflua outbound
        flush chain inet npflua inbound_flow
        flush chain inet npflua outbound_flow
        flush chain inet npflua marked
        flush chain inet npflua decided
        flush chain inet npflua opened
        flush chain inet npflua payloadless

        """

    private static func rules(_ text: String) throws -> [String] {
        #expect(text.hasPrefix(skeleton))
        return text.dropFirst(skeleton.count).split(separator: "\n").map {
            String($0.dropFirst("add rule inet npflua ".count))
        }
    }

    private static func plan(
        _ text: String, tables: [String: PlanTable] = [:], queues: ClosedRange<UInt16> = 2014...2014,
        failOpen: Bool = false
    ) throws -> KernelPlan {
        let configuration = try Configuration(parsing: Array(text.utf8), file: "/etc/npf.conf")
        return KernelPlan(
            compiling: configuration, tables: tables, marks: configuration.flowMarks, queues: queues, failOpen: failOpen
        )
    }

    @Test func nftablesIsOneTransactionThatKeepsTheChains() throws {
        #expect(
            try Self.rules(KernelPlan(queues: 2014...2014, failOpen: true).nftables) == [
                "inbound ct state invalid counter",
                "inbound iifname \"lo\" accept",
                "inbound counter queue flags bypass to 2014 comment \"npflua\"",
                "outbound oifname \"lo\" accept",
                "outbound meta mark 1313883648 counter accept",
                "outbound counter queue flags bypass to 2014 comment \"npflua\"",
            ])
        #expect(KernelPlan.nftablesIdle == Self.skeleton)
        #expect(KernelPlan.nftablesRemoval == "add table inet npflua\ndelete table inet npflua\n")
    }

    /// Rules whose every packet goes to the daemon need no others in the kernel.
    @Test func whatIsAllForTheDaemonIsShort() throws {
        let plan = try Self.plan(
            "procedure \"p\" { log: npflog0 }\ngroup default {\n pass in all apply \"p\"\n block out all apply \"p\"\n}\n"
        )
        #expect(plan.inbound.map(\.action) == [.queue] && plan.outbound.map(\.action) == [.queue])
        #expect(plan.inbound[0].match == .any && plan.inbound[0].place == "npf.conf:3" && plan.inbound[0].entry == 2)
    }

    @Test func nftablesSaysEveryCriterion() throws {
        let text = """
            table <t> type const file "t"
            procedure "p" { lua: call f, payload }
            group default {
            pass out final from ! 10.0.0.0/8 to <t>
            block return-rst in final on eth0 proto tcp from any port { 22, 80-90, 85-99 } to 2001:db8::/32
            pass in final proto tcp flags S/SA all
            pass in final proto icmp icmp-type 3 code 4 all
            pass in final on "eth0" to any port 53 apply "p"
            }

            """
        let table = PlanTable(
            inet4: [AddressRange(first: 1, last: 2), AddressRange(first: 3, last: 3)], inet6: [])
        let plan = try Self.plan(text, tables: ["t": table], queues: 5...8)
        let queue = "queue to symhash mod 4 offset 5"
        let errors = "queue to 5 comment \"npflua\""
        let unreadable = [
            "ct state invalid,untracked", "ip hdrlength != 5", "ip frag-off & 0x3fff != 0",
            "ip6 nexthdr { 0, 43, 44, 51, 60 }", "ip6 length < 2",
        ]
        let blocked = "3221225472 == 1073741824"
        let passed = "3221225472 == 2147483648"
        func early(_ chain: String) -> [String] {
            [
                "meta mark & 3221225472 != 0 jump marked",
                "meta mark & 3221225472 != 0 goto decided",
                "ct mark & 3221225472 != 0 ct status & 1 == 0 goto \(chain)_flow",
            ]
            .map { "\(chain) \($0)" }
        }
        func renewal(_ chain: String) -> [String] {
            [
                "\(chain) tcp flags & 2 != 0 ct mark & 3221225472 != 0 ct mark & 3221225472 != 1073741824 ct mark set ct mark & 1073741823"
            ]
        }
        let isNone = "counter drop comment \"npflua\""
        let inet4 = "ip hdrlength 5 ip frag-off & 0x3fff == 0"
        let inet6 = "meta nfproto ipv6 @nh,48,8 { 6, 17 }"
        let isValid = "ct state new,established,related"
        // Of the segments of TCP the sixth line's rule wants some.
        let inboundShortcuts = [
            "inbound \(inet4) \(isValid) meta l4proto 17 th dport != 53 \(isNone)",
            "inbound \(inet6) \(isValid) meta l4proto 17 th sport != { 22, 80-99 } th dport != 53 \(isNone)",
        ]
        let foreign = "ip saddr != { 0.0.0.0-9.255.255.255, 11.0.0.0-255.255.255.255 }"
        let outboundShortcuts = [
            "outbound \(inet4) \(isValid) meta l4proto { 6, 17 } \(foreign) \(isNone)",
            "outbound \(inet6) \(isValid) meta l4proto { 6, 17 } \(isNone)",
        ]
        let isPassed = "ct mark & 3221225472 != 1073741824 meta l4proto 6 tcp flags & 2 == 0"
        let flowShortcuts = [
            "outbound_flow \(inet4) \(isPassed) \(foreign) \(isNone)",
            "outbound_flow \(inet6) \(isPassed) \(isNone)",
        ]
        func own(_ chain: String) -> [String] {
            unreadable.dropFirst(chain.hasSuffix("flow") ? 1 : 0).map {
                "\(chain) \($0) counter \(queue) comment \"npflua\""
            } + [
                "\(chain) meta nfproto ipv4 meta l4proto 1 @th,0,8 { 3, 4, 5, 11, 12 } counter \(errors)",
                "\(chain) meta nfproto ipv6 meta l4proto 58 @th,0,8 { 1, 2, 3, 4 } counter \(errors)",
            ]
        }
        let isBlocked = "ct mark & \(blocked) counter drop comment \"npflua\""
        func inbound(_ chain: String) -> [String] {
            let tcp =
                "iifname \"eth0\" meta nfproto ipv6 ip6 daddr 2001:db8::/32 meta l4proto 6 th sport { 22, 80-99 }"
            let dns = "iifname \"eth0\" meta l4proto { 6, 17 } th dport 53"
            let rules = [
                "\(tcp) counter \(queue) comment \"npf.conf:5\"",
                "meta l4proto 6 tcp flags & 18 == 2 counter accept comment \"npf.conf:6\"",
                "meta l4proto 1 @th,0,16 772 counter accept comment \"npf.conf:7\"",
                "\(dns) ct mark & \(passed) counter accept comment \"npf.conf:8\"",
                "\(dns) jump payloadless",
                "iifname \"eth0\" meta l4proto 6 th dport 53 ct mark & 3221225472 == 0 jump opened",
                "\(dns) counter \(queue) comment \"npf.conf:8\"",
                "counter drop comment \"npflua\"",
            ]
            // Only flows with a mark are asked for it.
            return rules.filter {
                chain == "inbound_flow" ? !$0.contains("opened") : !$0.contains("ct mark & \(passed)")
            }.map { "\(chain) \($0)" }
        }
        func outbound(_ chain: String) -> [String] {
            [
                "\(chain) meta nfproto ipv4 ip saddr { 0.0.0.0-9.255.255.255, 11.0.0.0-255.255.255.255 } ip daddr 0.0.0.1-0.0.0.3 counter accept comment \"npf.conf:4\"",
                "\(chain) counter drop comment \"npflua\"",
            ]
        }
        let unmarked = "meta mark set meta mark & 1073741823"
        let isTracked = "ct state new,established,related"
        var expected = ["inbound iifname \"lo\" accept"] + early("inbound") + inboundShortcuts + renewal("inbound")
        expected += own("inbound") + inbound("inbound")
        expected +=
            renewal("inbound_flow") + own("inbound_flow") + ["inbound_flow \(isBlocked)"] + inbound("inbound_flow")
        expected += ["outbound oifname \"lo\" accept", "outbound meta mark 1313883648 counter accept"]
        expected += early("outbound") + outboundShortcuts + renewal("outbound")
        expected += own("outbound") + outbound("outbound")
        expected += flowShortcuts + renewal("outbound_flow") + own("outbound_flow")
        expected += ["outbound_flow \(isBlocked)"] + outbound("outbound_flow")
        expected += [
            "marked meta mark & \(blocked) ct mark & \(blocked) \(isTracked) \(unmarked)",
            "marked meta mark & \(passed) ct mark & \(passed) \(isTracked) \(unmarked)",
            "marked meta mark & \(blocked) return", "marked meta mark & \(passed) return", "marked \(unmarked)",
            "opened ct mark set ct mark & 1073741823 | 3221225472",
            "opened meta mark set meta mark & 1073741823 | 3221225472",
            "decided meta mark & 3221225472 == 1073741824 ct mark set ct mark & 1073741823 | 1073741824",
            "decided meta mark & 3221225472 == 2147483648 ct mark set ct mark & 1073741823 | 2147483648",
            "decided meta mark & 3221225472 == 1073741824 drop",
            "decided \(unmarked) accept",
        ]
        let rules = try Self.rules(plan.nftables)
        #expect(Array(rules.prefix(expected.count)) == expected, "\(rules.joined(separator: "\n"))")
        let payloadless = rules.dropFirst(expected.count)
        #expect(payloadless.count == 28 && payloadless.allSatisfy { $0.hasPrefix("payloadless ") })
        #expect(payloadless.contains("payloadless ip length 52 tcp doff 8 counter accept"))
        #expect(payloadless.contains("payloadless tcp flags & 5 != 0 return"))
    }

    /// What only the last rule is about does not go past all the others.
    @Test func manyRulesHaveAShortcut() throws {
        func shortcuts(_ rules: String) throws -> [String] {
            let plan = try Self.plan("procedure \"p\" { lua: call f, payload }\ngroup default {\n\(rules)\n}\n")
            let ends = ["counter accept comment \"npf.conf:3\"", "counter drop comment \"npflua\""]
            return try Self.rules(plan.nftables).compactMap { rule in
                guard rule.hasPrefix("inbound"), rule.contains("ip hdrlength 5 "),
                    let end = ends.first(where: rule.hasSuffix)
                else { return nil }
                return rule.replacing("ip hdrlength 5 ip frag-off & 0x3fff == 0 ", with: "").replacing(end, with: "")
            }
        }
        let valid = "ct state new,established,related"
        let passed = "ct mark & 3221225472 != 1073741824 meta l4proto 6 tcp flags & 2 == 0"
        #expect(
            try shortcuts(
                """
                pass all
                pass in proto tcp from any port { 22, 23, 2222 } apply "p"
                pass in proto udp to any port 53 apply "p"
                pass in proto udp from 10.0.0.0/8 to any port 53
                """)
                == [
                    "inbound \(valid) meta l4proto { 6, 17 } th sport != { 22-23, 2222 } th dport != 53 ",
                    "inbound_flow \(passed) th sport != { 22-23, 2222 } th dport != 53 ",
                ])
        #expect(
            try shortcuts(
                """
                pass in final from 192.0.2.0/24 to any port 80
                pass in final from 10.0.0.0/8 to 192.0.2.1
                pass in final proto tcp to 198.51.100.0/24
                pass in final proto udp all
                pass in final proto { udp, icmp } from 192.0.2.9
                pass in proto tcp to any port 80 apply "p"
                """)
                == [
                    "inbound \(valid) meta l4proto 6 ip saddr != 10.0.0.0/8 ip daddr != 198.51.100.0/24 th dport != 80 ",
                    "inbound_flow \(passed) ip saddr != 10.0.0.0/8 ip daddr != 198.51.100.0/24 th dport != 80 ",
                ])
        // So many networks are not held twice.
        func block(_ networks: Int) -> String {
            let list = (0..<networks).map { "10.\($0 / 128).\($0 % 128 * 2).0/24" }.joined(separator: ", ")
            return "pass all\nblock in from { \(list) }\nblock in to any port { 1, 3 }\nblock in from 192.0.2.1"
        }
        #expect(try shortcuts(block(1_000)).count == 1 && shortcuts(block(1_100)).isEmpty)
        // Where there are few rules, and where one is about everything.
        #expect(try shortcuts("pass all").isEmpty)
        #expect(try shortcuts((1...9).map { "pass in final on eth\($0) all" }.joined(separator: "\n")).isEmpty)
    }

    /// Downloads go past nothing but the rules about flows that have passed.
    @Test func passedFlowsAreAskedForFirst() throws {
        func first(_ rules: String) throws -> [String] {
            let plan = try Self.plan("procedure \"p\" { lua: call f }\ngroup default {\n\(rules)\n}\n")
            let flow = try Self.rules(plan.nftables).filter { $0.hasPrefix("inbound_flow ip hdrlength 5 ") }
            return flow.compactMap { rule in
                guard let start = rule.firstRange(of: "meta l4proto"), rule.contains("accept") else { return nil }
                return String(rule[start.lowerBound...])
            }
        }
        let isPassed = "ct mark & 3221225472 == 2147483648 tcp flags & 2 == 0 counter accept"
        #expect(
            try first("pass in proto tcp from any port 22 apply \"p\"\npass in from any port 53 apply \"p\"")
                == [
                    "meta l4proto 6 th sport 53 \(isPassed) comment \"npf.conf:4\"",
                    "meta l4proto 6 th sport 22 \(isPassed) comment \"npf.conf:3\"",
                ])
        // The other rule may be about the same segments.
        #expect(try first("pass in from any port 22 apply \"p\"\nblock in to any port 80").isEmpty)
    }

    @Test(arguments: [
        ("\t\tiifname != \"lo\" counter packets 21 bytes 1249 queue flags bypass to 2014\n", 2014...2014),
        (
            "\t\tct state invalid counter packets 0 bytes 0\n\t\tiifname != \"lo\" counter packets 0 bytes 0 queue to 7",
            7...7
        ),
        ("-N npflua-in\n-A npflua-in ! -i lo -j NFQUEUE --queue-num 65535 --queue-bypass\n", 65535...65535),
        ("\t\tcounter packets 0 bytes 0 queue flags bypass to symhash mod 4 offset 2014\n", 2014...2017),
        (
            "\t\tcounter packets 0 bytes 0 queue to 5 comment \"x\"\n\t\tcounter packets 0 bytes 0 queue to symhash mod 4 offset 5\n",
            5...8
        ),
        ("\t\tcounter packets 0 bytes 0 queue to symhash mod 4\n", 0...3),
        ("\t\tcounter packets 0 bytes 0 queue to symhash mod 4 offset 65533\n", nil),
        ("-A npflua-in ! -i lo -j NFQUEUE --queue-balance 2014:2017 --queue-bypass\n", 2014...2017),
        ("-A npflua-in ! -i lo -j NFQUEUE --queue-balance 2017:2014 --queue-bypass\n", nil),
        ("-N npflua-in\n", nil), ("table inet npflua {\n}\n", nil), ("", nil),
    ])
    func queuesAreReadFromAListing(_ listing: String, _ queues: ClosedRange<UInt16>?) {
        #expect(KernelPlan.queues(inListing: listing) == queues)
    }
}

private let runsLive = unsafe getenv("NPFLUA_SKIP_LIVE").map { unsafe String(cString: $0) } != "1"

@Suite(.enabled(if: runsLive, "NPFLUA_SKIP_LIVE=1"))
struct LiveKernelPlanTests {
    private struct Failed: Error {
        let what: String
    }

    /// Runs `body` in a thread and a network namespace of its own.
    private func inNewNamespace<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        nonisolated(unsafe) var result: Swift.Result<Result, any Error>?
        try WorkerThread(name: "live test") {
            unsafe result = Swift.Result {
                try NetworkNamespace.enterNew()
                return try body()
            }
        }.join()
        return try unsafe result!.get()
    }

    private static func run(_ arguments: [String], _ input: String = "") throws -> String {
        let result = try Command.run(arguments, input: Array(input.utf8))
        guard result.status == 0 else { throw Failed(what: "\(arguments): \(result.errorOutput)") }
        return result.output
    }

    @Test func nftLoadsTheIdleTextAndRemovesTheTable() throws {
        let (idle, updated, removed) = try inNewNamespace {
            func load(_ text: String) throws -> String {
                _ = try Self.run(["nft", "-f", "-"], text)
                return try Self.run(["nft", "list", "ruleset"])
            }
            _ = try load("add table inet other\nadd chain inet other keep\n")
            let idle = try load(KernelPlan.nftablesIdle)
            _ = try load("add rule inet npflua inbound counter\n")
            let updated = try load(KernelPlan.nftablesIdle)
            _ = try load(KernelPlan.nftablesRemoval)
            return (idle, updated, try load(KernelPlan.nftablesRemoval))
        }
        #expect(
            idle == """
                table inet other {
                	chain keep {
                	}
                }
                table inet npflua {
                	chain inbound {
                		type filter hook prerouting priority dstnat + 10; policy accept;
                	}

                	chain outbound {
                		type filter hook postrouting priority mangle; policy accept;
                	}

                	chain inbound_flow {
                	}

                	chain outbound_flow {
                	}

                	chain marked {
                	}

                	chain decided {
                	}

                	chain opened {
                	}

                	chain payloadless {
                	}
                }

                """)
        #expect(updated == idle, "emptied")
        #expect(removed == "table inet other {\n\tchain keep {\n\t}\n}\n")
    }

    /// What nft compiles the rules to; the kernel itself may lack the queue expression.
    @Test func nftUnderstandsTheRules() throws {
        let cases: [(queues: ClosedRange<UInt16>, failOpen: Bool, expression: String)] = [
            (2014...2014, true, "[ queue num 2014 bypass ]"), (2014...2014, false, "[ queue num 2014 ]"),
            (2014...2015, true, "[ queue sreg_qnum 1 bypass ]"), (2014...2015, false, "[ queue sreg_qnum 1 ]"),
        ]
        for (queues, failOpen, expression) in cases {
            let (code, errors) = try inNewNamespace {
                _ = try Self.run(["nft", "-f", "-"], KernelPlan.nftablesIdle)
                let plan = KernelPlan(queues: queues, failOpen: failOpen)
                let rules = plan.nftables.dropFirst(KernelPlan.nftablesIdle.count)
                let result = try Command.run(["nft", "--debug=netlink", "-c", "-f", "-"], input: Array(rules.utf8))
                return (result.output, result.errorOutput)
            }
            #expect(code.split(separator: "\n").count { $0.contains(expression) } == 2, "\(errors)")
            #expect(!errors.contains("syntax error"), "\(errors)")
        }
    }

    /// nft finds nothing wrong with rules that say all there is to say; the kernel may lack what they need.
    @Test(arguments: [Configuration.Family.inet4, .inet6])
    func nftUnderstandsEveryCriterion(_ family: Configuration.Family) throws {
        let (network, icmp) = family == .inet4 ? ("192.0.2.0/24", "icmp") : ("2001:db8::/32", "ipv6-icmp")
        let text = """
            procedure "p" { lua: call f, payload }
            procedure "q" { lua: call g }
            group default {
            pass all
            pass in proto tcp from \(network) port { 22, 2222 } apply "p"
            pass in from any to ! \(network) port 53 apply "p"
            pass out proto udp to \(network) port 5000-5010 apply "q"
            pass in on eth0 proto tcp flags S/SA to any port 80
            block in proto \(icmp) icmp-type 3 code 4 from \(network)
            }

            """
        let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
        let plan = KernelPlan(
            compiling: configuration, marks: configuration.flowMarks, queues: 7...8, failOpen: false)
        let rules = plan.nftables.dropFirst(KernelPlan.nftablesIdle.count)
        let result = try inNewNamespace {
            _ = try Self.run(["nft", "-f", "-"], KernelPlan.nftablesIdle)
            return try Command.run(["nft", "-c", "-f", "-"], input: Array(rules.utf8))
        }
        let errors = result.errorOutput.split(separator: "\n").filter { $0.contains("Error:") }
        #expect(errors.allSatisfy { $0.contains("Could not process rule") }, "\(result.errorOutput)")
    }

    @Test func thereIsRoomForAsManyScriptsAsMarksHaveValues() throws {
        let scripts = 1...254
        let procedures = scripts.map { "procedure \"p\($0)\" { lua: call f }" }
        let rules = scripts.map { "pass in proto tcp to any port \($0) apply \"p\($0)\"" }
        let text = """
            set flow.mark 0xff000000
            \(procedures.joined(separator: "\n"))
            group default {
            \(rules.joined(separator: "\n"))
            }

            """
        let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
        let plan = KernelPlan(
            compiling: configuration, marks: configuration.flowMarks, queues: 7...7, failOpen: false)
        #expect(plan.marks?.values.count == 255)
        try inNewNamespace {
            for (program, family) in [("iptables-restore", Configuration.Family.inet4), ("ip6tables-restore", .inet6)] {
                _ = try Self.run([program] + KernelPlan.iptablesRestoreArguments, plan.iptablesRestore(family))
            }
        }
        // A rule of nftables has room for 128 expressions (NFT_RULE_MAXEXPRS), of which each takes some words.
        #expect(plan.nftables.split(separator: "\n").allSatisfy { $0.split(separator: " ").count < 128 })
    }

    /// However much a shortcut's program would have to say.
    @Test func iptablesTakesShortcutsOfEverySize() throws {
        let lists: [@Sendable (Int) -> String] = [
            { "203.0.113.\($0 * 2)" }, { "203.0.\($0 * 2).0/24" }, { "2001:db8:\($0):1::/64" },
            { "\($0 + 4000):\($0 * 2):ffff::/48" },
        ]
        try inNewNamespace {
            for (index, element) in lists.enumerated() {
                for count in [10, 24, 25, 26, 27, 28, 40, 48, 49, 50, 52, 53, 54, 60] {
                    let elements = (0..<count).map(element).joined(separator: ", ")
                    let text =
                        "group default {\npass all\npass out to any port 1\nblock in final from { \(elements) }\n"
                        + "block in final to any port 7\nblock in final to any port 9\n}\n"
                    let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
                    let plan = KernelPlan(compiling: configuration, queues: 7...7, failOpen: false)
                    let (program, family) =
                        index < 2
                        ? ("iptables-restore", Configuration.Family.inet4) : ("ip6tables-restore", .inet6)
                    _ = try Self.run([program] + KernelPlan.iptablesRestoreArguments, plan.iptablesRestore(family))
                }
            }
        }
    }

    @Test(arguments: ["iptables", "ip6tables"])
    func iptablesInstallsAndRemovesWithoutTouchingOtherRules(_ iptables: String) throws {
        let (before, installed, again, idle, removed) = try inNewNamespace {
            func restore(_ text: String) throws {
                _ = try Self.run(["\(iptables)-restore"] + KernelPlan.iptablesRestoreArguments, text)
            }
            func rules() throws -> [String] {
                try Self.run(["\(iptables)-save"]).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
            }
            func listing() throws -> IptablesListing {
                try IptablesListing(Self.run(["\(iptables)-save"] + KernelPlan.iptablesSaveArguments))
            }
            func install(_ plan: KernelPlan) throws -> [String] {
                try restore(plan.iptablesRestore(iptables == "iptables" ? .inet4 : .inet6, over: listing()))
                guard try listing().isComplete else { throw Failed(what: "something is missing") }
                return try rules()
            }
            func remove() throws -> [String] {
                try restore(KernelPlan.iptablesIdle)
                try restore(KernelPlan.iptablesRemoval(of: listing()))
                return try rules()
            }

            for arguments in [
                ["-t", "mangle", "-A", "PREROUTING", "-j", "MARK", "--set-mark", "1"],
                ["-t", "mangle", "-N", "mine"], ["-t", "mangle", "-A", "mine", "-j", "ACCEPT"],
                ["-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT"],
            ] {
                _ = try Self.run([iptables] + arguments)
            }
            let before = try rules()
            let installed = try install(KernelPlan(queues: 1...1, failOpen: true))
            let again = try install(KernelPlan(queues: 2...2, failOpen: false))
            try restore(KernelPlan.iptablesIdle)
            let idle = try rules()
            let removed = try remove()
            guard try remove() == removed else { throw Failed(what: "a second removal changes something") }
            return (before, installed, again, idle, removed)
        }
        let chains = Set(
            ["in", "in-flow", "out", "out-flow", "marked", "decided", "opened"].map { ":npflua-\($0) - [0:0]" })
        let jumps: Set = ["-A PREROUTING -j npflua-in", "-A POSTROUTING -j npflua-out"]
        func ours(_ rules: [String]) -> [String] { rules.filter { !before.contains($0) }.sorted() }
        #expect(
            ours(installed)
                == (chains.union(jumps).union([
                    "-A npflua-in -m conntrack --ctstate INVALID",
                    "-A npflua-out -m mark --mark 0x4e504600 -j RETURN",
                    "-A npflua-in -i lo -j RETURN", "-A npflua-out -o lo -j RETURN",
                    "-A npflua-in -m comment --comment npflua -j NFQUEUE --queue-num 1 --queue-bypass",
                    "-A npflua-out -m comment --comment npflua -j NFQUEUE --queue-num 1 --queue-bypass",
                ])).sorted())
        #expect(
            ours(again)
                == (chains.union(jumps).union([
                    "-A npflua-in -m conntrack --ctstate INVALID",
                    "-A npflua-out -m mark --mark 0x4e504600 -j RETURN",
                    "-A npflua-in -i lo -j RETURN", "-A npflua-out -o lo -j RETURN",
                    "-A npflua-in -m comment --comment npflua -j NFQUEUE --queue-num 2",
                    "-A npflua-out -m comment --comment npflua -j NFQUEUE --queue-num 2",
                ])).sorted())
        #expect(ours(idle) == chains.union(jumps).sorted())
        #expect(removed == before)
    }
}
