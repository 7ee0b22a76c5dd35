import ConfigLanguage
import FoundationEssentials
import Testing

/// Small configurations with what rmind/npf's `npfctl validate` says to them.
struct ParserProbeTests {
    /// The probes in which we differ on purpose, with the reason.
    private static let differences: [String: Set<String>] = [
        "addresses are translated by the kernel, and rules say so": [
            "map_any", "map_nat", "map_nodyn", "map_noports", "map_npt66", "map_pass", "map_rr",
        ],
        "a forwarded packet is decided `in` and `out`; upstream never matches `forw`": [
            "group_forw"
        ],
        "upstream accepts two rulesets of one name and fails to load them": [
            "ruleset_dup"
        ],
        "upstream drops an address of the other family, and the rule matches everything": [
            "fam2"
        ],
        "upstream cannot have an interface's addresses of both families in one rule": [
            "ifstr"
        ],
        "the file of a table is read when the rules are loaded, with the same refusal": [
            "t5", "t8",
        ],
        "a bit behind the prefix would make a rule that never matches": [
            "v6c"
        ],
        "upstream drops the prefix that is too long, and the rule matches everything": [
            "v4badm"
        ],
        "upstream drops the criterion of a variable that is not defined": [
            "undefport"
        ],
        "upstream cuts the port to 16 bits": [
            "portbig"
        ],
        "no port is in a reversed range": [
            "rangerev"
        ],
        "`!` with all addresses matches everything upstream, where it says nothing": [
            "neg_any", "negzero",
        ],
        "programs disagree about `10.1.2/24`: is it 10.1.0.2 or 10.1.2.0?": [
            "v4short2"
        ],
        "an entry is shown on a line of its own": [
            "string_newline"
        ],
        "extension: names with `-`, `.` and `@`": [
            "ifdash", "ifdashq", "ifdotq",
        ],
        "extension: lists over several lines and with a trailing comma": [
            "multiline", "trailing",
        ],
        "extension: NetBSD's names of ICMP types": [
            "icmpname"
        ],
    ]

    @Test func verdictsAreUpstreamsButForReviewedDifferences() throws {
        let path = "\(#filePath.dropLast("ParserProbeTests.swift".count))Vectors/npf-parser-probes.txt"
        let data = try #require(FileManager.default.contents(atPath: path))
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        var differing: Set<String> = []
        var count = 0
        for index in stride(from: 0, to: lines.count - 1, by: 2) {
            let header = lines[index].split(separator: " ")
            let (name, verdict) = (String(header[1]), header[2])
            count += 1
            let error: ConfigurationErrors?
            do throws(ConfigurationErrors) {
                _ = try Configuration(parsing: unescaped(lines[index + 1]), file: "CONF")
                error = nil
            } catch let refusal {
                error = refusal
            }
            guard (error == nil) != (verdict == "accepted") else { continue }
            differing.insert(name)
        }
        #expect(count == 136)
        #expect(differing.symmetricDifference(Self.differences.values.joined()) == [])
    }

    private func unescaped(_ line: Substring) -> [UInt8] {
        var bytes: [UInt8] = []
        var isEscaped = false
        for byte in line.utf8 {
            if isEscaped {
                bytes.append(byte == UInt8(ascii: "n") ? 10 : byte == UInt8(ascii: "r") ? 13 : byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }
}
