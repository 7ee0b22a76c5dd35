import LuaRuntime
import Luadata
import ScriptModules
import Synchronization

/// A state with all built-in modules, whose scripts have them as `data`, `net` and `npf`.
@safe
struct Script: ~Copyable {
    /// What a script has said.
    final class Said: Sendable {
        let lines = Mutex<[String]>([])
        let messages = Mutex<[String]>([])
    }

    var state: LuaState
    private let said = Said()

    /// What was printed, a line an entry.
    var lines: [String] { said.lines.withLock { $0 } }
    /// What was logged, `level: text` an entry.
    var messages: [String] { said.messages.withLock { $0 } }

    init(limits: Limits = .unhurried()) throws {
        let said = said
        state = try LuaState(limits: limits) { line in
            said.lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
        }
        state.installLuadata()
        state.installScriptModules()
        unsafe state.setLog(
            { context, level, text, length in
                guard let context = unsafe context else { return }
                let said = unsafe Unmanaged<Said>.fromOpaque(context).takeUnretainedValue()
                let text = unsafe String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
                said.messages.withLock { $0.append("\(LogLevel(rawValue: level)!): \(text)") }
            }, context: Unmanaged.passUnretained(said).toOpaque())
    }

    /// Runs a chunk; its error, if any.
    mutating func run(_ source: String) -> ScriptError? {
        let source = "local data, net, npf = require 'data', require 'net', require 'npf' \(source)"
        do throws(ScriptError) {
            try state.load(Array(source.utf8), chunkName: "test.lua")
            return nil
        } catch {
            return error
        }
    }

    /// What `print(expression)` prints, or its error's first line.
    static func evaluate(_ expression: String, setup: String = "") throws -> String {
        var script = try Script()
        let error = script.run("\(setup) print(\(expression))")
        return error.map { String($0.message.prefix { $0 != "\n" }) } ?? script.lines.joined(separator: "\n")
    }
}

extension Limits {
    /// Limits of which only the others can be reached, however busy the machine is.
    static func unhurried(instructions: Int = 1_000_000, memory: Int = 8 << 20) -> Limits {
        Limits(instructions: instructions, memory: memory, nanoseconds: 600_000_000_000)
    }
}
