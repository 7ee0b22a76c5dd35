import ConfigLanguage
import Packet
import Ruleset

/// Parses any text as a configuration, as a table's file and as a dynamic rule, compiles what it says, decides about
/// packets, explains the decisions and holds the configuration to its printed form.
@c(LLVMFuzzerTestOneInput)
public func fuzzRules(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    for type in [Configuration.TableType.lpm, .ipset] {
        guard let table = try? TableFile(parsing: text, file: "table", type: type) else { continue }
        precondition(Set(table.entries.map(\.prefix)).count == table.entries.count)
    }
    do throws(ConfigurationErrors) {
        let (configuration, warnings) = try Configuration.parse(text, file: "fuzz") {
            path throws(ConfigurationErrors) in
            // A file that a configuration includes is a part of its text.
            Array(text.suffix(path.utf8.count))
        }
        for warning in warnings { precondition(!warning.report.isEmpty) }
        var ruleset = try CompiledRuleset(compiling: configuration, packetFilter: program)
        if let name = ruleset.dynamicRulesets.first?.name {
            for line in text.split(separator: UInt8(ascii: "\n")) {
                let rule = String(decoding: line, as: UTF8.self)
                guard let changed = try? ruleset.adding(rule: rule, to: name).ruleset else { continue }
                ruleset = changed
            }
        }
        decide(text, ruleset)
        let printed = ruleset.canonicalText { _ in "note" }
        let reparsed = try Configuration(parsing: Array(printed.utf8), file: "printed")
        precondition(reparsed.text() == configuration.text())
    } catch {
        // What the parser accepts, the compiler may refuse, but never what the printer wrote.
        precondition(!error.diagnostics.contains { $0.file == "printed" })
        precondition(!error.description.isEmpty)
    }
    return 0
}

/// Any expression is a program: its bytes.
private func program(_ expression: String) -> [BPFInstruction] {
    let bytes = Array(expression.utf8)
    return stride(from: 0, to: bytes.count - 3, by: 4).map {
        BPFInstruction(code: UInt16(bytes[$0]), jt: bytes[$0 + 1] & 3, jf: bytes[$0 + 2] & 3, k: UInt32(bytes[$0 + 3]))
    } + [BPFInstruction(code: 6, jt: 0, jf: 0, k: 1)]
}

private func decide(_ text: [UInt8], _ ruleset: CompiledRuleset) {
    let seed = text.reduce(0 as UInt64) { $0 &* 31 &+ UInt64($1) }
    let direction: Direction = seed & 1 == 0 ? .in : .out
    let tables = unsafe TableLookup(context: nil) { _, table, _, low, _ in (low ^ UInt64(table)) & 1 == 0 }
    for headers in packets(seed) {
        for interface in 0...UInt16(min(ruleset.interfaceNames.count, 2)) {
            let (match, steps) = unsafe ruleset.explain(
                headers, bytes: text.span.bytes, interface: interface, direction: direction, tables: tables
            ) { ($0 ^ Int(truncatingIfNeeded: seed)) & 1 == 0 }
            precondition(ruleset.rules[Int(match.entry)].kind != .group)
            precondition(match.procedure < ruleset.procedures.count)
            precondition(steps.allSatisfy { $0.entry < ruleset.rules.count })
            var walk = RuleWalk(headers, interface: interface, direction: direction)
            walk: while true {
                switch unsafe ruleset.evaluate(&walk, bytes: text.span.bytes, tables: tables) {
                case .decided(let decision):
                    precondition(decision == match)
                    break walk
                case .needsScript(let script, _):
                    walk.resume(matching: (Int(script) ^ Int(truncatingIfNeeded: seed)) & 1 == 0)
                }
            }
        }
    }
}

private func packets(_ seed: UInt64) -> [PacketHeaders] {
    let ipv4 = Address(ipv4: UInt32(truncatingIfNeeded: seed))
    let ipv6 = Address(high: seed, low: ~seed)
    let port = UInt16(truncatingIfNeeded: seed >> 16)
    return [
        PacketHeaders(
            transportProtocol: .tcp, source: ipv4, destination: ipv4, sourcePort: port, destinationPort: port,
            tcpFlags: TCPFlags(rawValue: UInt8(truncatingIfNeeded: seed))),
        PacketHeaders(transportProtocol: .udp, source: ipv6, destination: ipv6, destinationPort: port),
        PacketHeaders(transportProtocol: .icmp, source: ipv4, destination: ipv4, icmpType: 3, icmpCode: 1),
    ]
}
