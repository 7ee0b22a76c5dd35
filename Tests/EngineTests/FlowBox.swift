import ConfigLanguage
import Engine
import Packet
import TestSupport

/// A filter that tells a kernel of flows.
///
/// Its script blocks what has `bad` in it, passes and blocks the flows of what has `pass` and
/// `shut`, fails on `fail`, and changes what has `edit`.
final class FlowBox {
    var filter: Filter
    var configuration: LoadedConfiguration
    let folder: ScriptFolder

    static let script = """
        function filter(hdr, pld)
          local text = tostring(pld)
          if text:find('edit') then pld:layout{ first = {0, 8} } pld.first = 1 end
          if text:find('fail') then error('failed') end
          if text:find('pass') then return 'pass-flow' end
          if text:find('shut') then return 'block-flow' end
          return not text:find('bad')
        end
        """

    init(_ rules: String, files: [String: String] = ["filter.lua": FlowBox.script]) throws {
        let folder = try ScriptFolder(files)
        let configuration = try folder.load(rules)
        let filter = try Filter(configuration, seed: 1)
        self.folder = folder
        self.configuration = configuration
        self.filter = filter
        self.filter.tellsKernel = true
    }

    /// Puts another configuration in place of this one; returns the values of marks that are taken back.
    func use(_ next: LoadedConfiguration) throws -> [UInt32] {
        let continuity = FlowContinuity(from: configuration, to: next)
        var new = try Filter(next, seed: 2, after: configuration)
        new.tellsKernel = true
        new.takeOver(&filter)
        filter = new
        configuration = next
        return continuity.staleMarks
    }

    func decide(_ packet: [UInt8], _ direction: Direction = .in, time: Int64 = 1_000) -> Decision {
        var packet = packet
        return filter.decide(&packet, direction: direction, time: time)
    }

    /// Whether the script is called with a packet.
    func isLookedAt(_ packet: [UInt8], _ direction: Direction = .in, time: Int64 = 1_000) -> Bool {
        let before = filter.scriptCalls
        _ = decide(packet, direction, time: time)
        return filter.scriptCalls > before
    }
}

/// Rules whose procedure `p` is one call with options.
func procedure(_ options: String, _ rules: String = "pass proto { tcp, udp, icmp, 47 } all apply \"p\"") -> String {
    "procedure \"p\" { lua: call filter\(options) }\ngroup default {\n\tpass all\n\t\(rules)\n}\n"
}

/// A segment of a client of SSH, in the window of the answers.
func forth(
    _ payload: String, _ flags: TCPFlags = .ack, sequence: UInt32 = 1001, acknowledgment: UInt32 = 5001
) -> [UInt8] {
    var packet = ipv4(
        .tcp, tcp(flags, payload: Array(payload.utf8), sequence: sequence, acknowledgment: acknowledgment))
    mend(&packet)
    return packet
}

/// A segment of its server.
func back(_ payload: String, _ flags: TCPFlags = .ack, acknowledgment: UInt32 = 1004) -> [UInt8] {
    let sequence: UInt32 = flags.contains(.syn) ? 5000 : 5001
    var segment = tcp(flags, payload: Array(payload.utf8), sequence: sequence, acknowledgment: acknowledgment)
    segment.swapAt(0, 2)
    segment.swapAt(1, 3)
    var packet = ipv4(.tcp, segment, from: bob, to: alice)
    mend(&packet)
    return packet
}

/// A fragment that begins a datagram.
func firstFragment(_ payload: String) -> [UInt8] {
    ipv4(.udp, udp(Array(payload.utf8)), fragmentField: 0x2000)
}
