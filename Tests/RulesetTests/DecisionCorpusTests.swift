import ConfigLanguage
import FoundationEssentials
import Packet
import Ruleset
import TestSupport
import Testing

/// Configurations and packets with what rmind/npf decides.
///
/// `Vectors/npf-decisions.tsv` has for each configuration
///
///     = NAME
///     t TABLE ADDRESS …
///     | a line of the configuration
///     INTERFACE DIRECTION PROTOCOL SOURCE DESTINATION PORT|TYPE PORT|CODE FLAGS pass|block|nomatch ENTRY
///
/// with tabs in the last form. ENTRY is the place of the deciding rule in the flattened ruleset.
struct DecisionCorpusTests {
    @Test func decisionsAreUpstreams() throws {
        let path = "\(#filePath.dropLast("DecisionCorpusTests.swift".count))Vectors/npf-decisions.tsv"
        let data = try #require(FileManager.default.contents(atPath: path))
        var (configurations, packets) = (0, 0)
        for section in String(decoding: data, as: UTF8.self).split(separator: "= ") {
            let lines = section.split(separator: "\n")
            let text = lines.filter { $0.hasPrefix("| ") }.map { $0.dropFirst(2) }.joined(separator: "\n")
            var contents: [String: [String]] = [:]
            for line in lines where line.hasPrefix("t ") {
                let words = line.split(separator: " ").map(String.init)
                contents[words[1]] = Array(words[2...])
            }
            configurations += 1
            let ruleset = try compile(text)
            let tables = TestTables(of: ruleset, contents)
            for line in lines where line.contains("\t") && !line.hasPrefix("|") {
                packets += 1
                try expect(ruleset, tables.lookup, line, name: lines[0])
            }
            withExtendedLifetime(tables) {}
        }
        #expect(configurations == 124)
        #expect(packets == 124 * 60)
    }

    private func expect(
        _ ruleset: CompiledRuleset, _ tables: TableLookup, _ line: Substring, name: Substring
    ) throws {
        let fields = line.split(separator: "\t")
        let proto =
            switch fields[2] {
            case "tcp": IPProtocol.tcp
            case "udp": IPProtocol.udp
            case "icmp": IPProtocol.icmp
            case "icmp6": IPProtocol.icmpv6
            default: IPProtocol(rawValue: try #require(UInt8(fields[2])))
            }
        var headers = PacketHeaders(
            transportProtocol: proto, source: try #require(Address(fields[3])),
            destination: try #require(Address(fields[4])))
        let (first, second) = (try #require(UInt16(fields[5])), try #require(UInt16(fields[6])))
        if proto == .icmp || proto == .icmpv6 {
            headers.icmpType = UInt8(first)
            headers.icmpCode = UInt8(second)
        } else {
            headers.sourcePort = first
            headers.destinationPort = second
        }
        for flag in fields[7] where flag != "." {
            let bit = try #require("FSRPAUEW".firstIndex(of: flag)).utf16Offset(in: "FSRPAUEW")
            headers.tcpFlags.insert(TCPFlags(rawValue: 1 << UInt8(bit)))
        }
        let interface = ruleset.interfaceNames.firstIndex(of: String(fields[0])).map { UInt16($0 + 1) } ?? 0
        let direction: Direction = fields[1] == "in" ? .in : .out
        let match = ruleset.evaluate(headers, interface: interface, direction: direction, tables: tables)
        let decision = match.entry == 0 ? "nomatch" : match.blocks ? "block" : "pass"
        #expect(decision == fields[8] && String(match.entry) == fields[9], "\(name): \(line)")

        let explained = ruleset.explain(
            headers, bytes: RawSpan(), interface: interface, direction: direction, tables: tables
        ) { _ in false }
        #expect(explained.match == match, "\(name): \(line)")
        try expectStepsLead(to: match, explained.steps)
    }
}

/// Holds the steps of a walk to its outcome: the rule that decides is the last one that matched.
func expectStepsLead(to match: Match, _ steps: [WalkStep]) throws {
    let matched = steps.last { if case .matched = $0.outcome { true } else { false } }
    #expect(matched?.entry ?? 0 == match.entry)
    #expect(matched?.dynamicRule ?? -1 == match.dynamicRule)
    for (step, next) in zip(steps, steps.dropFirst()) where step.dynamicRule == nil && next.dynamicRule == nil {
        #expect(next.entry > step.entry)
    }
}
