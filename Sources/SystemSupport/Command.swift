internal import CLinuxShim
internal import Glibc

/// How a command ended and what it said.
public struct CommandResult: Sendable, Equatable {
    /// The exit status; 128 + the signal that ended it.
    public let status: Int32
    /// What it wrote to its standard output.
    public let output: String
    /// What it wrote to its standard error.
    public let errorOutput: String
}

/// Runs other programs: nft, iptables-restore; ip in the tests.
public enum Command {
    /// Runs `arguments` with `input` on its standard input and waits for its end.
    ///
    /// - Parameter whileWaiting: is called every tenth of a second.
    /// - Throws: when it cannot be started, or has not ended in time and is killed; never for its status.
    public static func run(
        _ arguments: [String], input: [UInt8] = [], timeoutMilliseconds: UInt32 = 10_000,
        whileWaiting: () -> Void = {}
    ) throws(SystemError) -> CommandResult {
        var command = try start(arguments, input: input)
        guard let status = command.wait(milliseconds: timeoutMilliseconds, whileWaiting: whileWaiting) else {
            throw SystemError("\(arguments[0]) has not ended after \(timeoutMilliseconds) ms and was killed")
        }
        return CommandResult(status: status, output: command.output, errorOutput: command.errorOutput)
    }

    /// Runs commands at the same time, each with its input, and waits for the end of all.
    ///
    /// - Parameters:
    ///   - commands: each as its arguments and its input.
    ///   - whileWaiting: is called every tenth of a second.
    /// - Returns: how they ended, in the order of the commands.
    /// - Throws: as `run` does, for the first that does; those that were started are over or killed then.
    public static func runTogether(
        _ commands: [([String], String)], timeoutMilliseconds: UInt32 = 10_000, whileWaiting: () -> Void = {}
    ) throws(SystemError) -> [CommandResult] {
        guard let (arguments, input) = commands.first else { return [] }
        var command = try start(arguments, input: Array(input.utf8))
        let others = try runTogether(
            Array(commands.dropFirst()), timeoutMilliseconds: timeoutMilliseconds, whileWaiting: whileWaiting)
        guard let status = command.wait(milliseconds: timeoutMilliseconds, whileWaiting: whileWaiting) else {
            throw SystemError("\(arguments[0]) has not ended after \(timeoutMilliseconds) ms and was killed")
        }
        return [CommandResult(status: status, output: command.output, errorOutput: command.errorOutput)] + others
    }

    /// Starts `arguments` in the environment of this process, with no signal blocked, and leaves it running.
    ///
    /// The program is looked for in $PATH, /usr/sbin and /sbin; a name with a "/" is its path.
    /// - Throws: when it cannot be started.
    public static func start(_ arguments: [String], input: [UInt8] = []) throws(SystemError) -> RunningCommand {
        guard let program = arguments.first, let path = path(of: program) else {
            throw SystemError(
                "\(arguments.first ?? "no command") is not installed: not found in $PATH, /usr/sbin or /sbin",
                code: .noSuchEntry)
        }
        do {
            return try RunningCommand(path: path, arguments: arguments, input: input)
        } catch {
            throw SystemError("cannot start \(path): \(error.text)", code: error)
        }
    }

    private static func path(of program: String) -> String? {
        let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
        let directories: [Substring] = path.split(separator: ":") + ["/usr/sbin", "/sbin"]
        let candidates = program.contains("/") ? [program] : directories.map { "\($0)/\(program)" }
        return candidates.first { unsafe access($0, X_OK) == 0 }
    }
}
