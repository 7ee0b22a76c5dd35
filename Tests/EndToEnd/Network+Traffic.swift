import FoundationEssentials
import Glibc
import SystemSupport
import Testing

/// What a sender of numbered datagrams says.
struct SendReport: Decodable {
    var sent: UInt64
    /// Calls that the system refused.
    var refused: UInt64
    var microseconds: UInt64
}

/// What a receiver of numbered datagrams says.
struct ReceiveReport: Decodable {
    var received: UInt64
    var bytes: UInt64
    /// Datagrams with a byte that is not what was sent, or what the script was to write.
    var damaged: UInt64
    var duplicated: UInt64
    /// Datagrams that came after one of a higher number in their flow.
    var reordered: UInt64
    /// Datagrams that the receiver's own socket had no room for.
    var overflowed: UInt64
}

/// What the receiver of a stream says.
struct StreamReport: Decodable, Equatable {
    var received: Int
    var damaged: Int
}

extension Network {
    private static let tool = "\(Firewall.programs)/Traffic"

    private func report<Report: Decodable>(_ output: String, _ errorOutput: String) throws -> Report {
        guard let report = try? JSONDecoder().decode(Report.self, from: Data(output.utf8)) else {
            throw SystemError("Traffic said: \(output)\(errorOutput)")
        }
        return report
    }

    /// Sends numbered datagrams, and waits until all are sent.
    func send(
        from host: Host = .client, to address: String = Network.server4, port: Int = 5004, _ options: String...
    ) throws -> SendReport {
        let result = try run(on: host, [Self.tool, "send", address, "\(port)"] + options, seconds: 120)
        return try report(result.output, result.errorOutput)
    }

    /// Sends datagrams of one line from the client to the server, one after the other.
    func sendLines(_ count: Int, to port: Int, _ text: String = "x") throws {
        let result = try run(
            on: .client, "bash", "-c",
            "for i in $(seq \(count)); do echo \(text) >/dev/udp/\(Network.server4)/\(port); done")
        try #require(result.status == 0, "\(result.errorOutput)")
    }

    /// Sends numbered datagrams until `end(sender:)`.
    func startSender(to address: String = Network.server4, port: Int = 5004, _ options: String...) throws -> Background
    {
        try start(on: .client, [Self.tool, "send", address, "\(port)"] + options)
    }

    /// Ends a sender, and gives what it has sent.
    func end(sender: Background) throws -> SendReport {
        sender.signal(SIGTERM)
        _ = sender.wait()
        return try report(sender.output, sender.errorOutput)
    }

    /// Receives numbered datagrams on the server until `end(receiver:)`.
    ///
    /// - Parameters:
    ///   - count: how many it receives at most; 0: any number.
    ///   - edited: the distance of the bytes that a script has written, from the first after the number on.
    func startReceiver(port: Int = 5004, count: Int = 0, edited: Int = 0) throws -> Background {
        let receiver = try start(
            on: .server, Self.tool, "receive", "\(port)", "count=\(count)", "edited=\(edited)")
        try waitFor(until: { try self.listens(.server, "udp", port) }, "a receiver on port \(port)")
        return receiver
    }

    /// Ends a receiver once nothing waits in the firewall any more, and gives what it has received.
    func end(receiver: Background) throws -> ReceiveReport {
        var before = ""
        for _ in 0..<600 where receiver.wait(seconds: 0) == nil {
            let now = try run(on: .firewall, "cat", "/proc/net/netfilter/nfnetlink_queue").output
            let waiting = now.split(separator: "\n").map { $0.split(separator: " ")[2] }
            if now == before && waiting.allSatisfy({ $0 == "0" }) { break }
            before = now
            usleep(100_000)
        }
        receiver.signal(SIGTERM)
        _ = receiver.wait(seconds: 60)
        return try report(receiver.output, receiver.errorOutput)
    }

    /// Sends a stream over a TCP connection to the server, and gives what it says of what came.
    func stream(
        _ bytes: Int, from host: Host = .client, to address: String = Network.server4, port: Int, edited: Int = 0
    ) throws -> StreamReport {
        let receiver = try start(on: .server, Self.tool, "stream-receive", "\(port)", "edited=\(edited)")
        try waitFor(until: { try self.listens(.server, "tcp", port) }, "a receiver on port \(port)")
        let sent = try run(on: host, Self.tool, "stream-send", address, "\(port)", "count=\(bytes)", seconds: 120)
        guard sent.status == 0, receiver.wait(seconds: 30) == 0 else {
            receiver.end()
            throw SystemError("the stream broke off: \(sent.errorOutput) \(receiver.errorOutput)")
        }
        return try report(receiver.output, receiver.errorOutput)
    }

    /// Sends Ethernet frames of IP packets from the client to the firewall.
    ///
    /// - Parameter padding: bytes behind the packet, as a network card adds them.
    func send(frames packets: [[UInt8]], padding: [UInt8] = []) throws {
        let target = try hardwareAddress(of: .firewall, "inside"), source = try hardwareAddress(of: .client, "eth0")
        let lines = packets.map { packet in
            hexadecimal(target + source + (packet[0] >> 4 == 4 ? [0x08, 0x00] : [0x86, 0xdd]) + packet + padding)
        }
        let result = try run(
            on: .client, Self.tool, "frames", "eth0", input: lines.joined(separator: "\n") + "\n")
        guard result.status == 0 else { throw SystemError("frames: \(result.errorOutput)") }
    }

    /// Captures on the server what comes in, until it is ended.
    func startCapture() throws -> Background {
        let capture = try start(on: .server, Self.tool, "capture", "eth0")
        try waitFor(until: { capture.output.contains("listening") }, "the capture")
        return capture
    }

    /// The IP packets that a capture has, without their Ethernet headers.
    func packets(of capture: Background) -> [[UInt8]] {
        capture.output.split(separator: "\n").dropFirst().compactMap { line in
            let digits = Array(line.utf8)
            let frame = stride(from: 0, to: digits.count - 1, by: 2).map { index in
                UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) ?? 0
            }
            let isIP = frame.count > 14 && [[0x08, 0x00], [0x86, 0xdd]].contains(Array(frame[12..<14]))
            return isIP ? Array(frame[14...]) : nil
        }
    }

    private func hardwareAddress(of host: Host, _ interface: String) throws -> [UInt8] {
        try run(on: host, "cat", "/sys/class/net/\(interface)/address").output.split(separator: "\n")[0]
            .split(separator: ":").compactMap { UInt8($0, radix: 16) }
    }

    /// What the links have lost: that is no fault of the firewall's.
    func lostByLinks() throws -> [String] {
        try Host.allCases.flatMap { host in
            let counters = try run(
                on: host, "sh", "-c", "grep -H . /sys/class/net/*/statistics/[rt]x_dropped"
            ).output
            return counters.split(separator: "\n").filter { !$0.hasSuffix(":0") }.map { "\(host) \($0)" }
        }
    }
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
