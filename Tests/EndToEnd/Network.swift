import FoundationEssentials
import Glibc
import SystemSupport
import Testing

/// Three hosts in network namespaces of their own: client, firewall, server.
///
/// Removed with their processes at the end.
final class Network {
    /// A host by its place in the network.
    enum Host: String, CaseIterable {
        case client
        case firewall
        case server
    }

    static let client4 = "192.0.2.2"
    static let client6 = "2001:db8:1::2"
    static let server4 = "198.51.100.2"
    static let server6 = "2001:db8:2::2"

    /// A folder for the test's files.
    let folder: String
    private let suffix: String
    private var running: [Background] = []

    /// Makes the network.
    ///
    /// - Parameter ipv6: without it there is no neighbour discovery, so every packet is the test's own.
    init(ipv6: Bool = true) throws {
        suffix = String(UInt32.random(in: .min ... .max), radix: 36)
        folder = "/tmp/npflua-test-\(suffix)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        for host in Host.allCases {
            try ip("netns", "add", name(of: host))
            if !ipv6 { try run(on: host, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1") }
            try ip("-n", name(of: host), "link", "set", "lo", "up")
        }
        try link(.client, to: "inside", ipv6: ipv6)
        try link(.server, to: "outside", ipv6: ipv6)
        try run(on: .firewall, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        guard ipv6 else { return }
        try run(on: .firewall, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        // A new link answers for its IPv6 addresses only after a second or so.
        try waitFor(
            until: { try self.run(on: .client, "ping", "-6", "-c", "1", "-W", "1", Self.server6).status == 0 },
            "the IPv6 network")
    }

    /// Joins a host to an interface of the firewall's that is yet to be made.
    func link(_ host: Host, to interface: String, ipv6: Bool) throws {
        let firewall = name(of: .firewall), end = name(of: host)
        try ip("-n", firewall, "link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", end)
        let (near4, far4) = host == .client ? ("192.0.2.1", Self.client4) : ("198.51.100.1", Self.server4)
        let (near6, far6) = host == .client ? ("2001:db8:1::1", Self.client6) : ("2001:db8:2::1", Self.server6)
        for (place, device, address4, address6) in [(firewall, interface, near4, near6), (end, "eth0", far4, far6)] {
            try ip("-n", place, "address", "add", "\(address4)/24", "dev", device)
            if ipv6 { try ip("-n", place, "-6", "address", "add", "\(address6)/64", "dev", device, "nodad") }
            try ip("-n", place, "link", "set", device, "up")
        }
        try ip("-n", end, "route", "add", "default", "via", near4)
        if ipv6 { try ip("-n", end, "-6", "route", "add", "default", "via", near6) }
    }

    deinit {
        for command in running { command.end() }
        for host in Host.allCases {
            if let pids = try? Command.run(["ip", "netns", "pids", name(of: host)]).output {
                for pid in pids.split(separator: "\n") { _ = try? Command.run(["kill", "-KILL", String(pid)]) }
            }
            _ = try? Command.run(["ip", "netns", "delete", name(of: host)])
        }
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Runs a command on a host to its end.
    @discardableResult
    func run(on host: Host, _ arguments: String..., input: String = "", seconds: UInt32 = 30) throws -> CommandResult {
        try run(on: host, arguments, input: input, seconds: seconds)
    }

    /// Runs a command on a host to its end.
    @discardableResult
    func run(on host: Host, _ arguments: [String], input: String = "", seconds: UInt32 = 30) throws -> CommandResult {
        try Command.run(
            ["ip", "netns", "exec", name(of: host)] + arguments, input: Array(input.utf8),
            timeoutMilliseconds: seconds * 1000)
    }

    /// Starts a command on a host; it is ended with the network at the latest.
    @discardableResult
    func start(on host: Host, _ arguments: String...) throws -> Background {
        try start(on: host, arguments)
    }

    /// Starts a command on a host; it is ended with the network at the latest.
    @discardableResult
    func start(on host: Host, _ arguments: [String]) throws -> Background {
        let command = Background(try Command.start(["ip", "netns", "exec", name(of: host)] + arguments))
        running.append(command)
        return command
    }

    /// Starts a TCP server for both families that says a line to everybody and hangs up.
    func serve(banner: String, port: Int) throws {
        let file = try write("\(banner)\r\n", to: "banner.\(port)")
        try start(on: .server, "socat", "TCP4-LISTEN:\(port),fork,reuseaddr", "OPEN:\(file),rdonly")
        try start(on: .server, "socat", "TCP6-LISTEN:\(port),fork,reuseaddr,ipv6only", "OPEN:\(file),rdonly")
        try waitFor(until: { try self.listens(.server, "tcp", port, count: 2) }, "a server on port \(port)")
    }

    /// What a client reads from a TCP server, without line ends; "" where nothing comes.
    func ask(_ address: String, port: Int, seconds: Int = 2) throws -> String {
        let bracketed = address.contains(":") ? "[\(address)]" : address
        let result = try run(
            on: .client, "timeout", "\(seconds)", "socat", "-T\(seconds)", "-", "TCP:\(bracketed):\(port)")
        return result.output.filter { !$0.isNewline }
    }

    /// Whether a host has sockets bound to a port.
    func listens(_ host: Host, _ transport: String, _ port: Int, count: Int = 1) throws -> Bool {
        let option = transport == "tcp" ? "-Htln" : "-Huln"
        return try run(on: host, "ss", option, "sport", "=", ":\(port)").output.split(separator: "\n").count >= count
    }

    /// Sets the longest packet, in bytes from the IP header on, of every link.
    func setMTU(_ bytes: Int) throws {
        for (host, interface) in [
            (Host.client, "eth0"), (.firewall, "inside"), (.firewall, "outside"), (.server, "eth0"),
        ] {
            try ip("-n", name(of: host), "link", "set", interface, "mtu", "\(bytes)")
        }
    }

    /// Writes a file of the test's and gives its path.
    @discardableResult
    func write(_ text: String, to file: String) throws -> String { try write(bytes: Array(text.utf8), to: file) }

    /// Writes a file of the test's and gives its path.
    @discardableResult
    func write(bytes: [UInt8], to file: String) throws -> String {
        let path = "\(folder)/\(file)"
        if let slash = file.lastIndex(of: "/") {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/\(file[..<slash])", withIntermediateDirectories: true)
        }
        try Data(bytes).write(to: URL(filePath: path))
        return path
    }

    /// A file of the test's, as text.
    func read(_ file: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: "\(folder)/\(file)")), as: UTF8.self)
    }

    func name(of host: Host) -> String { "npflua-\(host.rawValue)-\(suffix)" }

    private func ip(_ arguments: String...) throws {
        let result = try Command.run(["ip"] + arguments)
        guard result.status == 0 else {
            throw SystemError("ip \(arguments.joined(separator: " ")): \(result.errorOutput)")
        }
    }
}

/// A command that runs beside the test.
final class Background {
    private var command: RunningCommand

    init(_ command: consuming RunningCommand) {
        self.command = command
    }

    var processID: Int32 { command.processID }
    var output: String { command.output }
    var errorOutput: String { command.errorOutput }
    func signal(_ signal: Int32) { command.signal(signal) }

    /// The exit status; nil where it still runs after so long.
    func wait(seconds: UInt32 = 10) -> Int32? { command.wait(milliseconds: seconds * 1000) }

    /// Ends it, if it has not ended.
    func end() {
        command.signal(9)
        _ = command.wait(milliseconds: 5000)
    }
}

/// Waits until a condition holds, for ten seconds at most.
func waitFor(until condition: () throws -> Bool, _ what: String) throws {
    for _ in 0..<200 {
        if try condition() { return }
        usleep(50_000)
    }
    throw SystemError("waited in vain for \(what)")
}

/// Whether the live tests run.
enum Live {
    static let isWanted: Bool = {
        let isSkipped = ProcessInfo.processInfo.environment["NPFLUA_SKIP_LIVE"] == "1"
        if isSkipped { print("NPFLUA_SKIP_LIVE=1: the live tests are LEFT OUT") }
        return !isSkipped
    }()
}
