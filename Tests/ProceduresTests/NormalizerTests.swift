import Packet
import Procedures
import TestSupport
import Testing

func mend(_ packet: inout [UInt8]) throws {
    let headers = try parse(packet)
    var elements = packet.mutableSpan
    var span = unsafe elements.mutableBytes
    Checksum.mend(&span, headers: headers)
}

func hasValidChecksums(_ packet: [UInt8]) throws -> Bool {
    unsafe Checksum.isValid(packet.span.bytes, headers: try parse(packet))
}

extension Normalizer {
    mutating func apply(to packet: inout [UInt8]) throws -> Bool {
        let headers = try parse(packet)
        var elements = packet.mutableSpan
        var span = unsafe elements.mutableBytes
        return apply(to: &span, headers: headers)
    }
}

/// The option that offers a maximum segment size.
func mss(_ size: UInt16) -> [UInt8] { [2, 4] + bytes(size) }

struct NormalizerTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var parameters: NormalizeParameters
        var packet: [UInt8]
        /// The bytes that change, besides checksums.
        var changes: [Int: UInt8]
        var testDescription: String { name }
    }

    static let nop: [UInt8] = [1]
    static let superSegment = tcp(.ack, payload: Array(repeating: 7, count: 65_000))

    static func syn(_ options: [UInt8], flags: TCPFlags = .syn, payload: [UInt8] = []) -> [UInt8] {
        tcp(flags, payload: payload, options: options)
    }

    // 1460 is 0x05b4, 1400 is 0x0578.
    static let cases: [Case] = {
        func parameters(noDF: Bool = false, ttl: Int = 0, mss: Int = 0) -> NormalizeParameters {
            try! NormalizeParameters(noDF: noDF, minimumTTL: ttl, maximumMSS: mss)
        }
        let table: [(String, NormalizeParameters, [UInt8], [Int: UInt8])] = [
            ("nothing to do", parameters(), ipv4(.tcp, syn(mss(1460)), fragmentField: 0x4000), [:]),

            ("TTL below", parameters(ttl: 65), ipv4(.udp, udp()), [8: 65]),
            ("TTL at", parameters(ttl: 64), ipv4(.udp, udp()), [:]),
            ("TTL above", parameters(ttl: 63), ipv4(.udp, udp()), [:]),
            ("largest TTL", parameters(ttl: 255), ipv4(.igmp, []), [8: 255]),
            ("TTL of a later fragment", parameters(ttl: 65), ipv4(.udp, [1], fragmentField: 0x0010), [8: 65]),
            ("hop limit below", parameters(ttl: 65), ipv6(.udp, udp(checksum: 1)), [7: 65]),
            ("hop limit at", parameters(ttl: 64), ipv6(.udp, udp(checksum: 1)), [:]),
            ("TTL of a super-packet", parameters(ttl: 65), ipv4(.tcp, superSegment), [8: 65]),
            ("hop limit of a jumbo", parameters(ttl: 65), ipv6(.tcp, superSegment, length: 0), [7: 65]),

            ("DF", parameters(noDF: true), ipv4(.udp, udp(), fragmentField: 0x4000), [6: 0]),
            ("no DF there", parameters(noDF: true), ipv4(.udp, udp()), [:]),
            ("DF of a first fragment", parameters(noDF: true), ipv4(.udp, udp(), fragmentField: 0x6000), [6: 0x20]),
            ("DF of a later fragment", parameters(noDF: true), ipv4(.udp, [1], fragmentField: 0x4010), [6: 0]),
            ("the evil bit stays", parameters(noDF: true), ipv4(.udp, udp(), fragmentField: 0xc000), [6: 0x80]),
            ("IPv6 has no DF", parameters(noDF: true), ipv6(.udp, udp([0x40, 0x40], checksum: 1)), [:]),

            ("MSS above", parameters(mss: 1400), ipv4(.tcp, syn(mss(1460))), [42: 0x05, 43: 0x78]),
            ("MSS at", parameters(mss: 1460), ipv4(.tcp, syn(mss(1460))), [:]),
            ("MSS below", parameters(mss: 1461), ipv4(.tcp, syn(mss(1460))), [:]),
            ("largest MSS", parameters(mss: 65_534), ipv4(.tcp, syn(mss(65_535))), [43: 0xfe]),
            ("MSS of an answer", parameters(mss: 1400), ipv4(.tcp, syn(mss(1460), flags: [.syn, .ack])), [43: 0x78]),
            ("MSS without SYN", parameters(mss: 1400), ipv4(.tcp, syn(mss(1460), flags: .ack)), [:]),
            ("MSS over IPv6", parameters(mss: 1400), ipv6(.tcp, syn(mss(1460))), [63: 0x78]),
            (
                "MSS behind an extension header", parameters(mss: 1400),
                ipv6(.hopByHop, extensionHeader(next: .tcp) + syn(mss(1460))), [71: 0x78]
            ),
            (
                "MSS behind IP options", parameters(mss: 1400),
                ipv4(.tcp, syn(mss(1460)), options: [1, 1, 1, 0]), [47: 0x78]
            ),
            ("MSS at an odd place", parameters(mss: 1400), ipv4(.tcp, syn(nop + mss(1460) + [1, 1, 0])), [44: 0x78]),
            (
                "MSS behind others", parameters(mss: 1400),
                ipv4(.tcp, syn([3, 3, 7, 4, 2, 8, 10] + .zeros(8) + nop + mss(1460))), [59: 0x78]
            ),
            (
                "two of them", parameters(mss: 1400), ipv4(.tcp, syn(mss(1460) + mss(1401))),
                [43: 0x78, 47: 0x78]
            ),
            ("MSS behind the end of options", parameters(mss: 1400), ipv4(.tcp, syn([0, 1, 1, 1] + mss(1460))), [:]),
            (
                "MSS behind an option of length 0", parameters(mss: 1400), ipv4(.tcp, syn([8, 0, 1, 1] + mss(1460))),
                [:]
            ),
            (
                "MSS behind an option of length 1", parameters(mss: 1400), ipv4(.tcp, syn([8, 1, 1, 1] + mss(1460))),
                [:]
            ),
            ("MSS behind a long option", parameters(mss: 1400), ipv4(.tcp, syn([8, 9, 1, 1] + mss(1460))), [:]),
            (
                "MSS behind an option that ends it", parameters(mss: 1400), ipv4(.tcp, syn([8, 8, 1, 1] + mss(1460))),
                [:]
            ),
            ("MSS of length 3", parameters(mss: 1400), ipv4(.tcp, syn([2, 3, 5] + [1] + mss(1460))), [47: 0x78]),
            ("MSS of length 5", parameters(mss: 1400), ipv4(.tcp, syn([2, 5, 5, 0xb4, 0, 1, 1, 0])), [:]),
            (
                "MSS cut by the header's end", parameters(mss: 1400),
                ipv4(.tcp, syn([1, 1, 2, 4], payload: [5, 0xb4])), [:]
            ),
            (
                "MSS of which one byte is there", parameters(mss: 1400),
                ipv4(.tcp, syn([1, 1, 1, 2], payload: [4, 5])), [:]
            ),
            ("MSS in the payload", parameters(mss: 1400), ipv4(.tcp, syn([], payload: mss(1460))), [:]),
            (
                "MSS that is another's value", parameters(mss: 1400), ipv4(.tcp, syn([253, 8] + mss(1460) + [1, 1])),
                [:]
            ),
            ("MSS in a fragment", parameters(mss: 1400), ipv4(.tcp, syn(mss(1460)), fragmentField: 0x2000), [:]),
            (
                "MSS in an IPv6 fragment", parameters(mss: 1400),
                ipv6(.fragment, fragmentHeader(next: .tcp, offset: 0, moreFollow: true) + syn(mss(1460))), [:]
            ),
            (
                "MSS in an atomic fragment", parameters(mss: 1400),
                ipv6(.fragment, fragmentHeader(next: .tcp, offset: 0, moreFollow: false) + syn(mss(1460))),
                [71: 0x78]
            ),
            ("MSS in UDP", parameters(mss: 1400), ipv4(.udp, syn(mss(1460))), [:]),
            ("MSS of a full header", parameters(mss: 1400), ipv4(.tcp, syn(.nops(36) + mss(1460))), [79: 0x78]),

            (
                "everything", parameters(noDF: true, ttl: 255, mss: 1400),
                ipv4(.tcp, syn(mss(1460)), fragmentField: 0x4000), [6: 0, 8: 255, 43: 0x78]
            ),
            (
                "a packet that is not all there", parameters(noDF: true, ttl: 255, mss: 1400),
                ipv4(.tcp, syn(mss(1460)), fragmentField: 0x4000, length: 60), [:]
            ),
        ]
        return table.map { Case(name: $0.0, parameters: $0.1, packet: $0.2, changes: $0.3) }
    }()

    @Test(arguments: cases)
    func `changes what it should and nothing else`(_ test: Case) throws {
        var normalizer = Normalizer(test.parameters, seed: 1)
        var packet = test.packet
        #expect(try normalizer.apply(to: &packet) == !test.changes.isEmpty)
        var expected = test.packet
        for (offset, byte) in test.changes { expected[offset] = byte }
        #expect(packet == expected)
        try mend(&packet)
        #expect(try hasValidChecksums(packet))
    }

    @Test func `identifications become random, but not those of fragments`() throws {
        var normalizer = Normalizer(try NormalizeParameters(randomID: true), seed: 3)
        var seen: Set<UInt16> = []
        for _ in 0..<1000 {
            var packet = ipv4(.udp, udp([1, 2, 3]), fragmentField: 0x4000)
            let before = packet
            #expect(try normalizer.apply(to: &packet))
            seen.insert(UInt16(packet[4]) << 8 | UInt16(packet[5]))
            packet.replaceSubrange(4..<6, with: before[4..<6])
            #expect(packet == before)
        }
        // Of a thousand random numbers of 16 bits eight meet another.
        #expect(seen.count > 980)
        for fragment in [0x2000, 0x0010, 0x2010] as [UInt16] {
            var packet = ipv4(.udp, udp([1, 2, 3]), fragmentField: fragment)
            #expect(try !normalizer.apply(to: &packet))
            #expect(packet == ipv4(.udp, udp([1, 2, 3]), fragmentField: fragment))
        }
        var packet = ipv6(.udp, udp(checksum: 1))
        #expect(try !normalizer.apply(to: &packet))
    }

    @Test func `the same seed gives the same identifications`() throws {
        func identifications(seed: UInt64) throws -> [[UInt8]] {
            var normalizer = Normalizer(try NormalizeParameters(randomID: true), seed: seed)
            return try (0..<5).map { _ in
                var packet = ipv4(.udp, udp())
                _ = try normalizer.apply(to: &packet)
                return Array(packet[4..<6])
            }
        }
        #expect(try identifications(seed: 1) == identifications(seed: 1))
        #expect(try identifications(seed: 1) != identifications(seed: 2))
    }

    /// Every packet of the table, damaged: it stays as readable as it was, of the same length, and can be mended.
    @Test func `no damaged packet does harm`() throws {
        var generator = SplitMix64(state: 9)
        let packets = Self.cases.map(\.packet).filter { $0.count < 1000 }
        var parsed = 0
        for _ in 0..<100_000 {
            var packet = packets.randomElement(using: &generator)!
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                packet[Int.random(in: 0..<packet.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            guard let headers = try? parse(packet) else { continue }
            parsed += 1
            let parameters = try NormalizeParameters(
                randomID: Bool.random(using: &generator), noDF: Bool.random(using: &generator),
                minimumTTL: Int.random(in: 0...255, using: &generator),
                maximumMSS: Int.random(in: 0...2000, using: &generator))
            var normalizer = Normalizer(parameters, seed: generator.next())
            let before = packet
            let isChanged = try normalizer.apply(to: &packet)
            #expect(isChanged == (packet != before))
            #expect(packet.count == before.count)
            let after = try parse(packet)
            #expect(after.transportOffset == headers.transportOffset && after.payloadOffset == headers.payloadOffset)
            #expect(after.length == headers.length && after.isFragment == headers.isFragment)
            #expect(packet[headers.payloadOffset...] == before[headers.payloadOffset...])
            try mend(&packet)
            #expect(try hasValidChecksums(packet))
        }
        #expect(parsed > 30_000)
    }

    @Test func `headers of another packet do no harm`() throws {
        let long = try parse(ipv4(.tcp, Self.syn(.nops(36) + mss(1460))))
        var normalizer = Normalizer(try NormalizeParameters(noDF: true, minimumTTL: 255, maximumMSS: 1), seed: 0)
        let short = ipv4(.udp, udp(), fragmentField: 0x4000)
        var packet = short
        var elements = packet.mutableSpan
        var span = unsafe elements.mutableBytes
        #expect(!normalizer.apply(to: &span, headers: long))
        #expect(packet == short)
    }
}

extension [UInt8] {
    static func zeros(_ count: Int) -> [UInt8] { Array(repeating: 0, count: count) }
    static func nops(_ count: Int) -> [UInt8] { Array(repeating: 1, count: count) }
}
