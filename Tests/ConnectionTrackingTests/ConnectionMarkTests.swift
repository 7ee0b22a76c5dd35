import ConnectionTracking
import Glibc
import SystemSupport
import Testing

/// Live tests need root and the kernel's connection tracking; NPFLUA_SKIP_LIVE=1 skips them.
private let runsLive = unsafe getenv("NPFLUA_SKIP_LIVE").map { unsafe String(cString: $0) } != "1"

private struct Unexpected: Error {
    var what: String
}

/// Marks of real connections, in network namespaces of their own.
@Suite(.serialized, .enabled(if: runsLive, "NPFLUA_SKIP_LIVE=1"))
struct ConnectionMarkTests {
    private static let (mask, value, others): (UInt32, UInt32, UInt32) = (0xc000_0000, 0x8000_0000, 0x5a)

    @Test func bitsAreClearedWhereTheyHaveTheValueAndOthersStay() throws {
        let (counts, marks) = try inNewNamespace {
            // A connection a port: with the value, with another, with none; the lower bits are somebody else's.
            for (port, mark) in [(1001, "0x8000005a"), (1002, "0xc000005a"), (1003, "0x0000005a")] {
                try run(
                    "iptables", "-w", "-t", "mangle", "-A", "OUTPUT", "-p", "udp", "--dport", "\(port)", "-m",
                    "conntrack",
                    "--ctstate", "NEW", "-j", "CONNMARK", "--set-mark", mark)
            }
            for port in 1001...1003 { try send(to: UInt16(port)) }
            let before = try [1001, 1002, 1003].map { try mark(ofPort: $0) }
            guard before == [0x8000_005a, 0xc000_005a, 0x5a] else { throw Unexpected(what: "\(before)") }
            let tracking = try ConnectionMarks()
            let counts = [
                try tracking.clear(Self.value, in: Self.mask), try tracking.clear(Self.value, in: Self.mask),
            ]
            let marks = try [1001, 1002, 1003].map { try mark(ofPort: $0) }
            let rest = [try tracking.clear(nil, in: Self.mask), try tracking.clear(nil, in: Self.mask)]
            return (counts + rest, marks + [try mark(ofPort: 1002)])
        }
        #expect(counts == [1, 0, 1, 0])
        #expect(marks == [0x5a, 0xc000_005a, 0x5a, 0x5a])
    }

    @Test func manyConnectionsAreClearedAllOfThem() throws {
        let count = try inNewNamespace {
            try run("iptables", "-w", "-t", "mangle", "-A", "OUTPUT", "-j", "CONNMARK", "--set-mark", "0x80000001")
            for port in 2000..<5000 { try send(to: UInt16(port)) }
            let tracking = try ConnectionMarks()
            let count = try tracking.clear(Self.value, in: Self.mask)
            return [count, try tracking.clear(Self.value, in: Self.mask)]
        }
        #expect(count == [3000, 0])
    }
}

/// Runs `body` in a thread and a network namespace of its own, where `lo` is up and connections are tracked.
private func inNewNamespace<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
    nonisolated(unsafe) var result: Swift.Result<Result, any Error>?
    try WorkerThread(name: "live test") {
        unsafe result = Swift.Result {
            try NetworkNamespace.enterNew()
            try run("ip", "link", "set", "lo", "up")
            return try body()
        }
    }.join()
    return try unsafe result!.get()
}

@discardableResult
private func run(_ arguments: String...) throws -> String {
    let result = try Command.run(arguments)
    guard result.status == 0 else { throw Unexpected(what: "\(arguments): \(result.errorOutput)") }
    return result.output
}

/// Sends one datagram, from a port of its own, to a port of 127.0.0.1.
private func send(to port: UInt16) throws {
    let descriptor = try Descriptor(opening: { socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0) })
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let raw = descriptor.raw
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    try unsafe withUnsafePointer(to: &address) { pointer in
        try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            _ = try Errno.check { unsafe sendto(raw, [1, 2, 3], 3, 0, address, length) }
        }
    }
}

/// The mark of the connection to a port, as the kernel's own list has it.
private func mark(ofPort port: Int) throws -> UInt32 {
    let list = try Descriptor(reading: "/proc/thread-self/net/nf_conntrack").readToEnd()
    let lines = String(decoding: list, as: UTF8.self).split(separator: "\n")
    guard let line = lines.first(where: { $0.contains(" dport=\(port) ") }),
        let field = line.split(separator: " ").first(where: { $0.hasPrefix("mark=") }),
        let mark = UInt32(field.dropFirst(5))
    else { throw Unexpected(what: "no connection to port \(port)") }
    return mark
}
