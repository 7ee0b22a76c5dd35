import ControlProtocol
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    @Suite struct BannerTests {
        @Test func bannerOfTheVulnerableServerNeverArrives() throws {
            let network = try Network()
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            try network.serve(banner: "SSH-2.0-OpenSSH_9.7", port: 2222)
            let firewall = try Firewall(
                network, scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])

            for address in [Network.server4, Network.server6] {
                #expect(try network.ask(address, port: 22) == "", "\(address)")
                #expect(try network.ask(address, port: 2222) == "SSH-2.0-OpenSSH_9.7", "\(address)")
            }
            let rule = try firewall.rule("pass in")
            #expect(rule.blocks > 0)
            #expect(rule.errors == 0)
        }

        @Test func reloadWithAnEditedScriptChangesTheAnswer() throws {
            let network = try Network()
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 22)
            let firewall = try Firewall(
                network, scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])
            let process = firewall.processID
            #expect(try network.ask(Network.server4, port: 22) == "")
            try network.write(Firewall.bannerScript(blocking: "OpenSSH_9.7"), to: "npf/filter.lua")
            #expect(try firewall.npfctl("reload").status == 0)
            #expect(try network.ask(Network.server4, port: 22) == "SSH-2.0-OpenSSH_6.4")
            #expect(try network.ask(Network.server6, port: 22) == "SSH-2.0-OpenSSH_6.4")
            #expect(firewall.processID == process)
            #expect(firewall.wait(seconds: 0) == nil)
        }

        @Test func installedDefaultsBlockTheVulnerableServerAndPassTheRest() throws {
            let network = try Network()
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4 Debian", port: 22)
            try network.serve(banner: "SSH-2.0-OpenSSH_6.4", port: 2222)
            let etc = String(#filePath.dropLast("Tests/EndToEnd/BannerTests.swift".count)) + "etc"
            func text(_ file: String) throws -> String {
                String(decoding: try Data(contentsOf: URL(filePath: "\(etc)/\(file)")), as: UTF8.self)
            }
            _ = try Firewall(network, rules: text("npf.conf"), scripts: ["filter.lua": text("npf/filter.lua")])
            #expect(try network.ask(Network.server4, port: 22) == "")
            #expect(try network.ask(Network.server6, port: 22) == "")
            #expect(try network.ask(Network.server4, port: 2222) == "SSH-2.0-OpenSSH_6.4")
        }

        @Test func realServerBehindTheFirewallWorks() throws {
            let network = try Network()
            for key in ["host", "user"] {
                let made = try Command.run([
                    "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(network.folder)/\(key)",
                ])
                try #require(made.status == 0, "\(made.errorOutput)")
            }
            try network.write(try network.read("user.pub"), to: "authorized_keys")
            _ = try Command.run(["mkdir", "-p", "/run/sshd"])
            try network.write(
                """
                HostKey \(network.folder)/host
                AuthorizedKeysFile \(network.folder)/authorized_keys
                PidFile none
                StrictModes no
                PermitRootLogin yes
                UsePAM no

                """, to: "sshd_config")
            let server = try network.start(
                on: .server, "/usr/sbin/sshd", "-D", "-e", "-f", "\(network.folder)/sshd_config")
            try waitFor(until: { try network.listens(.server, "tcp", 22, count: 2) }, "sshd: \(server.errorOutput)")
            let firewall = try Firewall(
                network, scripts: ["filter.lua": Firewall.bannerScript(blocking: "OpenSSH_6.4")])

            for address in [Network.server4, Network.server6] {
                let result = try network.run(
                    on: .client, "ssh", "-i", "\(network.folder)/user", "-o", "BatchMode=yes",
                    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10",
                    "-o", "LogLevel=ERROR", "root@\(address)", "head -c 3000000 /dev/zero | wc -c")
                #expect(result.output == "3000000\n", "\(address): \(result.errorOutput) \(firewall.log)")
            }
        }
    }
}

/// The tests on real packets, one after the other: they share the machine's processors.
@Suite(.serialized, .enabled(if: Live.isWanted, "NPFLUA_SKIP_LIVE=1 leaves the live tests out"))
enum LiveTests {}
