import Packet
import TestSupport
import Testing

struct AddressTests {
    /// Text, and the text that RFC 5952 gives the same address.
    @Test(arguments: [
        ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("192.0.2.1", "192.0.2.1"),
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("0:0:0:0:0:0:0:0", "::"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("2001:DB8:AAAA:BBBB:CCCC:DDDD:EEEE:AAAA", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("0:0:1:0:0:0:0:0", "0:0:1::"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::ffff:c000:201", "::ffff:192.0.2.1"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
        ("fe80::1", "fe80::1"), ("::0:abcd", "::abcd"),
    ])
    func `reads RFC 4291 text and prints RFC 5952 text`(text: String, canonical: String) throws {
        let address = try #require(Address(text))
        #expect(address.description == canonical)
        #expect(Address(canonical) == address)
    }

    @Test(arguments: [
        "", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "010.0.0.1", "1.2.3.", ".1.2.3", "1..2.3",
        "0x1.2.3.4",
        "1.2.3.4 ", " 1.2.3.4", "+1.2.3.4", "1.2.3.-4", "1.2.3.4/8", "1.2.3.1000", "a.b.c.d", ":", ":::", "1:2",
        "::1::",
        "1::2::3", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8",
        "12345::", "g::", ":1::", "::1:", "1:2:3:4:5:6:7:", "::+1", "::-1", "fe80::1%eth0", "::1.2.3", "::1.2.3.4:5",
        "1.2.3.4::", "::01.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::ffff:192.0.2.256", "[::1]", "::é",
    ])
    func `rejects other text`(text: String) {
        #expect(Address(text) == nil)
    }

    @Test func `integers are in the order of the text`() {
        #expect(Address("192.0.2.1") == Address(ipv4: 0xc000_0201))
        #expect(
            Address("2001:db8:1:2:3:4:5:6") == Address(high: 0x2001_0db8_0001_0002, low: 0x0003_0004_0005_0006))
    }

    @Test func `families differ though their integers are equal`() {
        #expect(Address(ipv4: 1) != Address(high: 0, low: 1))
    }

    @Test func `orders IPv4 before IPv6 and then by number`() {
        let ordered = ["0.0.0.1", "10.0.0.1", "255.0.0.0", "::", "::1", "1::", "1::1", "ff02::1"].map { Address($0)! }
        var generator = SplitMix64(state: 1)
        #expect(ordered.shuffled(using: &generator).sorted() == ordered)
    }

    @Test func `every address survives its text`() {
        var generator = SplitMix64(state: 2)
        for _ in 0..<2000 {
            // Sparse bits give runs of zero groups.
            let mask = generator.next() & generator.next() & generator.next()
            let address = Address(high: generator.next() & mask, low: generator.next() & generator.next() & mask)
            #expect(Address(address.description) == address)
            let ipv4 = Address(ipv4: UInt32(truncatingIfNeeded: generator.next()))
            #expect(Address(ipv4.description) == ipv4)
        }
    }
}
