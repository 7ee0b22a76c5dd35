import CaptureFile
import TestSupport
import Testing

struct MutationTests {
    @Test func `no damaged file does harm`() {
        var generator = SplitMix64(state: 7)
        let files = [CaptureWriterTests.written(.pcap), CaptureWriterTests.written(.pcapng)]
        var whole = 0
        for _ in 0..<20_000 {
            var bytes = files.randomElement(using: &generator)!
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            let (packets, error) = read(bytes)
            for packet in packets {
                guard let range = packet.packet else { continue }
                #expect(range.lowerBound >= 24 && range.upperBound <= bytes.count)
            }
            if error == nil { whole += 1 }
        }
        // Otherwise the test would have looked at the first header only.
        #expect(whole > 5000)
    }
}
