import ConfigLanguage
import Packet
import Ruleset
import TestSupport
import Testing

/// A program of `-m bpf --bytecode`, run by the engine's own machine.
struct Bytecode {
    private let ruleset: CompiledRuleset
    private let headers: PacketHeaders

    init(_ text: some StringProtocol) throws {
        let parts = text.split(separator: ",")
        #expect(Int(parts[0]) == parts.count - 1 && parts.count <= 65)
        let program = parts.dropFirst().map { part in
            let numbers = part.split(separator: " ").map { UInt32($0)! }
            return BPFInstruction(
                code: UInt16(numbers[0]), jt: UInt8(numbers[1]), jf: UInt8(numbers[2]), k: numbers[3])
        }
        // A rule whose filter is the program, by a ruleset that has no other.
        let rules = "group default {\n pass final pcap-filter \"x\"\n}\n"
        ruleset = try CompiledRuleset(
            compiling: Configuration(parsing: Array(rules.utf8), file: "npf.conf"), packetFilter: { _ in program })
        headers = try parse(ipv4(.tcp, tcp(.ack)))
    }

    /// The program that stands in a rule between quotation marks.
    init(inRule rule: some StringProtocol) throws { try self.init(rule.split(separator: "\"")[1]) }

    func accepts(_ packet: [UInt8]) -> Bool {
        unsafe !ruleset.evaluate(headers, bytes: packet.span.bytes, interface: 0, direction: .in).blocks
    }
}
