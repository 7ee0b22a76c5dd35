import Packet
import TestSupport
import Testing

struct PrefixTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"),
        ("255.255.255.255/0", "0.0.0.0/0"), ("192.0.2.129/25", "192.0.2.128/25"), ("2001:db8::1/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"), ("ffff::1/0", "::/0"), ("1:2:3:4:5::/64", "1:2:3:4::/64"),
        ("1:2:3:4:8000::1/65", "1:2:3:4:8000::/65"), ("::ffff:1/127", "::ffff:0/127"), ("1:2:3:5::/63", "1:2:3:4::/63"),
    ])
    func `reads networks and clears host bits`(text: String, canonical: String) {
        #expect(Prefix(text)?.description == canonical)
    }

    @Test(arguments: [
        "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8/8",
        "::/129",
        "10.0.0.0/255.0.0.0", "10/8", "10.0.0.0 /8", "10.0.0.0/8 ", "::/99999999999999999999",
    ])
    func `rejects other text`(text: String) {
        #expect(Prefix(text) == nil)
    }

    @Test func `rejects lengths that the family does not have`() {
        #expect(Prefix(alice, length: -1) == nil)
        #expect(Prefix(alice, length: 33) == nil)
        #expect(Prefix(alice6, length: 129) == nil)
    }

    @Test func `never contains an address of the other family`() {
        #expect(!Prefix("0.0.0.0/0")!.contains(Address("::")!))
        #expect(!Prefix("::/0")!.contains(Address("0.0.0.0")!))
    }

    /// An address differs from the network's in one bit: it is outside exactly if that bit is in the prefix.
    @Test func `contains what shares every bit of the prefix`() {
        var generator = SplitMix64(state: 3)
        for width in [32, 128] {
            let address =
                width == 32
                ? Address(ipv4: UInt32(truncatingIfNeeded: generator.next()))
                : Address(high: generator.next(), low: generator.next())
            for length in 0...width {
                let prefix = Prefix(address, length: length)!
                #expect(prefix.contains(address))
                #expect(prefix.contains(prefix.address))
                for bit in 0..<width {
                    var other = address
                    let place = width - 1 - bit
                    if place < 64 { other.low ^= 1 << UInt64(place) } else { other.high ^= 1 << UInt64(place - 64) }
                    #expect(prefix.contains(other) == (bit >= length), "\(prefix), bit \(bit)")
                }
            }
        }
    }
}
