import ControlProtocol
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    @Suite struct FailureTests {
        @Test(arguments: ["closed", "open"])
        func killedDaemonLeavesTrafficAsSetFailSaysAndARestartHeals(_ fail: String) throws {
            let network = try Network()
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            try network.serve(banner: "hello", port: 80)
            let firewall = try Firewall(
                network, rules: "set fail \(fail)\n" + Firewall.rules,
                scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            #expect(try network.ask(Network.server4, port: 80) == "hello")
            firewall.signal(SIGKILL)
            #expect(firewall.wait() == 128 + SIGKILL)
            for address in [Network.server4, Network.server6] {
                #expect(
                    try network.ask(address, port: 80, seconds: fail == "open" ? 5 : 1)
                        == (fail == "open" ? "hello" : ""), "\(address)")
            }
            if fail == "open" {
                let clean = try network.run(on: .firewall, "\(Firewall.programs)/npfluad", "--remove-rules")
                #expect(clean.status == 0, "\(clean.errorOutput)")
                #expect(try !firewall.kernelRules().contains("npflua"))
            }
            try firewall.start()
            for address in [Network.server4, Network.server6] {
                #expect(try network.ask(address, port: 80) == "hello")
                #expect(try network.ask(address, port: 22) == "")
            }
            firewall.signal(SIGTERM)
            #expect(firewall.wait() == 0)
            #expect(try !firewall.kernelRules().contains("npflua"))
        }

        /// Its own queues for segments are then some that the rules name.
        @Test func killedDaemonComesBackWithFewerWorkers() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            let firewall = try Firewall(
                network, rules: "set queue.workers 2\n" + Firewall.rules,
                scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            firewall.signal(SIGKILL)
            #expect(firewall.wait() == 128 + SIGKILL)
            try network.write("set queue.workers 1\n" + Firewall.rules, to: "npf.conf")
            try firewall.start()
            #expect(try network.ask(Network.server4, port: 22) == "")
            #expect(try firewall.counter("calls") > 0)
        }

        @Test func secondDaemonOnAQueueSaysWhyItWillNotStart() throws {
            let network = try Network()
            let firewall = try Firewall(
                network, scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            let before = try firewall.kernelRules()
            let other = "\(network.folder)/other.sock"
            var command = firewall.command
            command[command.count - 1] = other
            let second = try network.run(on: .firewall, command)
            #expect(second.status == 1)
            #expect(second.errorOutput.contains("queue 2014 is already taken"), "\(second.errorOutput)")
            #expect(second.errorOutput.contains("queue.number"), "\(second.errorOutput)")
            #expect(second.errorOutput.split(separator: "\n").count == 1, "\(second.errorOutput)")
            // It has touched nothing of the first one's.
            #expect(try stripCounters(firewall.kernelRules()) == stripCounters(before))

            let same = try network.run(on: .firewall, firewall.command)
            #expect(same.status == 1)
            #expect(same.errorOutput.contains(firewall.socket), "\(same.errorOutput)")
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            #expect(try network.ask(Network.server4, port: 22) == "")
        }

        @Test func daemonOnAnotherQueueDoesNotTouchTheFirstOnesRules() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            let other = try network.write("set queue.number 2015\n" + Firewall.rules, to: "other.conf")
            let before = try stripCounters(firewall.kernelRules())
            let second = try network.run(
                on: .firewall, "\(Firewall.programs)/npfluad", "--config", other, "--scripts", firewall.scriptFolder,
                "--socket", "\(network.folder)/other.sock")
            #expect(second.status == 1)
            #expect(second.errorOutput.contains("another npfluad, on queue 2014"), "\(second.errorOutput)")
            let remove = try network.run(on: .firewall, "\(Firewall.programs)/npfluad", "--remove-rules")
            #expect(remove.status == 1)
            #expect(remove.errorOutput.contains("a daemon that runs uses these rules"), "\(remove.errorOutput)")
            #expect(try stripCounters(firewall.kernelRules()) == before)
        }

        /// However whoever starts the daemon treats the ends of children.
        @Test(arguments: ["", "trap '' CHLD; "])
        func startThatFailsHalfWayEndsAndLeavesNoRules(_ shell: String) throws {
            let network = try Network(ipv6: false)
            try network.write("group default { pass all }\n", to: "npf.conf")
            // iptables works here, ip6tables and nft do not.
            for program in ["nft", "ip6tables", "ip6tables-restore"] {
                let path = try network.write("#!/bin/sh\nexit 1\n", to: "bin/\(program)")
                #expect(unsafe chmod(path, 0o755) == 0)
            }
            let result = try network.run(
                on: .firewall, "bash", "-c",
                "\(shell)PATH='\(network.folder)/bin':$PATH exec '\(Firewall.programs)/npfluad' "
                    + "--config '\(network.folder)/npf.conf' --scripts '\(network.folder)' --socket '\(network.folder)/control.sock'",
                seconds: 20)
            #expect(result.status == 1, "\(result)")
            #expect(result.errorOutput.contains("cannot install the kernel rules"), "\(result.errorOutput)")
            #expect(try !network.run(on: .firewall, "iptables-save").output.contains("NFQUEUE"))
        }

        @Test func reloadHealsKernelRulesThatSomebodyHasFlushed() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            let firewall = try Firewall(
                network, scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            try network.run(on: .firewall, "iptables", "-t", "mangle", "-F", "PREROUTING")
            #expect(try network.ask(Network.server4, port: 22) == "SSH-2.0-OpenSSH_6.4")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try network.ask(Network.server4, port: 22, seconds: 1) == "")
        }

        /// Right after a start, and right after a reload that has changed the rules.
        @Test(
            arguments: [
                "-F npflua-in", "-I npflua-in -j RETURN", "-D PREROUTING -j npflua-in", "-D npflua-in 4",
                "-R npflua-in 4 -j RETURN", "-A PREROUTING -j npflua-in",
            ], [false, true])
        func reloadHealsKernelRulesThatSomebodyHasChanged(_ change: String, _ hasReloaded: Bool) throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            if hasReloaded {
                // Another line for each rule, which the kernel's rules name.
                try network.write("\n" + Firewall.rules, to: "npf.conf")
                #expect(try firewall.npfctl("reload").status == 0)
            }
            let before = try stripCounters(firewall.kernelRules())
            try network.run(
                on: .firewall, ["iptables", "-t", "mangle"] + change.split(separator: " ").map(String.init))
            #expect(try stripCounters(firewall.kernelRules()) != before)
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try stripCounters(firewall.kernelRules()) == before)
        }

        @Test func nothingIsDoneOverRulesThatCannotBeListed() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(network, rules: "group default {\npass all\n}\n")
            let before = try stripCounters(firewall.kernelRules())
            let path = try network.write("#!/bin/sh\nexit 1\n", to: "bin/iptables-save")
            #expect(unsafe chmod(path, 0o755) == 0)
            try network.write("group default {\nblock all\n}\n", to: "npf.conf")
            let reloaded = try firewall.npfctl("reload")
            #expect(reloaded.status == 1 && reloaded.errorOutput.contains("iptables-save"), "\(reloaded)")
            #expect(try stripCounters(firewall.kernelRules()) == before, "no second jump, and the old rules")
            try FileManager.default.removeItem(atPath: path)
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try firewall.kernel().items.contains { $0.text == "block all" })
        }

        @Test func kernelFollowsDynamicRulesOnceItsProgramsWork() throws {
            let network = try Network(ipv6: false)
            let firewall = try Firewall(
                network, rules: "group \"ban\" { ruleset \"ban\" }\ngroup default {\npass all\n}\n")
            // Nobody listens there, and the server's ICMP errors would be counted as well.
            try network.run(on: .server, "iptables", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP")
            try network.sendLines(2, to: 5001)
            #expect(try firewall.npfctl("reload").status == 0)
            try network.sendLines(3, to: 5001)
            #expect(try firewall.counter("passed") == 10)

            let programs = ["iptables-restore", "ip6tables-restore"]
            for program in programs {
                let path = try network.write("#!/bin/sh\necho broken >&2\nexit 1\n", to: "bin/\(program)")
                #expect(unsafe chmod(path, 0o755) == 0)
            }
            let rule = ["block", "in", "final", "proto", "udp", "to", "any", "port", "5001"]
            let added = try firewall.npfctl(["rule", "ban", "add"] + rule)
            #expect(added.status == 1 && added.errorOutput.contains("iptables-restore: broken"), "\(added)")
            func follows() throws -> Bool { try firewall.kernel().items.contains { $0.text == "ruleset \"ban\"" } }
            #expect(try !follows())
            for program in programs { try FileManager.default.removeItem(atPath: "\(network.folder)/bin/\(program)") }
            try waitFor(until: follows, "the kernel")
            try network.sendLines(1, to: 5001)
            try waitFor(until: { try firewall.counter("ruleset block") == 1 }, "the datagram")
            #expect(try firewall.counter("passed") == 10, "nothing is counted twice")
        }

        @Test func checkRefusesQueuesBeyondTheLast() throws {
            let network = try Network(ipv6: false)
            // Two for each worker.
            for (number, status) in [(65_532, 0), (65_533, 1), (65_535, 1)] as [(Int, Int32)] {
                let rules = try network.write(
                    "set queue.number \(number); set queue.workers 2\ngroup default { pass all }\n", to: "npf.conf")
                let result = try network.run(
                    on: .firewall, "\(Firewall.programs)/npfluad", "--check", "--config", rules, "--scripts",
                    network.folder)
                #expect(result.status == status, "\(number): \(result)")
                #expect(result.errorOutput.contains("queue.number") == (status == 1), "\(number): \(result)")
            }
        }

        /// iptables-save's comments hold the time, and its counters count.
        private func stripCounters(_ rules: String) -> [Substring] {
            rules.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
                line.hasPrefix(":") ? line.prefix(while: { $0 != "[" }) : line
            }.map { $0.contains("packets") ? $0.prefix(while: { $0 != "p" }) : $0 }
        }

        @Test func missingCapabilityIsExplained() throws {
            let network = try Network()
            try network.write(Firewall.rules, to: "npf.conf")
            try network.write("function filter(pkt) end", to: "npf/filter.lua")
            let result = try network.run(
                on: .firewall, "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin",
                "\(Firewall.programs)/npfluad", "--config", "\(network.folder)/npf.conf", "--scripts",
                "\(network.folder)/npf", "--socket", "\(network.folder)/control.sock")
            #expect(result.status == 1)
            #expect(result.errorOutput.contains("CAP_NET_ADMIN"), "\(result.errorOutput)")
            #expect(result.errorOutput.split(separator: "\n").count == 1, "\(result.errorOutput)")
        }

        @Test(arguments: [SIGTERM, SIGINT])
        func orderlyEndLeavesNothingBehind(_ signal: Int32) throws {
            let network = try Network()
            try network.run(
                on: .firewall, "iptables", "-t", "mangle", "-A", "PREROUTING", "-m", "comment", "--comment", "theirs",
                "-j", "ACCEPT")
            try network.run(on: .firewall, "iptables", "-A", "FORWARD", "-p", "tcp", "--dport", "4444", "-j", "DROP")
            try network.run(on: .firewall, "ip6tables", "-t", "mangle", "-A", "POSTROUTING", "-j", "ACCEPT")
            func saved() throws -> [Substring] {
                try ["iptables-save", "ip6tables-save"].flatMap {
                    stripCounters(try network.run(on: .firewall, $0).output)
                }
            }
            let before = try saved()
            let firewall = try Firewall(
                network, scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            #expect(try saved() != before)
            // Their rules that accept come after ours.
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            #expect(try network.ask(Network.server4, port: 22, seconds: 1) == "")
            firewall.signal(signal)
            #expect(firewall.wait() == 0)
            #expect(try saved() == before)
            #expect(try !firewall.kernelRules().contains("npflua"))
            #expect(unsafe access(firewall.socket, F_OK) != 0, "the control socket is left")
        }
    }
}
