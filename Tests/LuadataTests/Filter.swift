import LuaRuntime
import Luadata
import Synchronization

/// A state with Luadata, a script's function `filter`, and what the script printed.
struct Filter: ~Copyable {
    var state: LuaState
    let function: FunctionReference
    private let console: Console

    /// What the script has printed, a line an entry.
    var lines: [String] { console.text.withLock { $0 } }

    init(_ source: String, limits: Limits = .unhurried()) throws {
        let console = Console()
        var state = try LuaState(limits: limits) { bytes in
            console.text.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) }
        }
        state.installLuadata()
        try state.load(Array("local data = require 'data'\n\(source)".utf8), chunkName: "filter.lua")
        guard let function = state.function(named: "filter") else {
            throw ScriptError(.runtime, "no function 'filter'")
        }
        self.state = state
        self.function = function
        self.console = console
    }

    /// Shows bytes to the function, which may change them.
    mutating func callAsFunction(_ bytes: inout [UInt8], isWritable: Bool = true) -> FilterResult {
        let function = function
        return unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe state.filter(function, Region(bytes, isWritable: isWritable))
        }
    }

    /// Shows bytes to the function.
    mutating func callAsFunction(_ bytes: [UInt8] = []) -> FilterResult {
        var bytes = bytes
        return self(&bytes)
    }

    /// Calls another global function of the script with no bytes.
    mutating func call(_ name: String) -> FilterAnswer? {
        guard let function = state.function(named: name) else { return nil }
        defer { state.release(function) }
        return unsafe state.filter(
            function, Region(UnsafeMutableRawBufferPointer(start: nil, count: 0), isWritable: false)
        )
        .answer
    }
}

private final class Console: Sendable {
    let text = Mutex<[String]>([])
}

extension Limits {
    /// Limits that are not reached however busy the machine is.
    static func unhurried(instructions: Int = 10_000_000, memory: Int = 8 << 20) -> Limits {
        Limits(instructions: instructions, memory: memory, nanoseconds: 600_000_000_000)
    }
}

/// Runs a script that requires Luadata; what it printed, or its error's first line at the end.
func run(_ source: String) throws -> [String] {
    var filter = try Filter("function filter()\n\(source)\nend")
    if filter().answer.isFailure {
        return filter.lines + [String(filter.state.lastMessage.prefix { $0 != "\n" })]
    }
    return filter.lines
}
