import FoundationEssentials
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    @Suite struct ServiceTests {
        /// A daemon, and what it tells the service manager.
        private struct Service {
            let network: Network
            let manager: Background
            let daemon: Background

            /// - Parameter watchdog: the manager's patience in microseconds.
            init(watchdog: Int) throws {
                network = try Network(ipv6: false)
                let path = "\(network.folder)/notify"
                manager = try network.start(on: .firewall, "socat", "-u", "UNIX-RECV:\(path)", "STDOUT")
                try waitFor(until: { unsafe access(path, F_OK) == 0 }, "the notify socket")
                try network.write("group default {\n\tpass all\n}\n", to: "npf.conf")
                daemon = try network.start(
                    on: .firewall, "env", "NOTIFY_SOCKET=\(path)", "WATCHDOG_USEC=\(watchdog)",
                    "PATH=\(network.folder)/bin:\(ProcessInfo.processInfo.environment["PATH"] ?? "")",
                    "\(Firewall.programs)/npfluad", "--config", "\(network.folder)/npf.conf", "--scripts",
                    network.folder, "--socket", "\(network.folder)/control.sock")
                let (manager, daemon) = (manager, daemon)
                try waitFor(until: { manager.output.contains("READY=1") }, "READY: \(daemon.errorOutput)")
            }

            /// How often it has told something.
            func count(_ words: String) -> Int {
                manager.output.split(separator: words, omittingEmptySubsequences: false).count - 1
            }

            func reload() throws {
                daemon.signal(SIGHUP)
                try waitFor(until: { count("RELOADING=1") > 0 }, "RELOADING")
                try waitFor(until: { count("READY=1") >= 2 }, "READY again")
            }
        }

        @Test func systemdIsToldAndTheWatchdogFed() throws {
            let service = try Service(watchdog: 300_000)
            let (manager, daemon) = (service.manager, service.daemon)
            #expect(manager.output.contains("STATUS=inspecting packets, 1 rules"), "\(manager.output)")
            try waitFor(until: { service.count("WATCHDOG=1") >= 5 }, "WATCHDOG: \(manager.output)")
            #expect(!manager.output.contains("RELOADING=1"))
            try service.reload()
            #expect(manager.output.contains("MONOTONIC_USEC="))
            daemon.signal(SIGTERM)
            #expect(daemon.wait() == 0)
            try waitFor(until: { service.count("STOPPING=1") > 0 }, "STOPPING")
        }

        /// The kernel's programs wait for each other's locks, and for as long the control thread waits for them.
        @Test func watchdogIsFedWhileTheKernelsProgramsTakeTheirTime() throws {
            let service = try Service(watchdog: 600_000)
            let slow = try service.network.write(
                "#!/bin/sh\nsleep 2\nexec /usr/sbin/iptables-save \"$@\"\n", to: "bin/iptables-save")
            #expect(unsafe chmod(slow, 0o755) == 0)
            let before = service.count("WATCHDOG=1")
            try service.reload()
            let feeds = service.count("WATCHDOG=1") - before
            #expect(feeds >= 8, "\(service.manager.output)")
            service.daemon.signal(SIGTERM)
            #expect(service.daemon.wait() == 0)
        }

        @Test func checkSaysWhatIsWrongAndTouchesNothing() throws {
            let network = try Network(ipv6: false)
            let npfluad = "\(Firewall.programs)/npfluad"
            let good = try network.write(Firewall.rules, to: "npf.conf")
            try network.write("function filter(hdr, pld) end", to: "filter.lua")
            let passed = try network.run(
                on: .firewall, npfluad, "--check", "--config", good, "--scripts", network.folder)
            #expect(passed.status == 0, "\(passed.errorOutput)")
            let bad = try network.write("group default {\n\tpass from 10.0.0.1/33\n}\n", to: "bad.conf")
            let refused = try network.run(
                on: .firewall, npfluad, "--check", "--config", bad, "--scripts", network.folder)
            #expect(refused.status == 1)
            #expect(refused.errorOutput.contains("\(bad):2:"), "\(refused.errorOutput)")
            #expect(try network.run(on: .firewall, npfluad, "--version").output.split(separator: ".").count == 3)
            #expect(try network.run(on: .firewall, npfluad, "--nonsense").status == 2)
        }

        @Test func installPutsEverythingBelowItsFoldersAndUninstallTakesItAway() throws {
            let root = String(#filePath.dropLast("Tests/EndToEnd/ServiceTests.swift".count))
            let destination = "/tmp/npflua-install-\(getpid())"
            defer { try? FileManager.default.removeItem(atPath: destination) }
            let make = [
                "make", "-C", root, "--no-print-directory", "-o", ".build/release/npfluad", "-o",
                ".build/release/npfctl", "DESTDIR=\(destination)", "PREFIX=/usr", "SYSCONFDIR=/etc",
                "UNITDIR=/lib/systemd/system",
            ]
            let installed = try Command.run(make + ["install"], timeoutMilliseconds: 60_000)
            #expect(installed.status == 0, "\(installed.errorOutput)")
            for file in [
                "usr/sbin/npfluad", "usr/sbin/npfctl", "usr/sbin/luactl", "etc/npf.conf", "etc/npf/filter.lua",
                "lib/systemd/system/npfluad.service", "usr/lib/sysusers.d/npflua.conf", "usr/share/man/man5/npf.conf.5",
                "usr/share/man/man8/npfctl.8", "usr/share/doc/npflua/README.md",
            ] {
                #expect(FileManager.default.fileExists(atPath: "\(destination)/\(file)"), "\(file)")
            }
            let unit = try Data(contentsOf: URL(filePath: "\(destination)/lib/systemd/system/npfluad.service"))
            #expect(
                String(decoding: unit, as: UTF8.self).contains("ExecStart=/usr/sbin/npfluad --config /etc/npf.conf "))
            let symbols = try Command.run(["nm", "\(destination)/usr/sbin/npfluad"])
            #expect(symbols.errorOutput.contains("no symbols"), "the installed program is not stripped")
            let linked = try Command.run(["ldd", "\(destination)/usr/sbin/npfluad"]).output
            #expect(!linked.contains("libswift") && !linked.contains("Foundation"), "\(linked)")

            // An edited configuration is the administrator's.
            try Data("group default { pass all }\n".utf8).write(to: URL(filePath: "\(destination)/etc/npf.conf"))
            #expect(try Command.run(make + ["install"], timeoutMilliseconds: 60_000).output.contains("kept:"))
            let removed = try Command.run(make + ["uninstall"], timeoutMilliseconds: 60_000)
            #expect(removed.status == 0, "\(removed.errorOutput)")
            let left = try Command.run(["find", destination, "!", "-type", "d"]).output
            #expect(left == "\(destination)/etc/npf.conf\n")
        }
    }
}
