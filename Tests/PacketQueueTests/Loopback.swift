import Glibc
import SystemSupport
import Testing

/// Live tests need root and the kernel's nfnetlink_queue; NPFLUA_SKIP_LIVE=1 skips them.
let runsLive = unsafe getenv("NPFLUA_SKIP_LIVE").map { unsafe String(cString: $0) } != "1"

/// Runs `body` in a thread and a network namespace of its own, where `lo` is up.
func inNewNamespace<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
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

struct CommandFailed: Error, CustomStringConvertible {
    let description: String
}

/// Runs a command that has to succeed.
@discardableResult
func run(_ arguments: String...) throws -> String {
    let result = try Command.run(arguments)
    guard result.status == 0 else {
        throw CommandFailed(description: "\(arguments.joined(separator: " ")): \(result.errorOutput)")
    }
    return result.output
}

/// A UDP socket on 127.0.0.1 that sends to itself: each datagram passes the OUTPUT hook once.
struct Loopback: ~Copyable {
    static let port: UInt16 = 4242
    private let descriptor: Descriptor

    /// With room for all that a test sends.
    init(mark: UInt32 = 0) throws {
        let descriptor = try Descriptor(opening: { socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0) })
        let raw = descriptor.raw
        // A queued packet counts as sent by nobody yet: a send blocks when the send buffer is full of them.
        let options = [
            (SO_RCVBUFFORCE, CInt(64 << 20)), (SO_SNDBUFFORCE, CInt(64 << 20)), (SO_MARK, CInt(bitPattern: mark)),
        ]
        for (name, value) in options {
            var value = value
            try Errno.check { unsafe setsockopt(raw, SOL_SOCKET, name, &value, 4) }
        }
        try unsafe Self.withAddress { address in try Errno.check { unsafe bind(raw, address, 16) } }
        self.descriptor = descriptor
    }

    /// Sends one datagram.
    func send(_ payload: [UInt8]) throws {
        let raw = descriptor.raw
        try unsafe Self.withAddress { address in
            try Errno.check { unsafe sendto(raw, payload, payload.count, 0, address, 16) }
        }
    }

    /// The next datagram that has arrived; nil: none.
    func receive() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe recv(descriptor.raw, &buffer, buffer.count, CInt(MSG_DONTWAIT))
        return count < 0 ? nil : Array(buffer[..<count])
    }

    /// All datagrams that have arrived.
    func receiveAll() -> [[UInt8]] {
        var all: [[UInt8]] = []
        while let datagram = receive() { all.append(datagram) }
        return all
    }

    private static func withAddress<Result>(_ body: (UnsafePointer<sockaddr>) throws -> Result) throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        _ = try unsafe withUnsafePointer(to: &address) { pointer in
            try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { try unsafe body($0) }
        }
    }
}
