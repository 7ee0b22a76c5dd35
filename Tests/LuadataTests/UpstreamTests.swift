import LuaRuntime
import Luadata
import Testing

/// The cases of the original Luadata's own tests, by what they show.
@Suite struct UpstreamTests {
    @Test func scriptCases() throws {
        let cases: [(what: String, script: String)] = [
            ("no layout", "local d = data.new{0x0f} d.no = 0xdead assert(d.no == nil)"),
            ("byte", "local d = data.new{0x0f} d:layout{byte = {0, 8}, lsb = {7, 1}} assert(d.byte == 0x0f)"),
            (
                "least significant bit",
                "local d = data.new{0x0f} d:layout{byte = {0, 8}, lsb = {7, 1}} d.lsb = 0 assert(d.byte == 0x0e)"
            ),
            ("length", "assert(#d2 == 4)"),
            ("big endian", "d2:layout(l) assert(d2.uint16be == 0xaabb)"),
            ("little endian", "d2:layout(l) assert(d2.uint16le == 0xbbaa)"),
            ("4 bits", "d2:layout(l) assert(d2.uint4 == 0xc)"),
            ("9 bits", "d2:layout(l) assert(d2.uint9 == 0x19b)"),
            ("one bit past the end", "d2:layout(l) assert(d2.overflow == nil)"),
            ("length of a segment", "assert(#d2:segment(1, 3) == 3)"),
            ("same layout on a segment", "local d3 = d2:segment(1, 3) d3:layout(l) assert(d3.uint16be == 0xbbcc)"),
            (
                "segment of a segment",
                "local d4 = d2:segment(1, 3):segment(1) d4:layout(l) assert(d4.uint16be == 0xccdd)"
            ),
            ("write to a segment", "local d5 = d2:segment() d5:layout(l) d5.uint4 = 0xf assert(d5.uint4 == 0xf)"),
            (
                "shared memory",
                "d2:layout(l) local d5 = d2:segment():layout(l) d5.uint4 = 0xf assert(d2.uint4 == 0xf)"
            ),
            ("own memory", "local d = data.new(2) d:layout(l) d.uint16be = 0xbeef assert(d.uint16be == 0xbeef)"),
            ("over 64 bits", "local d = data.new(128) d:layout{toobig = {0, 65}} assert(d.toobig == nil)"),
            ("64 bits", "local d = data.new(128) d:layout{uint64 = {0, 64}} d.uint64 = -1 assert(d.uint64 == -1)"),
            ("from a string", "local d = data.new'\\a' d:layout{field = {1, 7}} assert(d.field == 7)"),
            ("string field", "assert(d6.str == 'abcdef')"),
            ("string field past the end", "assert(d6.overflow == nil)"),
            ("short string", "d6.str = 'hij' assert(d6.str == 'hijdef')"),
            ("new()", "assert(data.new() == nil)"),
            ("new(0)", "assert(data.new(0) == nil)"),
            ("new{}", "assert(data.new{} == nil)"),
            ("new('')", "assert(data.new('') == nil)"),
        ]
        let setup = """
            local d2 = data.new{0xaa, 0xbb, 0xcc, 0xdd}
            local l = data.layout{uint16be = {0, 16}, uint16le = {0, 16, 'number', 'le'}, uint4 = {16, 4},
              uint9 = {20, 9}, overflow = {32, 1}}
            local d6 = data.new'abcdef'
            d6:layout{str = {0, 6, 's'}, overflow = {1, 6, 's'}}

            """
        for (what, script) in cases { #expect(try run(setup + script) == [], "\(what)") }
    }

    @Test func memoryOutlivesTheObjectThatMadeIt() throws {
        var filter = try Filter(
            """
            part = data.new{0xaa, 0xbb, 0xcc, 0xdd}:segment(1):segment(1)
            part:layout{byte = {0, 8}}
            function filter() return part.byte == 0xcc and #part == 2 end
            """)
        for _ in 1...3 { filter.state.collectGarbage() }
        #expect(filter().answer == .keep)
    }

    @Test func memoryStaysAsLongAsASegmentOfIt() throws {
        let size = 1 << 20
        var filter = try Filter(
            "part = data.new(\(size)):segment(7):segment(7)\nfunction filter() part = nil end")
        for _ in 1...3 { filter.state.collectGarbage() }
        #expect(filter.state.memoryInUse > size)
        #expect(filter().answer == .keep)
        filter.state.collectGarbage()
        #expect(filter.state.memoryInUse < size)
    }

    @Test func foreignMemoryIsEmptyAfterTheCall() throws {
        var filter = try Filter(
            """
            function filter(d)
              gd = d
              d:layout{msb = {0, 4}, uint16 = {4, 16}, lsb = {20, 4}}
              return d.msb == 0xa and d.uint16 == 0xbcde and d.lsb == 0xf
            end
            function access_global() return gd.uint16 == nil end
            """)
        #expect(filter([0xab, 0xcd, 0xef]).answer == .keep)
        #expect(filter.call("access_global") == .keep)
    }
}
