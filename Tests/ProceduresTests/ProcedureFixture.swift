import Packet
import Procedures
import TestSupport

extension ProcedureSteps {
    /// Runs the steps on a packet that came in by `interface`.
    mutating func run(
        from first: Int = 0, _ packet: inout [UInt8], isBlocked: Bool = false, log: PacketLog,
        interface: StaticString = "eth0", direction: Direction = .in, time: Int64 = 0, rule: Int32 = 1,
        originalLength: Int? = nil
    ) throws -> ProcedureOutcome {
        let headers = try parse(packet)
        let name = unsafe UnsafeRawPointer(interface.utf8Start).assumingMemoryBound(to: CChar.self)
        let context = unsafe ProcedureContext(
            interfaceName: name, direction: direction, time: time, clock: time, rule: rule,
            originalLength: originalLength ?? packet.count)
        return unsafe packet.withUnsafeMutableBytes {
            unsafe run(
                from: first, $0, headers: headers, context: context, isBlocked: isBlocked, log: log)
        }
    }
}

extension ProcedureOutcome {
    /// All of it, for comparisons.
    var words: String {
        "\(isBlocked ? "block" : "pass"), \(isChanged ? "changed" : "as it was"), script \(script), then \(next)"
    }
}

extension PacketLog {
    /// What the log holds, taken out of it.
    func contents() -> [(packet: LoggedPacket, bytes: [UInt8])] {
        var contents: [(LoggedPacket, [UInt8])] = []
        unsafe drain { unsafe contents.append(($0, Array($1))) }
        return contents
    }
}
