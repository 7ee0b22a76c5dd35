import CLua
import Glibc
import LuaRuntime
import Luadata

/// What a thing costs, as a ratio to something that everybody knows the cost of.
struct Row {
    let name: String
    /// The most that ours may cost, of what the baseline costs.
    let limit: Double
    /// Nanoseconds of one operation.
    let ours: () throws -> Double
    let baseline: () throws -> Double
}

/// A loop's text, timed in a state of some kind; what the empty loop takes is taken off.
struct Loop {
    static let count = 1_000_000

    let setup: String
    let body: String

    /// In a state with Luadata, limits armed.
    func inSandbox() throws -> Double {
        var state = try LuaState(limits: Limits(instructions: .max / 2, nanoseconds: .max / 2))
        state.installLuadata()
        return try time { source in try state.load(Array(source.utf8), chunkName: "benchmark") }
    }

    /// In a plain Lua state with all libraries.
    func inStockLua() throws -> Double {
        let state = unsafe luaL_newstate()!
        defer { unsafe lua_close(state) }
        unsafe luaL_openlibs(state)
        return try time { source in
            guard unsafe luaL_loadstring(state, source) == LUA_OK, unsafe lua_pcallk(state, 0, 0, 0, 0, nil) == LUA_OK
            else { throw unsafe ScriptError(.runtime, String(cString: lua_tolstring(state, -1, nil))) }
        }
    }

    private func time(_ run: (String) throws -> Void) rethrows -> Double {
        func loop(_ body: String) -> String { "\(setup)\nfor i = 1, \(Self.count) do \(body) end" }
        let (empty, full) = (loop(""), loop(body))
        try run(full)
        let start = nanoseconds()
        try run(empty)
        let middle = nanoseconds()
        try run(full)
        return Double(nanoseconds() - middle - (middle - start)) / Double(Self.count)
    }
}

/// Of this thread's own time, as others want the processor too.
func nanoseconds() -> Int {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

@main enum Benchmark {
    static let rounds = 7

    static func main() throws {
        var isOver = false
        let chosen = CommandLine.arguments.dropFirst()
        for row in Fields.rows where chosen.isEmpty || chosen.contains(where: { row.name.hasPrefix($0) }) {
            var ours: [Double] = []
            var baseline: [Double] = []
            for _ in 0..<rounds {
                ours.append(try row.ours())
                baseline.append(try row.baseline())
            }
            let (own, other) = (ours.sorted()[rounds / 2], baseline.sorted()[rounds / 2])
            let ratio = own / other
            isOver = isOver || ratio > row.limit
            print(
                row.name.padded(44), rounded(own).padded(8), rounded(other).padded(8), rounded(ratio).padded(6),
                ratio > row.limit ? "OVER" : "ok", rounded(row.limit))
        }
        exit(isOver ? 1 : 0)
    }

    private static func rounded(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
