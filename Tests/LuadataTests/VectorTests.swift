import Glibc
import LuaRuntime
import Luadata
import Testing

/// 1,439 reads, writes, string fields and segments, with what the original Luadata makes of them.
@Suite struct VectorTests {
    @Test func valuesAreThoseOfTheOriginal() throws {
        let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
        let text = try ScriptDirectory(path: "/").script("/\(folder)/Vectors/luadata-vectors.txt")
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.count == 1439)
        var filter = try Filter(Self.evaluator)
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            let arrow = try #require(words.firstIndex(of: "->"))
            let expected = try #require(Self.expected(words, result: words[arrow + 1]))
            #expect(filter(Array(words[..<arrow].joined(separator: " ").utf8)).answer == .keep, "\(line)")
            #expect(filter.lines.last == expected, "\(line)")
        }
        #expect(filter.lines.count == lines.count)
    }

    /// What a line is to give; the original's defects are marked, and put right by an arithmetic of their own.
    private static func expected(_ words: [String], result: String) -> String? {
        switch words.last {
        case "oob", "wrap": return "nil"
        case "spill":
            guard let offset = Int(words[2]), let width = Int(words[3]), let value = Int64(words[5]) else { return nil }
            return hex(BitReference.written(value, to: bytes(words[1]), offset, width, words[4]))
        default: return result
        }
    }

    private static func bytes(_ hex: String) -> [UInt8] {
        stride(from: 0, to: hex.utf8.count, by: 2).compactMap { UInt8(hex.dropFirst($0).prefix(2), radix: 16) }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Carries out the line that it is shown, and prints the result as the lines have it.
    private static let evaluator = """
        local function unhex(s) return (s:gsub('..', function(h) return string.char(tonumber(h, 16)) end)) end
        local function hex(d)
          if d == nil then return 'nil' end
          local s = tostring(d):gsub('.', function(c) return ('%02x'):format(c:byte()) end)
          return s == '' and 'empty' or s
        end
        local function layout(d, offset, length, ...)
          return d:layout{f = {tonumber(offset), tonumber(length), ...}}
        end
        local operations = {
          get = function(d, offset, length, endian) return tostring(layout(d, offset, length, 'number', endian).f) end,
          set = function(d, offset, length, endian, value)
            layout(d, offset, length, 'number', endian).f = math.tointeger(tonumber(value))
            return hex(d)
          end,
          gets = function(d, offset, length)
            local s = layout(d, offset, length, 'string').f
            return hex(s and data.new(s))
          end,
          sets = function(d, offset, length, value)
            layout(d, offset, length, 'string').f = value == '-' and '' or unhex(value)
            return hex(d)
          end,
          seg = function(d, offset, length) return hex(d:segment(offset, tonumber(length))) end,
          seg2 = function(d, o1, l1, o2, l2)
            local s = d:segment(tonumber(o1), tonumber(l1))
            return hex(s and s:segment(tonumber(o2), tonumber(l2)))
          end,
        }
        function filter(line)
          local words = {}
          for word in tostring(line):gmatch('%S+') do words[#words + 1] = word end
          local own, behind = words[2]:match('^(%x*)%+?(%x*)$')
          local d = data.new(unhex(own .. behind)):segment(0, #own // 2)
          print(operations[words[1]](d, table.unpack(words, 3)))
        end
        """
}
