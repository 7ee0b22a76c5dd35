import LuaRuntime
import Synchronization

/// What a script printed, a line an entry.
final class Console: Sendable {
    private let text = Mutex<[String]>([])

    var lines: [String] { text.withLock { $0 } }

    var print: @Sendable ([UInt8]) -> Void {
        { bytes in self.text.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) } }
    }
}

extension Limits {
    /// Limits of which only the others can be reached, however busy the machine is.
    static func unhurried(instructions: Int = 1_000_000, memory: Int = 8 << 20) -> Limits {
        Limits(instructions: instructions, memory: memory, nanoseconds: 600_000_000_000)
    }
}

/// What `print(expression)` prints, or the message's first line if it fails.
func evaluate(_ expression: String) throws -> String {
    let console = Console()
    var state = try LuaState(limits: .unhurried(), print: console.print)
    return try run("print(\(expression))", in: &state) ?? console.lines.joined(separator: "\n")
}

/// Runs a chunk; the first line of its error's message, if any.
func run(_ source: String, in state: inout LuaState) throws -> String? {
    do throws(ScriptError) {
        try state.load(Array(source.utf8), chunkName: "test.lua")
        return nil
    } catch {
        return error.message.split(separator: "\n", maxSplits: 1).first.map(String.init) ?? ""
    }
}

/// How a chunk fails, nil if it does not.
func failure(of source: String, in state: inout LuaState) -> ScriptError? {
    do throws(ScriptError) {
        try state.load(Array(source.utf8), chunkName: "test.lua")
        return nil
    } catch {
        return error
    }
}
