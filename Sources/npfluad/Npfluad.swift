public import ArgumentParser
import CommandLineSupport
import Engine
import Glibc
public import Logging
import SystemSupport

@main
enum Program {
    static func main() {
        Npfluad.runProgram()
    }
}

/// The daemon's command line.
struct Npfluad: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "npfluad",
        abstract: "A scriptable packet filter: NPF's rules and Lua procedures over NFQUEUE.",
        version: npfluaVersion)

    @Option(help: "The rules.")
    var config = "/etc/npf.conf"

    @Option(help: "The directory of the scripts.")
    var scripts = "/etc/npf"

    @Option(help: "The control socket.")
    var socket = "/run/npflua/control.sock"

    @Option(help: "The directory that the procedure log writes packets to.")
    var logDirectory = "/var/log/npflua"

    @Flag(help: "Check the rules and their scripts, and end.")
    var check = false

    @Flag(help: "Remove the kernel rules that a daemon that was killed has left, and end.")
    var removeRules = false

    @Option(help: "What is logged: \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")).")
    var logLevel: Logger.Level = .info

    func run() throws {
        let options = Daemon.Options(configuration: config, scripts: scripts, socket: socket, logs: logDirectory)
        // A log that nobody reads any more is no reason to end.
        signal(SIGPIPE, SIG_IGN)
        // Else the kernel's programs would end without a trace, and a failure pass for a success.
        signal(SIGCHLD, SIG_DFL)
        do {
            if check {
                try Daemon.check(options)
                return
            }
            if removeRules {
                try Daemon.removeLeftovers()
                return
            }
            var logger = Logger(label: "npfluad") { _ in StandardErrorLog() }
            logger.logLevel = logLevel
            try Daemon(options, logger: logger).run()
        } catch {
            StandardStream.error.write(errorLines("\(error)", program: "npfluad"))
            throw ExitCode.failure
        }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
