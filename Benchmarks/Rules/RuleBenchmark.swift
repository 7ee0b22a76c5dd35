import AddressTables
import ConfigLanguage
import Engine
import Glibc
import LuaRuntime
import Packet
import TestSupport

/// What a decision costs in the engine alone, without a queue, and what a reload of many rules does.
///
/// Each figure is the median of several rounds of the thread's own processor time.
@main
enum RuleBenchmark {
    private static let rounds = 9

    static func main() throws {
        let scripts = ScriptFolder(at: "/tmp/npflua-rules-\(getpid())")
        defer { scripts.remove() }

        try decisions("the headers alone: pass all", "group default { pass all }\n", scripts)
        for (name, file, _) in ScriptFolder.scripts {
            let procedure = "procedure \"p\" { lua: file \"\(file)\", call filter }\n"
            try decisions("a script that \(name)", procedure + "group default { pass all apply \"p\" }\n", scripts)
        }
        for (rules, most) in [(100, 400.0), (1000, 3000.0)] {
            try decisions("\(rules) rules, all tried", text(rules: rules), scripts, most: most)
        }
        try connections(1 << 8, scripts)
        try connections(1 << 20, scripts)
        try networks(1_000_000, scripts)

        let text = text(rules: 10_000)
        let reload = try median { _ = try Filter(load(text, scripts), seed: 1) }
        Line("10,000 rules: read, compiled, made a filter", reload / 1e6, "ms", most: 150).print()
    }

    /// What a packet costs that every rule of the text is tried on.
    private static func decisions(
        _ name: String, _ text: String, _ scripts: ScriptFolder, most: Double? = nil
    ) throws {
        let count = 20_000
        var filter = try Filter(load(text, scripts), seed: 1)
        var packet = datagram
        let interface: StaticString = "eth0"
        let interfaceName = unsafe UnsafeRawPointer(interface.utf8Start).assumingMemoryBound(to: CChar.self)
        let nanoseconds = unsafe packet.withUnsafeMutableBytes { packet in
            let origin = unsafe PacketOrigin(
                interface: 0, interfaceName: interfaceName, direction: .in, time: 1, clock: 1)
            return median {
                for _ in 0..<count {
                    precondition(unsafe filter.decide(packet, from: origin).verdict == .pass, name)
                }
            }
        }
        Line(name, nanoseconds / Double(count), "ns", most: most).print()
    }

    /// What a packet of one of so many connections costs, a power of two.
    private static func connections(_ count: Int, _ scripts: ScriptFolder) throws {
        var filter = try Filter(load("group default { pass stateful all }\n", scripts), seed: 1)
        var connection: UInt32 = 0
        // Every connection comes once before one comes again, in an order that no cache foresees.
        unsafe batches("one of \(count) connections", of: datagram, .pass, max(count, 1 << 16), &filter) { packet in
            connection = (connection &* 1_664_525 &+ 1_013_904_223) & UInt32(count - 1)
            unsafe packet.storeBytes(of: connection.bigEndian, toByteOffset: 12, as: UInt32.self)
        }
        precondition(filter.stateCount == count)
    }

    /// What a packet costs that comes from one of so many networks of a table.
    private static func networks(_ count: Int, _ scripts: ScriptFolder) throws {
        let configuration = try load(
            "table <t> type lpm\ngroup default {\n\tpass all\n\tblock in from <t>\n}\n", scripts)
        var random = SplitMix64(state: 1)
        var networks: Set<Prefix> = []
        while networks.count < count {
            // Of those in use, 2000::/3.
            let address = Address(high: random.next() >> 3 | 1 << 61, low: random.next())
            networks.insert(Prefix(address, length: 24 + Int(random.next() % 105))!)
        }
        try configuration.tables["t"]!.replace(with: networks.map { TableEntry($0) }, now: 1)
        let sources = networks.shuffled(using: &random)
            .flatMap { [$0.address.high.bigEndian, $0.address.low.bigEndian] }
        var filter = try Filter(configuration, seed: 1)
        var next = 0
        unsafe batches("one of \(count) IPv6 networks", of: datagram6, .block, max(count, 1 << 16), &filter) { packet in
            unsafe packet.storeBytes(of: sources[next], toByteOffset: 8, as: UInt64.self)
            unsafe packet.storeBytes(of: sources[next + 1], toByteOffset: 16, as: UInt64.self)
            next = next + 2 < sources.count ? next + 2 : 0
        }
    }

