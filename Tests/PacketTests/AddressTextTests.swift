import Glibc
import Packet
import TestSupport
import Testing

/// Text of addresses, held to what the C library makes of it.
@Suite struct AddressTextTests {
    private func reference(_ text: String) -> Address? {
        var ipv4 = in_addr()
        if unsafe inet_pton(AF_INET, text, &ipv4) == 1 { return Address(ipv4: UInt32(bigEndian: ipv4.s_addr)) }
        var ipv6 = (UInt64(0), UInt64(0))
        guard unsafe inet_pton(AF_INET6, text, &ipv6) == 1 else { return nil }
        return Address(high: UInt64(bigEndian: ipv6.0), low: UInt64(bigEndian: ipv6.1))
    }

    private func reference(_ address: Address) -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        var bytes = bytes(address)
        let family = address.family == .ipv4 ? AF_INET : AF_INET6
        unsafe inet_ntop(family, &bytes, &buffer, socklen_t(buffer.count))
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private func randomAddress(_ generator: inout SplitMix64) -> Address {
        let bits = generator.next()
        if bits & 3 == 0 { return Address(ipv4: UInt32(truncatingIfNeeded: generator.next())) }
        // Whole groups of zeros, here and there.
        func mask(_ bits: UInt64) -> UInt64 {
            (0..<4).reduce(0) { $0 << 16 | (bits >> UInt64($1) & 1 == 0 ? 0 : generator.next() & 0xffff) }
        }
        return Address(high: mask(bits >> 2), low: mask(bits >> 6))
    }

    @Test func textOfAnAddressIsTheCLibrarys() {
        var generator = SplitMix64(state: 21)
        for _ in 0..<100_000 {
            let address = randomAddress(&generator)
            // The C library writes the deprecated IPv4-compatible addresses (RFC 4291 section 2.5.5.1) with dots.
            if address.family == .ipv6, address.high == 0, address.low >> 32 == 0 { continue }
            #expect("\(address)" == reference(address))
        }
    }

    @Test func addressOfATextIsTheCLibrarys() {
        var generator = SplitMix64(state: 22)
        var (read, refused) = (0, 0)
        let characters = Array("0123456789abcdefABCDEF:::::....%/ +-xg".utf8)
        for _ in 0..<300_000 {
            var text = Array(reference(randomAddress(&generator)).utf8)
            for _ in 0..<Int(generator.next() % 3) {
                let place = Int(generator.next() % UInt64(text.count))
                let character = characters[Int(generator.next() % UInt64(characters.count))]
                switch generator.next() % 3 {
                case 0: text[place] = character
                case 1: text.insert(character, at: place)
                default: if text.count > 1 { text.remove(at: place) }
                }
            }
            let string = String(decoding: text, as: UTF8.self)
            let expected = reference(string)
            guard Address(string) == expected else {
                Issue.record("\(string): \(Address(string).map { "\($0)" } ?? "nil")")
                return
            }
            if expected == nil { refused += 1 } else { read += 1 }
        }
        #expect(read > 100_000 && refused > 50_000, "\(read) read, \(refused) refused")
    }
}
