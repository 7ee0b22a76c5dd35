import ConfigLanguage
import Packet
import Ruleset

/// Parses any text as a configuration, compiles it, decides about a packet and holds it to its printed form.
@c(LLVMFuzzerTestOneInput)
public func fuzzRules(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    do throws(ConfigurationErrors) {
        let configuration = try Configuration(parsing: text, file: "fuzz")
        let ruleset = try CompiledRuleset(compiling: configuration)
        let seed = text.reduce(0 as UInt64) { $0 &* 31 &+ UInt64($1) }
        for headers in packets(seed) {
            for interface in 0...UInt16(min(ruleset.interfaceNames.count, 2)) {
                let match = ruleset.evaluate(headers, interface: interface, direction: seed & 1 == 0 ? .in : .out)
                precondition(ruleset.rules[Int(match.entry)].kind != .group)
                precondition(match.procedure < ruleset.procedures.count)
            }
        }
        let printed = ruleset.canonicalText { _ in "note" }
        let reparsed = try Configuration(parsing: Array(printed.utf8), file: "printed")
        precondition(reparsed.text() == configuration.text())
    } catch {
        // What the parser accepts, the compiler may refuse, but never what the printer wrote.
        precondition(error.diagnostics[0].file == "fuzz")
        precondition(!error.description.isEmpty)
    }
    return 0
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
