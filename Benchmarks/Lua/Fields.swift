import LuaRuntime
import Luadata

/// What Luadata costs, in calls of `string.byte(s, 1)`.
enum Fields {
    private static let byte = Loop(
        setup: "local byte, s = string.byte, ('x'):rep(16)", body: "local x = byte(s, 1)")

    static var rows: [Row] {
        let entries = [
            ("1", "{0, 1}"), ("4@4", "{4, 4}"), ("8", "{8, 8}"), ("12@4", "{4, 12}"), ("16", "{16, 16}"),
            ("16le", "{16, 16, 'number', 'little'}"), ("32", "{32, 32}"), ("33@7", "{7, 33}"), ("64@3", "{3, 64}"),
        ]
        let reads = entries.map { name, entry in
            Row(
                name: "read \(name)", limit: 0.9,
                ours: Loop(setup: object(entry), body: "local x = d.f").inSandbox, baseline: byte.inStockLua)
        }
        let writes = entries.map { name, entry in
            Row(
                name: "write \(name)", limit: 1.1,
                ours: Loop(setup: object(entry), body: "d.f = 5").inSandbox, baseline: byte.inStockLua)
        }
        let call = Row(name: "filter(hdr, pld): true", limit: 9, ours: filter, baseline: byte.inStockLua)
        return reads + writes + [call]
    }

    /// A layout of twelve fields, the one in question the last.
    private static func object(_ entry: String) -> String {
        let others = (1...11).map { "g\($0) = {\($0), 8}" }.joined(separator: ", ")
        return "local d = require'data'.new(16):layout{\(others), f = \(entry)}"
    }

    /// A call with two views, made, shown and emptied.
    private static func filter() throws -> Double {
        let calls = 200_000
        var state = try LuaState()
        state.installLuadata()
        try state.load(Array("function filter(hdr, pld) return true end".utf8), chunkName: "benchmark")
        guard let function = state.function(named: "filter") else { return .infinity }
        var packet = [UInt8](repeating: 0, count: 1500)
        return unsafe packet.withUnsafeMutableBytes { packet in
            let header = unsafe Region(UnsafeMutableRawBufferPointer(rebasing: packet[..<40]), isWritable: true)
            let payload = unsafe Region(UnsafeMutableRawBufferPointer(rebasing: packet[40...]), isWritable: true)
            let start = nanoseconds()
            for _ in 0..<calls { _ = unsafe state.filter(function, header, payload) }
            return Double(nanoseconds() - start) / Double(calls)
        }
    }
}
