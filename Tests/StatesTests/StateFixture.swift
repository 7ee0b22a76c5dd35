import FoundationEssentials
import Packet
import States
import TestSupport

let second: Int64 = 1_000_000_000
let testSeed: (UInt64, UInt64) = (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)

/// A table, and a clock that moves when the test says so.
final class StateFixture {
    var table: StateTable
    var now: Int64 = 1_000 * second

    init(capacity: Int = 1024, seed: (UInt64, UInt64) = testSeed, _ change: (inout StateParameters) -> Void = { _ in })
    {
        var parameters = StateParameters()
        change(&parameters)
        table = StateTable(capacity: capacity, seed: seed, parameters: parameters)
    }

    func pass(seconds: Int64) { now += seconds * second }

    func key(_ packet: TestPacket) -> StateKey? {
        guard let headers = try? parse(packet.bytes) else { return nil }
        return unsafe table.key(
            headers, packet: packet.bytes.span.bytes, interface: packet.interface, direction: packet.direction)
    }

    func lookup(_ packet: TestPacket) -> StateLookup {
        guard let headers = try? parse(packet.bytes), let key = key(packet) else { return .none }
        return unsafe table.lookup(key, headers, packet: packet.bytes.span.bytes, now: now)
    }

    func create(
        _ packet: TestPacket, _ kind: StateKind = .stateful, entry: Int32 = 7, procedure: Int32 = -1
    ) -> Bool {
        guard let headers = try? parse(packet.bytes), let key = key(packet) else { return false }
        return unsafe table.create(
            key, headers, packet: packet.bytes.span.bytes, kind: kind, entry: entry, procedure: procedure, now: now)
    }

    /// What happens to a packet that a stateful rule would pass: `state`, `new`, `rule` (no state was made) or `invalid`.
    func send(_ packet: TestPacket) -> String {
        switch lookup(packet) {
        case .pass: "state"
        case .invalid: "invalid"
        case .none: create(packet) ? "new" : "rule"
        }
    }

    /// Every state, as listed.
    func list() -> [ListedState] {
        var states: [ListedState] = []
        var place: Int? = 0
        while let from = place { place = table.forEach(from: from, step: 5, now: now) { states.append($0) } }
        return states
    }
}

/// A packet where it crosses an interface.
struct TestPacket {
    var bytes: [UInt8]
    var interface: UInt32 = 2
    var direction: Direction

    init(_ bytes: [UInt8], _ direction: Direction, interface: UInt32 = 2) {
        self.bytes = bytes
        self.direction = direction
        self.interface = interface
    }

    func on(_ interface: UInt32, _ direction: Direction) -> TestPacket {
        TestPacket(bytes, direction, interface: interface)
    }
}

extension StateLookup {
    var word: String {
        switch self {
        case .none: "none"
        case .pass: "pass"
        case .invalid: "invalid"
        }
    }

    var match: StateMatch? {
        if case .pass(let match) = self { match } else { nil }
    }
}

/// An end of a connection.
struct End {
    var address: Address
    var port: UInt16
}

let client = End(address: alice, port: 40000)
let server = End(address: bob, port: 80)
let client6 = End(address: alice6, port: 40000)
let server6 = End(address: bob6, port: 80)

private func ip(_ transport: IPProtocol, _ payload: [UInt8], _ from: End, _ to: End) -> [UInt8] {
    from.address.family == .ipv4
        ? ipv4(transport, payload, from: from.address, to: to.address)
        : ipv6(transport, payload, from: from.address, to: to.address)
}

/// A TCP segment of the test's connection, out of the client and in from the server.
func segment(
    _ flags: TCPFlags, _ sequence: UInt32, _ acknowledgment: UInt32 = 0, window: UInt16 = 8192, length: Int = 0,
    options: [UInt8] = [], from: End = client, to: End = server, _ direction: Direction = .out, interface: UInt32 = 2
) -> TestPacket {
    var header = bytes(from.port) + bytes(to.port) + bytes(sequence) + bytes(acknowledgment)
    header += [UInt8(5 + options.count / 4) << 4, flags.rawValue] + bytes(window) + [0, 0, 0, 0] + options
    return TestPacket(
        ip(.tcp, header + [UInt8](repeating: 0x64, count: length), from, to), direction, interface: interface)
}

/// The same, from the server.
func answer(
    _ flags: TCPFlags, _ sequence: UInt32, _ acknowledgment: UInt32 = 0, window: UInt16 = 8192, length: Int = 0,
    options: [UInt8] = [], from: End = server, to: End = client
) -> TestPacket {
    segment(flags, sequence, acknowledgment, window: window, length: length, options: options, from: from, to: to, .in)
}

func datagram(_ from: End = client, _ to: End = server, _ direction: Direction = .out, interface: UInt32 = 2)
    -> TestPacket
{
    let header = bytes(from.port) + bytes(to.port) + bytes(9 as UInt16) + bytes(0 as UInt16)
    return TestPacket(ip(.udp, header + [0x75], from, to), direction, interface: interface)
}

/// An echo request or a reply.
func echo(
    request: Bool, identifier: UInt16 = 1, _ from: Address = alice, _ to: Address = bob, _ direction: Direction = .out
) -> TestPacket {
    let isIPv4 = from.family == .ipv4
    let type: UInt8 = isIPv4 ? (request ? 8 : 0) : (request ? 128 : 129)
    let message = [type, 0, 0, 0] + bytes(identifier) + bytes(1 as UInt16)
    return TestPacket(
        ip(isIPv4 ? .icmp : .icmpv6, message, End(address: from, port: 0), End(address: to, port: 0)), direction)
}

/// An ICMP error from a router, in, that quotes so many bytes of layer 4.
func icmpError(
    _ type: UInt8, about packet: TestPacket, quoting length: Int = 8, to receiver: Address? = nil,
    from router: Address? = nil, _ direction: Direction = .in
) -> TestPacket {
    let isIPv4 = packet.bytes[0] >> 4 == 4
    let quote = Array(packet.bytes.prefix((isIPv4 ? Int(packet.bytes[0] & 15) * 4 : 40) + length))
    let source = try! parse(packet.bytes).source
    let router = router ?? Address(isIPv4 ? "203.0.113.9" : "2001:db8:9::9")!
    return TestPacket(
        ip(
            isIPv4 ? .icmp : .icmpv6, icmp(type: type, payload: quote), End(address: router, port: 0),
            End(address: receiver ?? source, port: 0)), direction)
}

/// The lines of a file of `Vectors`.
func vector(_ name: String) -> [Substring] {
    let path = "\(#filePath.dropLast("StateFixture.swift".count))Vectors/\(name)"
    return String(decoding: FileManager.default.contents(atPath: path)!, as: UTF8.self).split(separator: "\n")
}
