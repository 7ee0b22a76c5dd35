import ArgumentParser
import ControlProtocol
import Engine
import KernelPlan
import LuaRuntime
import SystemSupport

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the rules and what each has counted, or what the kernel decides by itself.")

    /// What is shown, if not the rules.
    enum Subject: String, ExpressibleByArgument {
        case kernel
    }

    @OptionGroup var socket: SocketOption
    @Flag(help: "Print one JSON object.")
    var json = false
    @Flag(help: "With kernel: print the text that installs the rules by `nft -f -`.")
    var print = false
    @Flag(help: "With --print: print the text for `iptables-restore --noflush`.")
    var iptables = false
    @Flag(help: "With --print: print the text for `ip6tables-restore --noflush`.")
    var ip6tables = false
    @Option(name: .shortAndLong, help: "With kernel: ask no daemon, but this configuration.")
    var config: String?
    @Option(help: "With --config: the directory of the scripts.")
    var scripts = "/etc/npf"
    @Argument(help: "kernel; without it, the rules.")
    var subject: Subject?

    func validate() throws {
        if subject == nil && (print || config != nil) { throw ValidationError("--print and --config go with “kernel”") }
        if (iptables || ip6tables) && !print { throw ValidationError("--iptables and --ip6tables go with --print") }
        if iptables && ip6tables { throw ValidationError("--iptables and --ip6tables are two texts: ask for one") }
        if print && json { throw ValidationError("--print prints a text, --json an object") }
    }

    func run() throws {
        try reportingFailure {
            guard subject == .kernel else { return try showRules() }
            if print { return try printTexts() }
            try showKernel()
        }
    }

    private func showRules() throws {
        let response = try socket.ask(ControlRequest(.show))
        guard !json else { return StandardStream.output.write(response.line()) }
        guard let report = response.rules else { throw Failure("the daemon answered without rules") }
        StandardStream.output.write("# filtering:\t\(report.active ? "active" : "inactive")\n")
        StandardStream.output.write("# config:\t\(report.loaded ? "loaded" : "empty")\n")
        if report.loaded { StandardStream.output.write("\n\(report.text)") }
    }

    private func printTexts() throws {
        let texts = try config.map { try offlinePlan($0).texts } ?? socket.ask(ControlRequest(.kernelText)).lines ?? []
        guard texts.count == 3 else { throw Failure("the daemon answered without the rules' texts") }
        guard iptables || ip6tables else { return StandardStream.output.write(texts[0]) }
        let program = iptables ? "iptables" : "ip6tables"
        for jump in KernelPlan.iptablesJumps {
            StandardStream.output.write(
                "# To lead packets there, once: \(program) \(KernelPlan.named(jump.add.joined(separator: " ")))\n")
        }
        StandardStream.output.write(texts[iptables ? 1 : 2])
    }

    private func showKernel() throws {
        var response = ControlResponse()
        if let config {
            response.kernel = KernelReport(try offlinePlan(config), backend: nil)
        } else {
            response = try socket.ask(ControlRequest(.kernel))
        }
        guard !json else { return StandardStream.output.write(response.line()) }
        guard let report = response.kernel else { throw Failure("the daemon answered without the kernel's rules") }
        StandardStream.output.write("# installed by:\t\(report.backend ?? "nobody")\n")
        for item in report.items {
            var line = "\(item.direction)\t\(item.action)\t\(item.text)  # \(item.place)"
            if let packets = item.packets, let bytes = item.bytes { line += ": \(packets) packets, \(bytes) bytes" }
            StandardStream.output.write("\(line)\n")
        }
        if let packets = report.payloadless, packets > 0 {
            StandardStream.output.write("# without payload: \(packets) packets\n")
        }
    }

    /// What the daemon would install for a configuration.
    private func offlinePlan(_ file: String) throws -> KernelPlan {
        let configuration = try LoadedConfiguration(
            text: Array(readText(file).utf8), file: file, scripts: ScriptDirectory(path: scripts))
        return try configuration.kernelPlan()
    }
}
