import ControlProtocol
import FoundationEssentials
import SystemSupport
import Testing

/// The daemon on a network's firewall, with its configuration, its scripts and the control program.
final class Firewall {
    static let programs: String = {
        // The test bundle stands beside the programs that were built with it.
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        var folder = executable[..<(executable.lastIndex(of: "/") ?? executable.startIndex)]
        while !folder.isEmpty && !FileManager.default.fileExists(atPath: "\(folder)/npfluad") {
            folder = folder[..<(folder.lastIndex(of: "/") ?? folder.startIndex)]
        }
        return String(folder)
    }()

    /// The rules of the project's own example.
    static let rules = """
        procedure "lua_filter" {
        \tlua: call filter
        }
        group default {
        \tpass in all apply "lua_filter"
        \tpass out all
        }

        """

    /// The script of the project's own example.
    static func bannerScript(blocking software: String) -> String {
        """
        function filter(hdr, pld)
          local seg = pld:segment(0, 255)
          local software = tostring(seg):match('SSH%-[^-%G]+%-([^-%G]+)')
          return software ~= '\(software)'
        end

        """
    }

    let network: Network
    private var daemon: Background?

    /// Starts the daemon with rules and scripts, and waits until it inspects.
    init(_ network: Network, rules: String = Firewall.rules, scripts: [String: String] = [:]) throws {
        self.network = network
        try network.write(rules, to: "npf.conf")
        try FileManager.default.createDirectory(atPath: scriptFolder, withIntermediateDirectories: true)
        for (file, text) in scripts { try network.write(text, to: "npf/\(file)") }
        try start()
    }

    var configuration: String { "\(network.folder)/npf.conf" }
    var scriptFolder: String { "\(network.folder)/npf" }
    var socket: String { "\(network.folder)/control.sock" }
    var logFolder: String { "\(network.folder)/log" }
    var log: String { daemon?.errorOutput ?? "" }
    var processID: Int32 { daemon?.processID ?? 0 }

    /// The daemon's command line.
    var command: [String] {
        [
            "\(Self.programs)/npfluad", "--config", configuration, "--scripts", scriptFolder, "--log-directory",
            logFolder, "--socket", socket,
        ]
    }

    /// Starts the daemon, for which programs in the test's folder `bin` stand before the system's.
    func start() throws {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let daemon = try network.start(on: .firewall, ["env", "PATH=\(network.folder)/bin:\(path)"] + command)
        self.daemon = daemon
        try waitFor(
            until: {
                if let status = daemon.wait(seconds: 0) {
                    throw SystemError("npfluad ended with status \(status): \(daemon.errorOutput)")
                }
                return try self.npfctl("stats").status == 0
            }, "the daemon")
    }

    func signal(_ signal: Int32) { daemon?.signal(signal) }
    func wait(seconds: UInt32 = 10) -> Int32? { daemon?.wait(seconds: seconds) }

    /// Runs npfctl on the firewall.
    @discardableResult
    func npfctl(_ arguments: String..., input: String = "") throws -> CommandResult {
        try npfctl(arguments, input: input)
    }

    /// Runs npfctl on the firewall.
    @discardableResult
    func npfctl(_ arguments: [String], input: String = "") throws -> CommandResult {
        try network.run(on: .firewall, ["\(Self.programs)/npfctl", "--socket", socket] + arguments, input: input)
    }

    /// Runs npfctl by its name luactl on the firewall.
    @discardableResult
    func luactl(_ arguments: String...) throws -> CommandResult {
        let link = "\(network.folder)/luactl"
        if !FileManager.default.fileExists(atPath: link) {
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "\(Self.programs)/npfctl")
        }
        return try network.run(on: .firewall, [link, "--socket", socket] + arguments)
    }

    /// The active rules.
    func show() throws -> RulesReport {
        let line = try npfctl("show", "--json").output
        return try #require(try ControlResponse(line: Array(line.utf8.dropLast())).rules)
    }

    /// The rule whose text starts so.
    func rule(_ prefix: String) throws -> RuleReport {
        try #require(try show().rules.first { $0.rule.hasPrefix(prefix) }, "no rule starts with “\(prefix)”")
    }

    /// A counter of `npfctl stats`.
    func counter(_ name: String) throws -> UInt64 {
        let line = try npfctl("stats", "--json").output
        let statistics = try #require(try ControlResponse(line: Array(line.utf8.dropLast())).statistics)
        let counters = statistics.sections.flatMap(\.counters) + (statistics.kernelQueues ?? [])
        return try #require(counters.first { $0.name == name }, "no counter “\(name)”").value
    }

    /// The kernel's plan with its counters.
    func kernel() throws -> KernelReport {
        let line = try npfctl("show", "kernel", "--json").output
        return try #require(try ControlResponse(line: Array(line.utf8.dropLast())).kernel)
    }

    /// Everything that the kernel's packet filter holds on the firewall.
    func kernelRules() throws -> String {
        try ["iptables-save", "ip6tables-save"].map { try network.run(on: .firewall, $0).output }.joined()
            + network.run(on: .firewall, "nft", "list", "ruleset").output
    }
}
