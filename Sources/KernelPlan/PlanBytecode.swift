import ConfigLanguage
import Packet

/// Programs for the kernel's classic BPF machine, as `-m bpf --bytecode` takes them; they see packets from the IP header
/// on.
///
/// Instructions are `code jump-if-true jump-if-false operand` (linux/filter.h). A look behind the packet's end ends a
/// program, and nothing matches.
enum PlanBytecode {
    /// Matches packets of a family that only the engine can judge, as far as a single packet tells: IPv4 options and
    /// fragments, or IPv6 extension headers and payloads below two bytes.
    static func unreadable(_ family: Configuration.Family) -> String {
        family == .inet4
            ? program([
                "48 0 0 0", "84 0 0 15", "21 0 2 5",  // The header's length in words, other than 5.
                "40 0 0 6", "69 0 1 16383",  // The fragment's offset, and whether more follow.
                "6 0 0 65535", "6 0 0 0",
            ])
            : program([
                "40 0 0 4", "53 0 6 2",  // The payload's length, below 2.
                "48 0 0 6", "21 4 0 0", "21 3 0 43", "21 2 0 44", "21 1 0 51", "21 0 1 60",  // The next header.
                "6 0 0 65535", "6 0 0 0",
            ])
    }

    /// Matches packets of a family without options and extension headers, of TCP or UDP, that have no payload, the
    /// length that IP says being that of the headers.
    ///
    /// - Parameter flags: the TCP flags of segments that are not among them.
    static func payloadless(_ family: Configuration.Family, without flags: UInt8) -> String {
        family == .inet4
            ? program([
                "48 0 0 9", "21 8 0 17", "21 0 12 6",
                "48 0 0 33", "69 10 0 \(flags)",  // TCP: its flags.
                "48 0 0 32", "84 0 0 240", "116 0 0 2", "4 0 0 20", "5 0 0 1",  // TCP: its data offset, and 20 bytes.
                "0 0 0 28",  // UDP: 8 and 20 bytes.
                "7 0 0 0", "40 0 0 2", "29 0 1 0", "6 0 0 65535", "6 0 0 0",
            ])
            : program([
                "48 0 0 6", "21 7 0 17", "21 0 11 6",
                "48 0 0 53", "69 9 0 \(flags)",  // TCP: its flags.
                "48 0 0 52", "84 0 0 240", "116 0 0 2", "5 0 0 1",  // TCP: its data offset.
                "0 0 0 8",  // UDP: 8 bytes.
                "7 0 0 0", "40 0 0 4", "29 0 1 0", "6 0 0 65535", "6 0 0 0",
            ])
    }

    /// Matches ICMP packets of one of several types, where nothing stands between the IP header's fixed part and theirs;
    /// nil for one type, and for more than the kernel takes in a program.
    static func icmpTypes(_ types: [UInt8], _ family: Configuration.Family) -> String? {
        guard types.count > 1, types.count <= maximumInstructions - 3 else { return nil }
        let comparisons = types.enumerated().map { "21 \(types.count - $0.offset) 0 \($0.element)" }
        return program(["48 0 0 \(family == .inet4 ? 20 : 40)"] + comparisons + ["6 0 0 0", "6 0 0 65535"])
    }

    /// Matches packets of TCP and UDP in a family that are among a remainder, and that the kernel reads as the engine does
    /// if connection tracking finds them valid; nil for more than fits into a rule.
    ///
    /// - Parameter flags: the TCP flags of segments that are not among them.
    static func remainder(_ remainder: PlanRemainder, _ family: Configuration.Family, without flags: UInt8) -> String? {
        let transport = family == .inet4 ? 20 : 40
        // `-` stands for the way to the end, where nothing matches.
        var program =
            family == .inet4
            ? ["48 0 0 0", "84 0 0 15", "21 0 - 5", "40 0 0 6", "69 - 0 16383", "48 0 0 9"] : ["48 0 0 6"]
        for (index, number) in remainder.protocols.enumerated() {
            let others = remainder.protocols.count - 1 - index
            program.append("21 \(others) \(others == 0 ? "-" : "0") \(number)")
        }
        if flags != 0, remainder.protocols.contains(6) {
            if remainder.protocols != [6] { program.append("21 0 2 6") }
            program += ["48 0 0 \(transport + 13)", "69 - 0 \(flags)"]
        }
        // Of an IPv6 address the first four bytes: more than is meant, which is the other items' then.
        let shift = UInt128(family == .inet4 ? 0 : 96)
        for (ranges, offset) in [
            (remainder.sourceAddresses, family == .inet4 ? 12 : 8),
            (remainder.destinationAddresses, family == .inet4 ? 16 : 24),
        ] {
            let words = ranges.map {
                NumberRange(
                    first: UInt32(truncatingIfNeeded: $0.first >> shift),
                    last: UInt32(truncatingIfNeeded: $0.last >> shift))
            }
            program += outside(NumberRange.merged(words), load: "32 0 0 \(offset)")
        }
        program += outside(remainder.sourcePorts, load: "40 0 0 \(transport)")
        program += outside(remainder.destinationPorts, load: "40 0 0 \(transport + 2)")
        program += ["6 0 0 65535", "6 0 0 0"]
        guard program.count <= maximumInstructions else { return nil }
        let text = Self.program(
            program.enumerated().map { index, instruction in
                instruction.split(separator: " ").map { $0 == "-" ? "\(program.count - 2 - index)" : $0 }
                    .joined(separator: " ")
            })
        return text.utf8.count <= maximumText ? text : nil
    }

    /// Goes to the end for what is in one of some ranges.
    private static func outside<Number>(_ ranges: [NumberRange<Number>], load: String) -> [String] {
        guard !ranges.isEmpty else { return [] }
        return [load]
            + ranges.flatMap { range in
                range.first == range.last
                    ? ["21 - 0 \(range.first)"] : ["53 0 1 \(range.first)", "37 0 - \(range.last)"]
            }
    }

    /// XT_BPF_MAX_NUM_INSTR (linux/netfilter/xt_bpf.h).
    private static let maximumInstructions = 64
    /// The bytes of a word that iptables-restore reads (`struct xt_param_buf` in iptables/xshared.h).
    private static let maximumText = 1023

    private static func program(_ instructions: [String]) -> String {
        ([String(instructions.count)] + instructions).joined(separator: ",")
    }
}
