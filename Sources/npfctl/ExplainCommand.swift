import ArgumentParser
import ControlProtocol
import Engine
import FoundationEssentials
import LuaRuntime
import SystemSupport

struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Describe a packet, and see what becomes of it and why.",
        usage: """
            npfctl explain [-c FILE] [--scripts DIR] [--json] [DESCRIPTION …]
            npfctl explain --live [--json] [DESCRIPTION …]
            """,
        discussion: """
            For example: npfctl explain in on eth0 proto tcp from 198.51.100.7 port 40000 to 192.0.2.22 port 22 flags S

            Without a description, one a line comes by standard input, with --json as an object a line; the connections \
            that packets make are kept from line to line. Scripts are run, but not with --live.
            """)
    @OptionGroup var socket: SocketOption
    @Option(name: [.customShort("c"), .long], help: "The rules.")
    var config = "/etc/npf.conf"
    @Option(help: "The directory of the scripts.")
    var scripts = "/etc/npf"
    @Flag(help: "Ask the daemon's rules, tables and connections, and change nothing of them.")
    var live = false
    @Flag(help: "Read and print one JSON object a packet.")
    var json = false
    @Argument(parsing: .captureForPassthrough, help: "The packet.")
    var description: [String] = []

    func run() throws {
        try reportingFailure {
            if live {
                try eachPacket { packet in
                    var request = ControlRequest(.explain)
                    request.packets = [packet.text]
                    guard let report = try socket.ask(request).explanations?.first else {
                        throw Failure("the daemon answered without an explanation")
                    }
                    return report
                }
            } else {
                var explainer = try Explainer(
                    LoadedConfiguration(
                        text: Array(readText(config).utf8), file: config, scripts: ScriptDirectory(path: scripts)
                    ) { StandardStream.error.write($0 + [UInt8(ascii: "\n")]) })
                try eachPacket { explainer.explain($0, at: 1_000_000_000) }
            }
        }
    }

    /// Prints what `explain` says of each packet.
    private func eachPacket(_ explain: (PacketDescription) throws -> ExplanationReport) throws {
        guard description.isEmpty else {
            return print(try explain(PacketDescription(arguments: description)))
        }
        var number = 0
        while let line = readLine() {
            number += 1
            let text = line.prefix { json || $0 != "#" }
            guard text.contains(where: { !$0.isWhitespace }) else { continue }
            let packet: PacketDescription
            do {
                packet =
                    try json
                    ? JSONDecoder().decode(PacketDescription.self, from: Data(text.utf8))
                    : PacketDescription(parsing: text)
            } catch let error as PacketDescriptionError {
                throw Failure("stdin:\(number): \(error)")
            } catch {
                throw Failure(
                    "stdin:\(number): expected an object with ifname, dir, proto, src, dst and what goes with them")
            }
            print(try explain(packet))
        }
    }

    private func print(_ report: ExplanationReport) {
        if json {
            StandardStream.output.write(jsonLine(ExplanationLine(report)))
            return
        }
        for step in report.steps { StandardStream.output.write("\(step)\n") }
        let rule = report.rule.map { "“\($0)”" } ?? "no rule matches"
        let place = report.location.map { " (\($0))" } ?? ""
        StandardStream.output.write("\(report.decision): \(rule)\(place)\n")
    }
}

/// A packet's line with `--json`.
private struct ExplanationLine: Encodable {
    let ruleset: String
    let entry: Int
    let decision: String
    let rule: String?
    let location: String?
    let steps: [String]

    init(_ report: ExplanationReport) {
        ruleset = report.ruleset
        entry = report.entry
        decision = report.decision
        rule = report.rule
        location = report.location
        steps = report.steps
    }
}