    /// What packets cost decided as they come, and with their batch as a worker does.
    ///
    /// - Parameter next: makes the next packet of one.
    private static func batches(
        _ name: String, of packet: [UInt8], _ verdict: Verdict, _ decisions: Int, _ filter: inout Filter,
        next: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        let size = 32
        var batch = PreparedBatch(capacity: size)
        var packets = (0..<size).flatMap { _ in packet }
        let interface: StaticString = "eth0"
        let interfaceName = unsafe UnsafeRawPointer(interface.utf8Start).assumingMemoryBound(to: CChar.self)
        unsafe packets.withUnsafeMutableBytes { packets in
            let origin = unsafe PacketOrigin(
                interface: 0, interfaceIndex: 2, interfaceName: interfaceName, direction: .in, time: 1, clock: 1)
            let slots = unsafe (0..<size).map {
                unsafe UnsafeMutableRawBufferPointer(rebasing: packets[($0 * packet.count)...].prefix(packet.count))
            }
            func round(isPrepared: Bool) {
                for _ in 0..<(decisions / size) {
                    for index in 0..<size { unsafe next(slots[index]) }
                    batch.removeAll()
                    if isPrepared && filter.gainsFromPreparing(size) {
                        for index in 0..<size {
                            unsafe batch.append(
                                slots[index], originalLength: 0, interface: 2, direction: .in, for: filter)
                        }
                        batch.prefetch(for: filter)
                    }
                    for index in 0..<size {
                        precondition(unsafe filter.decide(slots[index], batch[index], from: origin).verdict == verdict)
                    }
                }
            }
            round(isPrepared: false)
            let single = median { round(isPrepared: false) } / Double(decisions)
            let batched = median { round(isPrepared: true) } / Double(decisions)
            Line("\(name), decided alone", single, "ns", most: nil).print()
            Line("the same, in batches of \(size)", batched, "ns", most: nil).print()
        }
    }

    private static func load(_ text: String, _ scripts: ScriptFolder) throws -> LoadedConfiguration {
        try LoadedConfiguration(text: Array(text.utf8), file: "npf.conf", scripts: scripts.directory)
    }

    /// Rules whose ports and networks no packet has, behind one that passes.
    private static func text(rules: Int) -> String {
        var text = "group default {\n\tpass all\n"
        for rule in 1..<rules {
            text += "\tblock in final proto udp from 10.\(rule >> 8 & 0xff).\(rule & 0xff).0/24 to any port \(rule)\n"
        }
        return text + "}\n"
    }

    /// A UDP packet of IPv4 with 18 bytes of payload, from 192.0.2.2 to 198.51.100.2.
    private static let datagram: [UInt8] =
        [0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 2, 198, 51, 100, 2]
        + [0x80, 0, 0, 9, 0, 26, 0, 0] + [UInt8](repeating: 0, count: 18)

    /// The same of IPv6, from 2001:db8:1::2 to 2001:db8:2::2.
    private static let datagram6: [UInt8] =
        [0x60, 0, 0, 0, 0, 26, 17, 64, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
        + [0x20, 1, 0x0d, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2] + datagram[20...]

    private static func median(_ round: () throws -> Void) rethrows -> Double {
        var times: [Double] = []
        for _ in 0..<rounds {
            let start = processorTime
            try round()
            times.append(processorTime - start)
        }
        return times.sorted()[rounds / 2]
    }

    /// The processor's time that this thread has had, in nanoseconds: what else the machine does counts less.
    private static var processorTime: Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
}

/// A figure, beside the most that it may be.
private struct Line {
    let name: String
    let value: Double
    let unit: String
    let most: Double?

    init(_ name: String, _ value: Double, _ unit: String, most: Double?) {
        (self.name, self.value, self.unit, self.most) = (name, value, unit, most)
    }

    func print() {
        let padding = String(repeating: " ", count: max(1, 50 - name.count))
        let verdict = most.map { "at most \(Int($0)) \(unit)  \(value <= $0 ? "ok" : "OVER")" } ?? ""
        Swift.print("\(name)\(padding)\((value * 10).rounded() / 10) \(unit)  \(verdict)")
    }
}
