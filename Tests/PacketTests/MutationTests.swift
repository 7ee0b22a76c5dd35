import Packet
import TestSupport
import Testing

struct MutationTests {
    /// What arrives on the packet path from outside, damaged in every way, leads to no trap and to no write out of place.
    @Test func `no damaged packet does harm`() throws {
        var generator = SplitMix64(state: 6)
        let packets = PacketHeadersTests.cases.map(\.packet).filter { $0.count < 1000 } + [ipv6(.routing, .ones(200))]
        var parsed = 0
        for _ in 0..<100_000 {
            var packet = packets.randomElement(using: &generator)!
            packet.removeLast(Int.random(in: 0...min(4, packet.count), using: &generator))
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !packet.isEmpty {
                // Most damage goes to the headers.
                let end = min(packet.count, Bool.random(using: &generator) ? 60 : Int.max)
                packet[Int.random(in: 0..<end, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            guard let headers = try? parse(packet) else { continue }
            parsed += 1
            let before = packet
            mend(&packet, headers: headers)
            #expect(packet.count == before.count)
            #expect(hasValidChecksums(packet, headers: headers))
            _ = try refusal(of: before)
        }
        // Otherwise the test would have looked at the first guard only.
        #expect(parsed > 30_000)
    }
}
