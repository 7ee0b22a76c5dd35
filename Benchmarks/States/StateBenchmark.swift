import Glibc
import Packet
import States

/// What a lookup costs among a million connections, beside a read of memory that is anywhere.
///
/// Medians of seven rounds, each over every connection once, in random order.
@main
enum StateBenchmark {
    private static let connections = 1_000_000
    private static let rounds = 7
    private static let batch = 32

    static func main() {
        let headers = shuffledHeaders()
        let before = residentKiB()
        var table = StateTable(capacity: connections, seed: (0x0123, 0x4567), parameters: StateParameters())
        let empty = residentKiB()
        let nothing: [UInt8] = []
        for header in headers {
            guard let key = unsafe table.key(header, packet: nothing.span.bytes, interface: 2, direction: .out) else {
                continue
            }
            _ = unsafe table.create(
                key, header, packet: nothing.span.bytes, kind: .stateful, entry: 1, procedure: -1, now: 1)
        }
        precondition(table.count == connections)
        let full = residentKiB()

        let order = shuffled(connections, seed: 7)
        // So large that it is in no cache, as the table is.
        var memory = [UInt64](repeating: 1, count: connections * 16)
        for index in order.indices { memory[order[index] * 16] = UInt64(order[(index + 1) % connections]) }

        let access = median {
            var place = 0
            for _ in 0..<connections { place = Int(memory[place * 16]) }
            return place
        }
        let keys = order.map { index in
            unsafe table.key(headers[index], packet: nothing.span.bytes, interface: 2, direction: .out)!
        }
        let udp = headers[0]
        let single = median {
            var found = 0
            for key in keys {
                if case .pass = unsafe table.lookup(key, udp, packet: nothing.span.bytes, now: 2) { found += 1 }
            }
            precondition(found == connections)
            return found
        }
        // As a worker does with a batch of packets.
        let batched = median {
            var found = 0
            for start in stride(from: 0, to: keys.count, by: batch) {
                let end = min(start + batch, keys.count)
                for index in start..<end { table.prefetchIndex(keys[index]) }
                for index in start..<end { table.prefetchState(keys[index]) }
                for index in start..<end {
                    if case .pass = unsafe table.lookup(keys[index], udp, packet: nothing.span.bytes, now: 2) {
                        found += 1
                    }
                }
            }
            precondition(found == connections)
            return found
        }
        let making = median {
            var sum: UInt32 = 0
            for index in 0..<connections {
                let key = unsafe table.key(headers[index], packet: nothing.span.bytes, interface: 2, direction: .out)
                if key != nil { sum &+= 1 }
            }
            return Int(sum)
        }

        print("\(connections) connections over UDP, medians of \(rounds) rounds:")
        report("a read of memory anywhere", access, access)
        report("a key from parsed headers", making, access)
        report("a lookup of a known key", single, access)
        report("the same, \(batch) prefetched at a time", batched, access, most: 100)
        let resident = (full - before) / 1024
        print(
            "memory: \((empty - before) / 1024) MiB empty, \(resident) MiB full, at most 256 MiB  "
                + (resident <= 256 ? "ok" : "OVER"))
    }

    private static func report(_ name: String, _ nanoseconds: Double, _ access: Double, most: Double? = nil) {
        let padding = String(repeating: " ", count: max(40 - name.count, 0))
        let verdict = most.map { ", at most \(Int($0)) ns  \(nanoseconds <= $0 ? "ok" : "OVER")" } ?? ""
        print("  \(name)\(padding)\(tenths(nanoseconds)) ns   \(tenths(nanoseconds / access)) times a read\(verdict)")
    }

    private static func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    /// Nanoseconds for one of the `connections` things that a round does.
    private static func median(_ round: () -> Int) -> Double {
        var times: [Double] = []
        var sink = 0
        for _ in 0..<rounds {
            let start = processorTime
            sink &+= round()
            times.append(processorTime - start)
        }
        precondition(sink != -1)
        return times.sorted()[rounds / 2] / Double(connections)
    }

    /// The processor's time that this thread has had, in nanoseconds: what else the machine does counts less.
    private static var processorTime: Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }

    private static func shuffledHeaders() -> [PacketHeaders] {
        shuffled(connections, seed: 1).map { number in
            PacketHeaders(
                transportProtocol: .udp, source: Address(ipv4: 0x0a00_0000 | UInt32(number)),
                destination: Address(ipv4: 0xc633_6407), sourcePort: UInt16(truncatingIfNeeded: number &* 31),
                destinationPort: 443)
        }
    }

    private static func shuffled(_ count: Int, seed: UInt64) -> [Int] {
        var state = seed
        var numbers = Array(0..<count)
        for index in stride(from: count - 1, to: 0, by: -1) {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            numbers.swapAt(index, Int(state >> 33) % (index + 1))
        }
        return numbers
    }

    /// The memory of this process that is not swapped out.
    private static func residentKiB() -> Int {
        guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
        defer { unsafe fclose(file) }
        var text = [CChar](repeating: 0, count: 128)
        guard unsafe fgets(&text, Int32(text.count), file) != nil else { return 0 }
        let pages = String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")[1]
        return (Int(pages) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) / 1024
    }
}
