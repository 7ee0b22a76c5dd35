import Glibc
import KernelPlan
import SystemSupport
import Testing

@Suite struct KernelPlanTextTests {
    @Test func nftablesIsOneTransactionThatKeepsTheChains() {
        let skeleton = """
            add table inet npflua
            add chain inet npflua inbound { type filter hook prerouting priority mangle; policy accept; }
            add chain inet npflua outbound { type filter hook postrouting priority mangle; policy accept; }
            flush chain inet npflua inbound
            flush chain inet npflua outbound

            """
        #expect(
            KernelPlan(queues: 2014...2014, failOpen: true).nftables == skeleton + """
                add rule inet npflua inbound ct state invalid counter
                add rule inet npflua outbound meta mark 1313883648 counter accept
                add rule inet npflua inbound iifname != "lo" counter queue flags bypass to 2014
                add rule inet npflua outbound oifname != "lo" counter queue flags bypass to 2014

                """)
        #expect(
            KernelPlan(queues: 0...0, failOpen: false).nftables == skeleton + """
                add rule inet npflua inbound ct state invalid counter
                add rule inet npflua outbound meta mark 1313883648 counter accept
                add rule inet npflua inbound iifname != "lo" counter queue to 0
                add rule inet npflua outbound oifname != "lo" counter queue to 0

                """)
        #expect(KernelPlan.nftablesIdle == skeleton)
        #expect(KernelPlan.nftablesRemoval == "add table inet npflua\ndelete table inet npflua\n")
    }

    @Test(arguments: [
        ("\t\tiifname != \"lo\" counter packets 21 bytes 1249 queue flags bypass to 2014\n", 2014...2014),
        (
            "\t\tct state invalid counter packets 0 bytes 0\n\t\tiifname != \"lo\" counter packets 0 bytes 0 queue to 7",
            7...7
        ),
        ("-N npflua-in\n-A npflua-in ! -i lo -j NFQUEUE --queue-num 65535 --queue-bypass\n", 65535...65535),
        ("\t\tcounter packets 0 bytes 0 queue flags bypass to symhash mod 4 offset 2014\n", 2014...2017),
        ("\t\tcounter packets 0 bytes 0 queue to symhash mod 4\n", 0...3),
        ("\t\tcounter packets 0 bytes 0 queue to symhash mod 4 offset 65533\n", nil),
        ("-A npflua-in ! -i lo -j NFQUEUE --queue-balance 2014:2017 --queue-bypass\n", 2014...2017),
        ("-A npflua-in ! -i lo -j NFQUEUE --queue-balance 2017:2014 --queue-bypass\n", nil),
        ("-N npflua-in\n", nil), ("table inet npflua {\n}\n", nil), ("", nil),
    ])
    func queuesAreReadFromAListing(_ listing: String, _ queues: ClosedRange<UInt16>?) {
        #expect(KernelPlan.queues(inListing: listing) == queues)
    }

    @Test func severalQueuesShareTheFlows() {
        let plan = KernelPlan(queues: 2014...2017, failOpen: false)
        #expect(plan.nftables.contains("inbound iifname != \"lo\" counter queue to symhash mod 4 offset 2014\n"))
        #expect(plan.nftables.contains("outbound oifname != \"lo\" counter queue to symhash mod 4 offset 2014\n"))
        #expect(plan.iptablesRestore.contains("-A npflua-in ! -i lo -j NFQUEUE --queue-balance 2014:2017\n"))
        let open = KernelPlan(queues: 0...1, failOpen: true)
        #expect(open.nftables.contains(" counter queue flags bypass to symhash mod 2 offset 0\n"))
        #expect(open.iptablesRestore.contains("-A npflua-out ! -o lo -j NFQUEUE --queue-balance 0:1 --queue-bypass\n"))
    }

    @Test func iptablesFillsItsOwnChainsAnew() {
        #expect(
            KernelPlan(queues: 2014...2014, failOpen: true).iptablesRestore == """
                *mangle
                :npflua-in - [0:0]
                :npflua-out - [0:0]
                -A npflua-in -m conntrack --ctstate INVALID
                -A npflua-out -m mark --mark 1313883648 -j RETURN
                -A npflua-in ! -i lo -j NFQUEUE --queue-num 2014 --queue-bypass
                -A npflua-out ! -o lo -j NFQUEUE --queue-num 2014 --queue-bypass
                COMMIT

                """)
        #expect(
            KernelPlan(queues: 7...7, failOpen: false).iptablesRestore == """
                *mangle
                :npflua-in - [0:0]
                :npflua-out - [0:0]
                -A npflua-in -m conntrack --ctstate INVALID
                -A npflua-out -m mark --mark 1313883648 -j RETURN
                -A npflua-in ! -i lo -j NFQUEUE --queue-num 7
                -A npflua-out ! -o lo -j NFQUEUE --queue-num 7
                COMMIT

                """)
        #expect(
            KernelPlan.iptablesJumps.map(\.check) == [
                ["-w", "-t", "mangle", "-C", "PREROUTING", "-j", "npflua-in"],
                ["-w", "-t", "mangle", "-C", "POSTROUTING", "-j", "npflua-out"],
            ])
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
                		type filter hook prerouting priority mangle; policy accept;
                	}

                	chain outbound {
                		type filter hook postrouting priority mangle; policy accept;
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

    @Test(arguments: ["iptables", "ip6tables"])
    func iptablesInstallsAndRemovesWithoutTouchingOtherRules(_ iptables: String) throws {
        let (before, installed, again, idle, removed) = try inNewNamespace {
            func restore(_ text: String) throws {
                _ = try Self.run(["\(iptables)-restore"] + KernelPlan.iptablesRestoreArguments, text)
            }
            func rules() throws -> [String] {
                try Self.run(["\(iptables)-save"]).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
            }
            func has(_ jump: IptablesJump) throws -> Bool { try Command.run([iptables] + jump.check).status == 0 }
            func install(_ plan: KernelPlan) throws -> [String] {
                try restore(plan.iptablesRestore)
                for jump in KernelPlan.iptablesJumps where try !has(jump) { _ = try Self.run([iptables] + jump.add) }
                return try rules()
            }
            func remove() throws -> [String] {
                try restore(KernelPlan.iptablesIdle)
                for jump in KernelPlan.iptablesJumps {
                    while try has(jump) { _ = try Self.run([iptables] + jump.delete) }
                }
                try restore(KernelPlan.iptablesRemoval)
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
        let chains: Set = [":npflua-in - [0:0]", ":npflua-out - [0:0]"]
        let jumps: Set = ["-A PREROUTING -j npflua-in", "-A POSTROUTING -j npflua-out"]
        func ours(_ rules: [String]) -> [String] { rules.filter { !before.contains($0) }.sorted() }
        #expect(
            ours(installed)
                == (chains.union(jumps).union([
                    "-A npflua-in -m conntrack --ctstate INVALID",
                    "-A npflua-out -m mark --mark 0x4e504600 -j RETURN",
                    "-A npflua-in ! -i lo -j NFQUEUE --queue-num 1 --queue-bypass",
                    "-A npflua-out ! -o lo -j NFQUEUE --queue-num 1 --queue-bypass",
                ])).sorted())
        #expect(
            ours(again)
                == (chains.union(jumps).union([
                    "-A npflua-in -m conntrack --ctstate INVALID",
                    "-A npflua-out -m mark --mark 0x4e504600 -j RETURN",
                    "-A npflua-in ! -i lo -j NFQUEUE --queue-num 2",
                    "-A npflua-out ! -o lo -j NFQUEUE --queue-num 2",
                ])).sorted())
        #expect(ours(idle) == chains.union(jumps).sorted())
        #expect(removed == before)
    }
}
