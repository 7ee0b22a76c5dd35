import ArgumentParser
import CaptureFile
import CommandLineSupport
import Engine
import FoundationEssentials
import LuaRuntime
import Packet
import Ruleset
import SystemSupport

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Run the packets of a capture file through rules and scripts, and print what becomes of each.")
    @Option(name: [.customShort("c"), .long], help: "The rules.")
    var config = "/etc/npf.conf"
    @Option(help: "The directory of the scripts.")
    var scripts = "/etc/npf"
    @Option(name: .shortAndLong, help: "The interface of packets whose capture does not name one.")
    var interface: String?
    @Option(name: .shortAndLong, help: "The direction of packets whose capture does not tell it: in or out.")
    var direction: Side = .in
    @Flag(help: "Print one JSON object a packet.")
    var json = false
    @Argument(help: "The capture file, pcap or pcapng; - for standard input.")
    var capture: String

    enum Side: String, ExpressibleByArgument, CaseIterable {
        case `in`
        case out
    }

    func run() throws {
        try reportingFailure {
            let configuration = try LoadedConfiguration(
                text: Array(readText(config).utf8), file: config, scripts: ScriptDirectory(path: scripts)
            ) { text in
                // Beside the packets' lines, which programs may read.
                StandardStream.error.write(text + [UInt8(ascii: "\n")])
            }
            let limit = 4 << 30
            let bytes = try capture == "-" ? File.readStandardInput(limit: limit) : File.read(capture, limit: limit)
            do {
                var replay = try Replay(
                    CaptureFile(bytes), through: configuration, interface: interface,
                    direction: direction == .in ? .in : .out)
                write(replay.loggedAtStart, prefix: "")
                var isWarned = configuration.ruleset.interfaceNames.isEmpty
                while let outcome = try replay.next() {
                    if !isWarned && outcome.interface == nil {
                        isWarned = true
                        StandardStream.error.write(
                            "npfctl: \(capture) does not name the interface of packet \(outcome.number), so no rule "
                                + "with “on” matches it: name one with -i, or capture on one interface\n")
                    }
                    // Beside the packets' lines, as what scripts print.
                    write(outcome.logged, prefix: "packet \(outcome.number): ")
                    StandardStream.output.write(json ? jsonLine(ReplayLine(outcome)) : line(outcome))
                }
                if replay.messagesDropped > 0 {
                    StandardStream.error.write(
                        "npfctl: messages of scripts that came too many at once to be kept: \(replay.messagesDropped)\n"
                    )
                }
            } catch let error as CaptureFileError {
                throw Failure("\(capture): \(error)")
            }
        }
    }

    private func write(_ messages: [Replay.LoggedMessage], prefix: String) {
        for message in messages {
            StandardStream.error.write(logLines(message.text, prefix: "\(prefix)\(message.level): "))
        }
    }

    private func line(_ outcome: Replay.Outcome) -> String {
        var fields = [
            "\(outcome.number)", outcome.seconds, outcome.interface ?? "-", outcome.direction,
        ]
        if let headers = outcome.headers { fields.append(headers.summary) }
        if let decision = outcome.decision {
            fields += ["\(decision.verdict)", "\(decision.cause)"]
            if let rule = outcome.rule { fields.append("“\(rule)”") }
        } else {
            fields.append("not IP, not filtered")
        }
        if let message = outcome.message {
            fields.append("(\(message.split(separator: "\n").first ?? ""))")
        }
        return fields.joined(separator: " ") + "\n"
    }

}

/// A packet's line with `--json`.
private struct ReplayLine: Encodable {
    let outcome: Replay.Outcome

    private enum Key: String, CodingKey {
        case number, time, interface, direction, family, `protocol`, source, destination, sourcePort, destinationPort
        case verdict, cause, rule, entry, message
    }

    init(_ outcome: Replay.Outcome) {
        self.outcome = outcome
    }

    func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: Key.self)
        try object.encode(outcome.number, forKey: .number)
        // A decimal: a floating-point number would not hold nanoseconds.
        try object.encode(Decimal(string: outcome.seconds), forKey: .time)
        try object.encode(outcome.interface, forKey: .interface)
        try object.encode(outcome.direction, forKey: .direction)
        if let headers = outcome.headers {
            try object.encode(headers.family == .ipv4 ? "inet4" : "inet6", forKey: .family)
            try object.encode(headers.transportProtocol.rawValue, forKey: .protocol)
            try object.encode("\(headers.source)", forKey: .source)
            try object.encode("\(headers.destination)", forKey: .destination)
            try object.encode(headers.sourcePort, forKey: .sourcePort)
            try object.encode(headers.destinationPort, forKey: .destinationPort)
        }
        // A frame without an IP packet is never filtered: it passes by no rule.
        try object.encode("\(outcome.decision?.verdict ?? .pass)", forKey: .verdict)
        try object.encode(outcome.decision.map { "\($0.cause)" }, forKey: .cause)
        try object.encode(outcome.rule, forKey: .rule)
        let entry = outcome.decision.flatMap { $0.entry > 0 ? $0.entry : nil }
        try object.encode(entry, forKey: .entry)
        if let message = outcome.message { try object.encode(message, forKey: .message) }
    }
}

extension PacketHeaders {
    /// Protocol, addresses and ports as tcpdump writes them.
    fileprivate var summary: String {
        let name =
            switch transportProtocol {
            case .tcp: "tcp"
            case .udp: "udp"
            case .icmp: "icmp"
            case .icmpv6: "ipv6-icmp"
            default: "proto-\(transportProtocol.rawValue)"
            }
        guard sourcePort != 0 || destinationPort != 0 else { return "\(name) \(source) > \(destination)" }
        return "\(name) \(source).\(sourcePort) > \(destination).\(destinationPort)"
    }
}

extension Replay.Outcome {
    /// The time in seconds since 1970, with nine decimals.
    fileprivate var seconds: String {
        let (quotient, remainder) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
        let fraction = "\(remainder.magnitude)"
        let sign = time < 0 && quotient == 0 ? "-" : ""
        return "\(sign)\(quotient)." + String(repeating: "0", count: 9 - fraction.utf8.count) + fraction
    }
}
