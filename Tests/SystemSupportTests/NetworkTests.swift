import CAllocationCounter
import Glibc
import SystemSupport
import Testing

private let runsLive = unsafe getenv("NPFLUA_SKIP_LIVE").map { unsafe String(cString: $0) } != "1"

@Suite(.enabled(if: runsLive, "NPFLUA_SKIP_LIVE=1"))
struct LiveNetworkTests {
    private func inNewNamespace<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        try onThread {
            try NetworkNamespace.enterNew()
            try Self.run(["ip", "link", "set", "lo", "up"])
            return try body()
        }
    }

    /// Runs a command that has to succeed.
    private static func run(_ arguments: [String]) throws {
        let result = try Command.run(arguments)
        guard result.status == 0 else { throw Failed("\(arguments): \(result.errorOutput)") }
    }

    @Test func capabilitiesAreRead() throws {
        let status = String(decoding: try Descriptor(reading: "/proc/thread-self/status").readToEnd(), as: UTF8.self)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("CapEff:") })
        let set = try #require(UInt64(line.split(separator: "\t")[1], radix: 16))
        // Bits 12 and 13 of linux/capability.h.
        #expect(Capabilities.effective.netAdmin == (set & 0x1000 != 0))
        #expect(Capabilities.effective.netRaw == (set & 0x2000 != 0))
        #expect(set & 0x3000 == 0x3000, "these tests need root")
    }

    @Test func interfacesAreNamedWithoutAnAllocation() throws {
        let names = try inNewNamespace {
            try Self.run(["ip", "link", "add", "fifteen-letters", "type", "veth", "peer", "name", "v@0.7"])
            let before = allocation_count()
            let named = Interfaces.name(index: 1)
            let allocations = allocation_count() - before
            guard allocations == 0, named?.description == "lo" else { throw Failed("\(allocations) allocations") }
            let names = ["fifteen-letters", "v@0.7"].map { name in
                Interfaces.index(name: name).flatMap { Interfaces.name(index: $0) }?.description
            }
            return names + [Interfaces.name(index: 9999)?.description, Interfaces.index(name: "none").map { "\($0)" }]
        }
        #expect(names == ["fifteen-letters", "v@0.7", nil, nil])
    }

    @Test func changesOfInterfacesAreTold() throws {
        let changes = try inNewNamespace {
            let monitor = try LinkMonitor()
            var changes = [try monitor.drain()]
            for arguments in [
                ["ip", "link", "add", "left", "type", "veth", "peer", "name", "right"],
                ["ip", "link", "set", "left", "name", "other"],
                ["ip", "link", "del", "other"],
            ] {
                try Self.run(arguments)
                changes += [try monitor.drain(), try monitor.drain()]
            }
            return changes
        }
        #expect(changes == [false, true, false, true, false, true, false])
    }

    /// A UDP packet to port 4242 with its IP header, without checksums.
    private static func packet(version: Int) -> [UInt8] {
        let udp: [UInt8] = [0x10, 0x92, 0x10, 0x92, 0, 10, 0, 0, 0x68, 0x69]
        if version == 4 {
            return [0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1] + udp
        }
        let loopback = [UInt8](repeating: 0, count: 15) + [1]
        // IPv6 wants a UDP checksum: of the pseudo-header and the above.
        var segment = udp
        let sum = 1 + 1 + 10 + 17 + 0x1092 * 2 + 10 + 0x6869
        let checksum = ~UInt16(truncatingIfNeeded: (sum & 0xffff) + (sum >> 16))
        (segment[6], segment[7]) = (UInt8(checksum >> 8), UInt8(checksum & 0xff))
        return [0x60, 0, 0, 0, 0, 10, 17, 64] + loopback + loopback + segment
    }

    @Test func rawPacketsOfBothFamiliesArriveWithTheirMark() throws {
        let counts = try inNewNamespace {
            for iptables in ["iptables", "ip6tables"] {
                try Self.run([
                    iptables, "-w", "-A", "INPUT", "-p", "udp", "--dport", "4242", "-m", "mark", "--mark", "0x77", "-j",
                    "DROP",
                ])
            }
            let raw = try RawSocket(mark: 0x77)
            let unmarked = try RawSocket()
            for version in [4, 6] {
                let packet = Self.packet(version: version)
                try unsafe packet.withUnsafeBytes { unsafe try raw.send($0) }
                try unsafe packet.withUnsafeBytes { unsafe try raw.send($0) }
                try unsafe packet.withUnsafeBytes { unsafe try unmarked.send($0) }
            }
            return try ["iptables", "ip6tables"].map { iptables in
                let listing = try Command.run([iptables, "-w", "-L", "INPUT", "-v", "-x", "-n"]).output
                return listing.split(separator: "\n").last?.split(separator: " ").first.map(String.init)
            }
        }
        #expect(counts == ["2", "2"])
    }

    @Test func whatIsNoPacketIsRefused() throws {
        let errors = try inNewNamespace {
            let raw = try RawSocket()
            return [
                [], [0x45], [UInt8](repeating: 0x45, count: 19), [UInt8](repeating: 0x60, count: 39),
                [UInt8](repeating: 0, count: 60),
            ].map { bytes in
                do throws(Errno) {
                    try unsafe bytes.span.withUnsafeBytes { bytes throws(Errno) in unsafe try raw.send(bytes) }
                    return "sent"
                } catch {
                    return error.name
                }
            }
        }
        #expect(errors == ["EINVAL", "EINVAL", "EINVAL", "EINVAL", "EINVAL"])
    }

    @Test func aNamedNamespaceIsEntered() throws {
        let name = "npflua-test-\(getpid())"
        #expect(try Command.run(["ip", "netns", "add", name]).status == 0)
        defer { _ = try? Command.run(["ip", "netns", "del", name]) }
        let (inside, outside) = try onThread {
            func links() throws -> Int { try Command.run(["ip", "-o", "link"]).output.split(separator: "\n").count }
            _ = try Command.run(["ip", "-n", name, "link", "add", "x", "type", "veth", "peer", "name", "npflua-y"])
            try NetworkNamespace.enter(named: name)
            return (Interfaces.index(name: "npflua-y") != nil, try links())
        }
        #expect(inside && outside >= 3)
        #expect(Interfaces.index(name: "npflua-y") == nil, "the other threads stay where they are")
        let error = #expect(throws: Errno.self) { try NetworkNamespace.enter(named: "no-such-namespace") }
        #expect(error == .noSuchEntry)
    }
}
