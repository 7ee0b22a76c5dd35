/// Luadata: what a field and a call cost, in calls of stock Lua's `string.byte(s, 1)`.
extension Row {
    static var fields: [Row] {
        let entries = [
            ("1", "{0, 1}"), ("4@4", "{4, 4}"), ("8", "{8, 8}"), ("12@4", "{4, 12}"), ("16", "{16, 16}"),
            ("16le", "{16, 16, 'number', 'little'}"), ("32", "{32, 32}"), ("33@7", "{7, 33}"), ("64@3", "{3, 64}"),
        ]
        let reads = entries.map { name, entry in field("read \(name)", 0.9, entry, "local x = d.f") }
        let writes = entries.map { name, entry in field("write \(name)", 1.1, entry, "d.f = 5") }
        let call = Row(
            name: "a call of filter(hdr, pld) that returns true", most: 9, ours: .filter(calls: 200_000), baseline: byte
        )
        return reads + writes + [call]
    }

    private static let byte = Work.stock(
        Script(
            setup: "local byte, s = string.byte, ('x'):rep(16)", body: "local x = byte(s, 1)", calls: 1_000_000))

    /// A field is the last of a layout of twelve.
    private static func field(_ name: String, _ most: Double, _ entry: String, _ body: String) -> Row {
        let others = (1...11).map { "g\($0) = {\($0), 8}" }.joined(separator: ", ")
        let setup = "local d = data.new(16):layout{\(others), f = \(entry)}"
        return Row(
            name: name, most: most, ours: .sandboxed(Script(setup: setup, body: body, calls: 1_000_000)),
            baseline: byte)
    }
}
