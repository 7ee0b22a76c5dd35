import ConfigLanguage
import ControlProtocol
import Engine
import Foundation
import LuaRuntime
import Packet
import Ruleset
import SystemSupport
import TestSupport
import Testing

/// What rmind/npf decides about packets, states made by earlier ones included.
@Suite struct CorpusTests {
    private static let vectors = "\(#filePath.dropLast("CorpusTests.swift".count))Vectors"

    /// `npf-decisions.jsonl`: a configuration a line, with packets and what upstream decides about each.
    @Test func decisionsAreUpstreams() throws {
        var (configurations, packets, others) = (0, 0, 0)
        for line in try String(contentsOfFile: "\(Self.vectors)/npf-decisions.jsonl", encoding: .utf8)
            .split(separator: "\n")
        {
            let object = try JSONDecoder().decode(DecisionVector.self, from: Data(line.utf8))
            let folder = try ScriptFolder(object.tables.mapValues { $0.map { "\($0)\n" }.joined() })
            var conf = object.conf
            for name in object.tables.keys { conf = conf.replacing("@\(name)@", with: "\(folder.path)/\(name)") }
            var explainer = try Explainer(folder.load(conf))
            configurations += 1
            for (number, packet) in object.packets.enumerated() {
                packets += 1
                let explanation = explainer.explain(packet.description, at: Int64(packets))
                let isOther = Self.wholeByteFlags.contains("\(object.name) \(number + 1)")
                others += isOther ? 1 : 0
                let decision = isOther ? packet.ruleset : packet.decision
                #expect(
                    "\(explanation.ruleset) \(explanation.entry) \(explanation.decision)"
                        == "\(packet.ruleset) \(packet.entry) \(decision)",
                    "\(object.name), packet \(number + 1): \(packet.description.text)")
            }
        }
        #expect(others == Self.wholeByteFlags.count)
        #expect(configurations == 124)
        #expect(packets == 7440)
    }

    /// Configurations and packets that upstream's whole filter decides by comparing all flags where `flags F/F` or
    /// `flags A/A` asks about one; docs/differences.md.
    private static let wholeByteFlags: Set = [
        "stateless-036 9", "stateless-045 1", "stateless-069 51", "stateless-069 58",
    ]

    private struct DecisionVector: Decodable {
        struct Packet: Decodable {
            let description: PacketDescription
            let ruleset: String
            let entry: Int
            let decision: String

            private enum Key: String, CodingKey {
                case ruleset, entry, decision
            }

            init(from decoder: any Decoder) throws {
                let object = try decoder.container(keyedBy: Key.self)
                description = try PacketDescription(from: decoder)
                ruleset = try object.decode(String.self, forKey: .ruleset)
                entry = try object.decode(Int.self, forKey: .entry)
                decision = try object.decode(String.self, forKey: .decision)
            }
        }

        let name: String
        let conf: String
        let tables: [String: [String]]
        let packets: [Packet]
    }

    /// `npf-packets`: raw packets and what upstream does with each.
    @Test func packetsAreDecidedAsUpstream() throws {
        var (packets, differences) = (0, 0)
        for name in try FileManager.default.contentsOfDirectory(atPath: "\(Self.vectors)/npf-packets").sorted() {
            let folder = "\(Self.vectors)/npf-packets/\(name)"
            let path = "\(folder)/npf.conf"
            var filter = try OfflineFilter(
                LoadedConfiguration(
                    text: File.read(path, limit: 1 << 20), file: path, scripts: ScriptDirectory(path: folder)))
            var expected = try lines("\(folder)/expected.txt")[...]
            var clock: Int64 = 1_000_000_000
            for line in try lines("\(folder)/packets.txt") where !line.hasPrefix("#") {
                let words = line.split(separator: " ")
                if words[0] == "@time" {
                    clock += try #require(Int64(words[1])) * 1_000_000_000
                    continue
                }
                var packet = unhexed(words[2])
                let decision = filter.decide(
                    &packet, on: String(words[0]), words[1] == "in" ? .in : .out, time: clock, clock: clock)
                let next = expected.popFirst()
                let wanted = try #require(next)
                packets += 1
                // Upstream's userspace build drops every fragment; here the kernel reassembles before the queue.
                if wanted.contains("fragment") { continue }
                let difference = name == "54-stateful-ipv6" ? Self.differences.first { line.contains($0.packet) } : nil
                differences += difference == nil ? 0 : 1
                #expect(Self.text(decision, packet) == difference?.decision ?? wanted, "\(name): \(line)")
            }
            #expect(expected.isEmpty)
        }
        #expect(packets == 2166)
        #expect(differences == Self.differences.count)
    }

    /// The packets that are decided otherwise than upstream does; docs/differences.md has the reasons.
    private static let differences = [
        (packet: "icmp6 2001:db8::1 > 2001:db8:f::1 type=128 code=0 id=1", decision: "pass rule +state"),
        (packet: "icmp6 2001:db8:f::1 > 2001:db8::1 type=129 code=0 id=1", decision: "pass state"),
        (packet: "unreach quoting our udp", decision: "pass state"),
        (packet: "time exceeded quoting our tc", decision: "pass state"),
    ]

    private static func text(_ decision: Decision, _ packet: [UInt8]) -> String {
        // Upstream has no word of its own for packets with options.
        var words = ["\(decision.verdict)", decision.cause == .options ? "malformed" : "\(decision.cause)"]
        if decision.state == .created { words.append("+state") }
        if decision.state == .invalid { words.append("badstate") }
        if decision.isAnswered { words.append(packet[packet[0] >> 4 == 4 ? 9 : 6] == 6 ? "rst" : "icmp") }
        return words.joined(separator: " ")
    }

    private func lines(_ path: String) throws -> [String] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    private func unhexed(_ text: Substring) -> [UInt8] {
        stride(from: 0, to: text.utf8.count, by: 2).map {
            UInt8(text.dropFirst($0).prefix(2), radix: 16)!
        }
    }
}
