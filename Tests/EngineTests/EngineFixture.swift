import ConfigLanguage
import Engine
import Foundation
import LuaRuntime
import Packet
import Ruleset
import SystemSupport
import TestSupport

/// A folder of scripts, removed with its owner.
final class ScriptFolder {
    let path: String

    init(_ scripts: [String: String]) throws {
        path = "/tmp/npflua-engine-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in scripts {
            try write(text, to: name)
        }
    }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func load(_ rules: String, after former: LoadedConfiguration? = nil) throws -> LoadedConfiguration {
        try LoadedConfiguration(
            text: Array(rules.utf8), file: "npf.conf", scripts: ScriptDirectory(path: path), after: former)
    }
}

/// A filter with one script, which all UDP packets go to.
struct ScriptedFilter: ~Copyable {
    var filter: Filter
    private let folder: ScriptFolder

    /// - Parameter options: of the `lua:` call, with the comma before them.
    init(_ script: String, options: String = "", settings: String = "", rule: String = "pass") throws {
        let folder = try ScriptFolder(["filter.lua": script])
        let configuration = try folder.load(
            """
            \(settings)
            procedure "p" { lua: call filter\(options) }
            group default {
            \tpass all
            \t\(rule) proto { tcp, udp } all apply "p"
            }

            """)
        let filter = try Filter(configuration, seed: 1)
        self.folder = folder
        self.filter = filter
    }

    /// Decides a packet, which a script may change.
    mutating func decide(
        _ packet: inout [UInt8], direction: Direction = .in, interface: StaticString = "eth0", time: Int64 = 1_000
    ) -> Decision {
        filter.decide(&packet, direction: direction, interface: interface, time: time)
    }

    mutating func decide(_ packet: [UInt8], time: Int64 = 1_000) -> Decision {
        var packet = packet
        return decide(&packet, time: time)
    }
}

extension Filter {
    /// Decides a packet, which a script may change.
    mutating func decide(
        _ packet: inout [UInt8], direction: Direction = .in, interface: StaticString = "eth0", time: Int64
    ) -> Decision {
        unsafe packet.withUnsafeMutableBytes {
            unsafe decide(
                $0,
                from: PacketOrigin(
                    interface: 0,
                    interfaceName: UnsafeRawPointer(interface.utf8Start).assumingMemoryBound(to: CChar.self),
                    direction: direction, time: time, clock: time, mark: 7))
        }
    }
}

/// A UDP packet with valid checksums.
func datagram(_ payload: String, ipv6 isIPv6: Bool = false) -> [UInt8] {
    var packet =
        isIPv6 ? ipv6(.udp, udp(Array(payload.utf8), checksum: 1)) : ipv4(.udp, udp(Array(payload.utf8), checksum: 1))
    mend(&packet)
    return packet
}

/// A TCP segment with valid checksums.
func segment(_ flags: TCPFlags, _ payload: String = "") -> [UInt8] {
    var packet = ipv4(.tcp, tcp(flags, payload: Array(payload.utf8)))
    mend(&packet)
    return packet
}

func mend(_ packet: inout [UInt8]) {
    guard let headers = try? parse(packet) else { return }
    var span = packet.mutableSpan
    var bytes = unsafe span.mutableBytes
    Checksum.mend(&bytes, headers: headers)
}

func hasValidChecksums(_ packet: [UInt8]) throws -> Bool {
    Checksum.isValid(unsafe packet.span.bytes, headers: try parse(packet))
}
