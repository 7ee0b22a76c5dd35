import LuaRuntime
import Luadata
import Testing

@Suite struct PreparedLayoutTests {
    private static let layout = Layout(
        name: "prepared",
        fields: [
            .init("first", .number(offset: 0, width: 8)), .init("all", .number(offset: 0, width: 64)),
            .init("beyond", .number(offset: 1, width: 64)), .init("inner", mark: 1, .number(offset: 4, width: 12)),
            .init("inner_all", mark: 1, .number(offset: 0, width: 40)),
            .init("inner_beyond", mark: 1, .number(offset: 1, width: 40)),
            .init("text", mark: 1, .string(offset: 1, length: 4)),
            .init("text_beyond", mark: 1, .string(offset: 1, length: 5)),
            .init("middle", .rest(offset: 1, upTo: 1)), .init("rest", mark: 1, .rest(offset: 2, upTo: 2)),
            .init("nothing", mark: 1, .rest(offset: 0, upTo: 1)),
            .init("negative", mark: 2, .rest(offset: 0, upTo: 1)),
        ])

    /// Eight bytes with a mark before the fourth and one at the end, and bytes around them that are not to be seen.
    @Test(arguments: [
        ("first", "1", "77"), ("all", "72623859790382856", "7"), ("beyond", "nil", "7"), ("inner", "1029", "1365"),
        ("inner_all", "17264150280", "7"), ("inner_beyond", "nil", "7"), ("text", "\u{5}\u{6}\u{7}\u{8}", "'abcd'"),
        ("text_beyond", "nil", "'abcde'"), ("middle", "\u{2}\u{3}", "'ab'"), ("rest", "\u{6}\u{7}\u{8}", "'abc'"),
        ("nothing", "nil", "'a'"), ("negative", "nil", "'a'"), ("unknown", "nil", "1"),
    ])
    func fieldsCountFromTheirMarksAndStayInside(_ name: String, _ value: String, _ new: String) throws {
        var filter = try Filter(
            """
            function filter(d)
              if old then
                old.\(name) = \(new)
                assert(old.\(name) == nil and d ~= old)
              end
              print(d.\(name))
              d.\(name) = \(new)
              print(d.\(name))
              old = d
            end
            """)
        let layout = filter.state.prepare(Self.layout)
        let function = filter.function
        for _ in 1...2 {
            let packet: [UInt8] = Array(0xa0...0xa7) + Array(1...8) + Array(0xb0...0xb7)
            var memory = packet
            let result = unsafe memory.withUnsafeMutableBytes { memory in
                unsafe filter.state.filter(
                    function,
                    Region(
                        UnsafeMutableRawBufferPointer(rebasing: memory[8..<16]), isWritable: true, layout: layout,
                        marks: [99, 3, 8, 0]))
            }
            #expect(result.answer == .keep, "\(filter.state.lastMessage)")
            let after = value == "nil" ? "nil" : new.split(separator: "'").joined()
            #expect(filter.lines.suffix(2) == [value, after])
            #expect(result.changed == (value != "nil"))
            #expect(memory[..<8] == packet[..<8] && memory[16...] == packet[16...])
            #expect((memory != packet) == (value != "nil"))
        }
    }

    @Test func namesAreFoundHoweverManyAndWhateverIsCollected() throws {
        var filter = try Filter(
            "function filter(d) for i = 0, 299 do assert(d['n' .. i] == i % 8 + 1, i) end return d.n300 == nil end")
        let layout = filter.state.prepare(
            Layout(name: "many", fields: (0..<300).map { .init("n\($0)", .number(offset: $0 % 8 * 8, width: 8)) }))
        for _ in 1...3 { filter.state.collectGarbage() }
        var bytes: [UInt8] = Array(1...8)
        let function = filter.function
        let result = unsafe bytes.withUnsafeMutableBytes {
            unsafe filter.state.filter(function, Region($0, isWritable: true, layout: layout))
        }
        #expect(result.answer == .keep, "\(filter.state.lastMessage)")
    }
}
