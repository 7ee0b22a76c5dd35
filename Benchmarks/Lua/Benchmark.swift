import CLua
import Glibc
import LuaRuntime
import Luadata

/// A loop in Lua, `calls` times: what it repeats, and what stands before it.
struct Script {
    /// Runs once before the loop; what it makes local, the loop sees.
    var setup = ""
    /// Runs `calls` times a round; empty measures the loop itself.
    var body: String
    var calls: Int

    /// Text that makes a function of no parameters, the loop, and keeps it as the global `run`.
    var text: String { "local data = require 'data'\nfunction run() \(setup)\nfor i = 1, \(calls) do \(body) end end" }
    /// The same loop around nothing.
    var empty: Script { Script(setup: setup, body: "", calls: calls) }
}

/// What can be measured by running it.
enum Work {
    /// The script in a sandboxed state, limits armed.
    case sandboxed(Script)
    /// The script in a plain state of Lua's own.
    case stock(Script)
    /// So many calls of a function `filter(hdr, pld)` that returns true.
    case filter(calls: Int)

    var calls: Int {
        switch self {
        case .sandboxed(let script), .stock(let script): script.calls
        case .filter(let calls): calls
        }
    }

    /// What runs it, and what runs the same loop around nothing, where that is to be taken off.
    fileprivate func runners() -> (work: any Runner, loop: (any Runner)?) {
        switch self {
        case .sandboxed(let script): (SandboxedState(script), SandboxedState(script.empty))
        case .stock(let script): (StockState(script), StockState(script.empty))
        case .filter(let calls): (FilterCalls(calls: calls), nil)
        }
    }
}

/// One round of a measured thing.
private protocol Runner: AnyObject {
    func run()
}

/// A plain state of Lua's own, as `luaL_newstate` and `luaL_openlibs` make it.
@safe private final class StockState: Runner {
    private let lua: OpaquePointer

    init(_ script: Script) {
        unsafe lua = luaL_newstate()
        unsafe luaL_openlibs(lua)
        let text = "package.preload.data = function() end\n\(script.text)"
        guard unsafe luaL_loadstring(lua, text) == LUA_OK, unsafe lua_pcallk(lua, 0, 0, 0, 0, nil) == LUA_OK
        else { unsafe fatalError("\(script.body): \(String(cString: lua_tolstring(lua, -1, nil)))") }
    }

    deinit { unsafe lua_close(lua) }

    func run() {
        unsafe lua_getglobal(lua, "run")
        guard unsafe lua_pcallk(lua, 0, 0, 0, 0, nil) == LUA_OK else {
            unsafe fatalError(String(cString: lua_tolstring(lua, -1, nil)))
        }
    }
}

/// A sandboxed state with limits that nothing reaches.
private final class SandboxedState: Runner {
    private var state: LuaState
    private let function: FunctionReference

    init(_ script: Script) {
        do {
            state = try LuaState(limits: Limits(instructions: 1 << 60, memory: 64 << 20, nanoseconds: 1 << 60))
            state.installLuadata()
            try state.load(Array(script.text.utf8), chunkName: "benchmark.lua")
            function = state.function(named: "run")!
        } catch {
            fatalError("\(script.body): \(error)")
        }
    }

    func run() {
        let nothing = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
        guard unsafe state.filter(function, Region(nothing, isWritable: false)).answer == .keep else {
            fatalError(state.lastMessage)
        }
    }
}

/// Calls with two views, made, shown and emptied, within the usual limits.
private final class FilterCalls: Runner {
    private var state: LuaState
    private let function: FunctionReference
    private let calls: Int
    private var packet = [UInt8](repeating: 0, count: 1500)

    init(calls: Int) {
        self.calls = calls
        do {
            state = try LuaState()
            state.installLuadata()
            try state.load(Array("function filter(hdr, pld) return true end".utf8), chunkName: "benchmark.lua")
            function = state.function(named: "filter")!
        } catch {
            fatalError("\(error)")
        }
    }

    func run() {
        unsafe packet.withUnsafeMutableBytes { packet in
            let header = unsafe Region(UnsafeMutableRawBufferPointer(rebasing: packet[..<40]), isWritable: true)
            let payload = unsafe Region(UnsafeMutableRawBufferPointer(rebasing: packet[40...]), isWritable: true)
            for _ in 0..<calls { _ = unsafe state.filter(function, header, payload) }
        }
    }
}

/// One line of the result: what we take for the work, as a part of what a baseline takes.
struct Row {
    var name: String
    /// The most that the ratio may be.
    var most: Double
    var ours: Work
    var baseline: Work

    private static let rounds = 7

    /// The ratio, and the nanoseconds of one call; each the median of several rounds, taken by turns.
    func measure() -> (ratio: Double, ours: Double, theirs: Double) {
        let (own, other) = (ours.runners(), baseline.runners())
        var times: [[Double]] = [[], []]
        // The first round warms up.
        for round in 0...Self.rounds {
            let taken = [Self.time(own), Self.time(other)]
            if round > 0 {
                for index in taken.indices { times[index].append(taken[index]) }
            }
        }
        let medians = times.map { $0.sorted()[Self.rounds / 2] }
        let (first, second) = (medians[0] / Double(ours.calls), medians[1] / Double(baseline.calls))
        return (first / second, first, second)
    }

    private static func time(_ runners: (work: any Runner, loop: (any Runner)?)) -> Double {
        nanoseconds { runners.work.run() } - (runners.loop.map { loop in nanoseconds { loop.run() } } ?? 0)
    }
}

/// Of this thread's own processor time: others want the processor too.
private func nanoseconds(_ work: () -> Void) -> Double {
    func now() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
    let start = now()
    work()
    return now() - start
}

/// What Lua costs here, as ratios within one process.
///
/// The words after the program's name choose rows by their begin.
@main enum Benchmark {
    static func main() {
        let chosen = CommandLine.arguments.dropFirst()
        for (title, rows) in [("Luadata", Row.fields), ("patterns", Row.patterns)] {
            print(column(title, 58) + "    ours ns  baseline ns   ratio    most")
            var ratios: [Double] = []
            for row in rows where chosen.isEmpty || chosen.contains(where: { row.name.hasPrefix($0) }) {
                let (ratio, ours, theirs) = row.measure()
                ratios.append(ratio)
                print(
                    column(row.name, 58) + number(ours, 11, 1) + number(theirs, 13, 1) + number(ratio, 8, 3)
                        + number(row.most, 8, 3) + (ratio <= row.most ? "  ok" : "  OVER"))
            }
            guard !ratios.isEmpty else { continue }
            print(column("median of the ratios above", 58) + number(ratios.sorted()[ratios.count / 2], 32, 3))
        }
    }

    private static func column(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func number(_ value: Double, _ width: Int, _ digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value * Double(scale)).rounded())
        let fraction = "\(scaled.magnitude % UInt(scale))"
        let text =
            "\(scaled < 0 ? "-" : "")\(scaled.magnitude / UInt(scale))."
            + String(repeating: "0", count: digits - fraction.count) + fraction
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
