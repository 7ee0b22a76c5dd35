import LuaRuntime
import Luadata
import TestSupport
import Testing

@Suite struct PropertyTests {
    /// 100,000 accesses through Lua, by layouts made as scripts make them, in the middle of memory that is not theirs.
    @Test func accessesThroughLuaAgreeWithTheReference() throws {
        var filter = try Filter(Self.accessor)
        let function = filter.function
        var random = SplitMix64(state: 1114)
        for round in 0..<5000 {
            var memory = random.bytes(16 + Int.random(in: 0...24, using: &random))
            var expected = memory
            let region = 8..<(memory.count - 8)
            var commands = ""
            var results: [String] = []
            for _ in 0..<20 {
                let access = Access(random: &random)
                commands += "\(access)\n"
                results.append(access.carryOut(on: &expected, in: region))
            }
            var text = Array(commands.utf8)
            let result = unsafe memory.withUnsafeMutableBytes { memory in
                unsafe text.withUnsafeMutableBytes { text in
                    let view = unsafe Region(UnsafeMutableRawBufferPointer(rebasing: memory[region]), isWritable: true)
                    return unsafe filter.state.filter(function, view, Region(text, isWritable: false))
                }
            }
            #expect(result.answer == .keep, "\(filter.state.lastMessage)")
            #expect(filter.lines.last == results.joined(separator: " "), "round \(round): \(commands)")
            #expect(memory == expected, "round \(round): \(commands)")
        }
    }

    private static let accessor = """
        local function unhex(s) return (s:gsub('..', function(h) return string.char(tonumber(h, 16)) end)) end
        local function show(value)
          if type(value) ~= 'string' then return tostring(value) end
          return (value:gsub('.', function(c) return ('%02x'):format(c:byte()) end))
        end
        function filter(d, commands)
          local results = {}
          for offset, length, kind, endian, value in tostring(commands):gmatch('(%S+) (%S+) (%S+) (%S+) (%S+)') do
            d:layout{f = {tonumber(offset), tonumber(length), kind, endian}}
            if value ~= '-' then d.f = kind == 'string' and unhex(value) or tonumber(value) end
            results[#results + 1] = show(d.f)
          end
          print(table.concat(results, ' '))
        end
        """
}

/// One field, read after a value is written to it, if there is one.
private struct Access: CustomStringConvertible {
    var offset: Int
    var length: Int
    var endian: String
    var isString: Bool
    var number: Int64?
    var string: [UInt8]?

    init(random: inout SplitMix64) {
        isString = random.next() % 4 == 0
        offset = Int.random(in: 0...(isString ? 26 : 200), using: &random)
        length = Int.random(in: 0...(isString ? 26 : 66), using: &random)
        if random.next() % 50 == 0 {
            offset = [.max, .max - 7, .max / 8, 1 << 32, 1 << 61].randomElement(using: &random)!
        }
        if random.next() % 50 == 0 { length = [.max, .max - 64, 1 << 32].randomElement(using: &random)! }
        endian = ["big", "net", "little", "host", "le", "be"].randomElement(using: &random)!
        guard random.next() % 2 == 0 else { return }
        if isString {
            string = random.bytes(Int.random(in: 1...20, using: &random))
        } else {
            number = Int64(bitPattern: random.next())
        }
    }

    var description: String {
        let value = number.map { "\($0)" } ?? string.map(Self.hex) ?? "-"
        return "\(offset) \(length) \(isString ? "string" : "number") \(endian) \(value)"
    }

    /// What is read, as Lua shows it.
    func carryOut(on memory: inout [UInt8], in region: Range<Int>) -> String {
        var bytes = Array(memory[region])
        defer { memory.replaceSubrange(region, with: bytes) }
        guard isString else {
            let order = endian == "le" ? "little" : endian == "be" ? "big" : endian
            if let number { bytes = BitReference.written(number, to: bytes, offset, length, order) }
            return BitReference.read(bytes, offset, length, order).map { "\($0)" } ?? "nil"
        }
        guard length > 0, offset < bytes.count, length <= bytes.count - offset else { return "nil" }
        for (place, byte) in (string ?? []).prefix(length).enumerated() { bytes[offset + place] = byte }
        return Self.hex(Array(bytes[offset..<(offset + length)]))
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
