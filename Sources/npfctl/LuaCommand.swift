import ArgumentParser
import CommandLineSupport
import ControlProtocol
import Engine
import LuaRuntime
import Luadata
import ScriptModules
import SystemSupport

struct LuaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lua",
        abstract: "Run a script in the sandbox that rules' scripts run in.")
    @Option(help: "Instructions that it may take.")
    var instructions = Limits().instructions
    @Option(help: "Bytes that it may hold; k, m and g are powers of 1024.")
    var memory = ByteCount(bytes: Limits().memory)
    @Option(help: "Milliseconds that it may take.")
    var time = Limits().nanoseconds / 1_000_000
    @Argument(help: "The script; modules are found in its directory.")
    var file: String

    func validate() throws {
        guard instructions > 0, memory.bytes > 0, time > 0 else {
            throw ValidationError("limits are above zero")
        }
    }

    func run() throws {
        let directory = file.lastIndex(of: "/").map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? "."
        do {
            let source = try file == "-" ? File.readStandardInput(limit: textLimit) : File.read(file, limit: textLimit)
            let (nanoseconds, tooLong) = time.multipliedReportingOverflow(by: 1_000_000)
            var state = try LuaState(
                limits: Limits(
                    instructions: instructions, memory: memory.bytes, nanoseconds: tooLong ? .max : nanoseconds),
                modules: ScriptDirectory(path: directory)
            ) { text in
                StandardStream.output.write(text + [UInt8(ascii: "\n")])
            }
            state.installLuadata()
            state.installPacketLayouts()
            state.installScriptModules()
            unsafe state.setLog(writeMessage, context: nil)
            try state.load(source, chunkName: file)
        } catch {
            StandardStream.error.write("\(error)\n")
            throw ExitCode.failure
        }
    }
}

/// A `LogFunction` that writes to standard error.
@c private func writeMessage(
    _ context: UnsafeMutableRawPointer?, _ level: UInt8, _ text: UnsafePointer<CChar>?, _ length: Int
) {
    let text = unsafe String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
    StandardStream.error.write(logLines(text, prefix: LogLevel(rawValue: level).map { "\($0): " } ?? ""))
}

/// A number of bytes as npf.conf writes it.
struct ByteCount: ExpressibleByArgument, CustomStringConvertible {
    var bytes: Int

    init(bytes: Int) {
        self.bytes = bytes
    }

    init?(argument: String) {
        let units: [Character: Int] = ["k": 1 << 10, "m": 1 << 20, "g": 1 << 30]
        let unit = argument.last.flatMap { units[Character($0.lowercased())] }
        guard let number = Int(unit == nil ? argument[...] : argument.dropLast()) else { return nil }
        let (bytes, isTooLarge) = number.multipliedReportingOverflow(by: unit ?? 1)
        guard !isTooLarge else { return nil }
        self.bytes = bytes
    }

    var description: String { "\(bytes)" }
}

struct ListStates: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Print the live Lua states.")
    @OptionGroup var socket: SocketOption

    func run() throws {
        try reportingFailure {
            let states = try socket.ask(ControlRequest(.luaList)).states ?? []
            StandardStream.output.write("\(states.count) active state\(states.count == 1 ? "" : "s"):\n")
            let rows =
                [["Name", "Creator", "Description"]]
                + states.map {
                    [
                        "npf", "npfluad",
                        "\($0.script) \($0.function)() entry \($0.entry) worker \($0.worker) \($0.memory) bytes",
                    ]
                }
            for row in rows {
                StandardStream.output.write(
                    row.dropLast().map { $0 + String(repeating: " ", count: max(1, 12 - $0.count)) }.joined()
                        + row[row.count - 1] + "\n")
            }
        }
    }
}

struct LoadScript: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Load a script into the live states that run a script of its name.")
    @OptionGroup var socket: SocketOption
    @Argument(help: "The states: npf.")
    var name: String
    @Argument(help: "The script.")
    var file: String

    func run() throws {
        try reportingFailure {
            guard name == "npf" else { throw Failure("there is no state “\(name)”: the packet filter's is npf") }
            var request = ControlRequest(.luaLoad)
            request.file = .init(name: file, text: try readText(file))
            _ = try socket.ask(request)
        }
    }
}
