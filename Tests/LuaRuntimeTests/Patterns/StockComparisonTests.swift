import CLua
import CLuaShim
import Foundation
import LuaRuntime
import TestSupport
import Testing

/// Holds our string library against the program `lua5.4`: one script, the same pairs of pattern and subject.
@Suite("Comparison with lua5.4")
struct StockComparisonTests {
    /// Takes the pairs from the global `input`, each part behind its length, and leaves a line each in `output`.
    private static let script = #"""
        local pcall, tostring, concat, pack = pcall, tostring, table.concat, table.pack
        local unpack, find, match, gmatch, gsub = string.unpack, string.find, string.match, string.gmatch, string.gsub
        local function show(...)
          local results = pack(...)
          for i = 1, results.n do results[i] = tostring(results[i]) end
          return concat(results, ',')
        end
        local function all(s, p, init)
          local t, next = {}, gmatch(s, p, init)
          repeat
            local ok, first, second, third = pcall(next)        -- not from Lua, so messages name no line
            t[#t + 1] = show(ok, first, second, third)
          until not ok or first == nil
          return concat(t, ';')
        end
        local replacements = { '', '<%0>', '%1', '%2-%1', '%%', '%', '%x' }
        local by_name = { a = 'A', b = false, [' '] = '_', ['0'] = 7, [1] = 'one', x = true }
        local function replace(a, b) if a ~= 'b' then return b or '[' .. a .. ']' end end
        local lines, position, count = {}, 1, 0
        while position <= #input do
          local p, s
          p, s, position = unpack('<s4s4', input, position)
          count = count + 1
          local init = count % 3 > 0 and 1 or count % 23 - 11
          lines[count] = concat({
            show(pcall(find, s, p, init)), show(pcall(find, s, p, init, true)), show(pcall(match, s, p, init)),
            show(pcall(all, s, p, init)),
            show(pcall(gsub, s, p, replacements[count % #replacements + 1], count % 5 == 0 and count % 4 or nil)),
            show(pcall(gsub, s, p, by_name)), show(pcall(gsub, s, p, replace)),
          }, '|'):gsub('[\n\\]', '\\%0')
        end
        output = concat(lines, '\n\n')
        """#

    private static let pairs = 25_000

    @Test("comes to the same results, errors included", arguments: 1...8)
    func comparison(seed: UInt64) throws {
        var seeds = SplitMix64(state: seed)
        let cases = (0..<Self.pairs).map { _ in RandomPattern(seed: seeds.next()) }
        var input: [UInt8] = []
        for part in cases.flatMap({ [$0.pattern, $0.subject] }) {
            for shift in [0, 8, 16, 24] { input.append(UInt8(truncatingIfNeeded: part.count >> shift)) }
            input += part
        }
        let theirs = lines(try stockOutput(input))
        let ours = lines(sandboxedOutput(input))
        try #require(theirs.count == Self.pairs && ours.count == Self.pairs)
        let different = (0..<Self.pairs).filter { ours[$0] != theirs[$0] }
        #expect(different.isEmpty, "\(different.count) of \(Self.pairs) differ")
        for index in different.prefix(3) {
            Issue.record(
                """
                pattern \(cases[index].pattern), subject \(cases[index].subject), number \(index + 1)
                ours:   \(String(decoding: ours[index], as: UTF8.self))
                theirs: \(String(decoding: theirs[index], as: UTF8.self))
                """)
        }
        // The patterns are worth comparing: many match, some raise.
        let matching = theirs.count { $0.starts(with: "true,".utf8) && !$0.starts(with: "true,nil".utf8) }
        let raising = theirs.count { $0.starts(with: "false,".utf8) }
        #expect(matching > Self.pairs / 2, "\(matching) match")
        #expect(raising > Self.pairs / 100, "\(raising) raise")
    }

    private func lines(_ output: [UInt8]) -> [ArraySlice<UInt8>] {
        // A line's own newlines stand behind a backslash.
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        for index in output.indices.dropFirst() where output[index] == 10 && output[index - 1] == 10 {
            lines.append(output[start..<index - 1])
            start = index + 1
        }
        return lines + [output[start...]]
    }

    private func stockOutput(_ input: [UInt8]) throws -> [UInt8] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "npflua-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let script = folder.appending(path: "script.lua"), file = folder.appending(path: "input")
        let results = folder.appending(path: "output")
        try Data(input).write(to: file)
        try Data(
            """
            input = assert(io.open(arg[1], 'rb')):read('a')
            do \(Self.script) end
            assert(io.open(arg[2], 'wb')):write(output):close()
            """.utf8
        ).write(to: script)
        let lua = Process()
        lua.executableURL = URL(filePath: "/usr/bin/lua5.4")
        lua.arguments = [script.path, file.path, results.path]
        try lua.run()
        lua.waitUntilExit()
        #expect(lua.terminationStatus == 0)
        return Array(try Data(contentsOf: results))
    }

    private func sandboxedOutput(_ input: [UInt8]) -> [UInt8] {
        let state = StringLibraryState()
        state.set("input", to: input)
        let (status, message) = state.run(Self.script)
        #expect(status == LS_OK, "\(message)")
        return state.bytes(of: "output")
    }
}
