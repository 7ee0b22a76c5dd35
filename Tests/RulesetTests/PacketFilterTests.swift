import ConfigLanguage
import FoundationEssentials
import Packet
import Ruleset
import TestSupport
import Testing

/// `pcap-filter`: programs of the classic BPF machine.
struct PacketFilterTests {
    private struct Refused: Error, CustomStringConvertible {
        var description: String { "syntax error in filter expression" }
    }

    private func accepts(_ program: [BPFInstruction], _ packet: [UInt8]) throws -> Bool {
        let ruleset = try CompiledRuleset(compiling: parse("group default { pass pcap-filter \"x\" }")) { _ in program }
        return unsafe ruleset.evaluate(headers, bytes: packet.span.bytes, interface: 0, direction: .in).entry == 2
    }

    private let headers = packet(.tcp, "10.0.0.1", "10.0.0.2")

    private func instructions(_ text: some StringProtocol) -> [BPFInstruction] {
        text.split(separator: "/").map { line in
            let numbers = line.split(separator: " ").map { UInt32($0)! }
            return BPFInstruction(
                code: UInt16(numbers[0]), jt: UInt8(numbers[1]), jf: UInt8(numbers[2]), k: numbers[3])
        }
    }

    /// What libpcap compiles decides as libpcap does.
    @Test func programsDecideAsInLibpcap() throws {
        let path = "\(#filePath.dropLast("PacketFilterTests.swift".count))Vectors/pcap-filter.txt"
        let data = try #require(FileManager.default.contents(atPath: path))
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }
        let packets = lines.filter { $0.hasPrefix("P ") }.map { line in
            let digits = Array(line.dropFirst(2).utf8)
            return stride(from: 0, to: digits.count, by: 2).map {
                UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)!
            }
        }
        #expect(packets.count == 14)
        var count = 0
        for (index, line) in lines.enumerated() where line.hasPrefix("= ") {
            count += 1
            let program = instructions(lines[index + 1])
            let expected = lines[index + 2].split(separator: " ").compactMap { Int($0) }
            let accepted = try packets.indices.filter { try accepts(program, packets[$0]) }.map { $0 + 1 }
            #expect(accepted == expected, "\(line)")
        }
        #expect(count >= 20)
    }

    /// A program with what is wrong with it.
    @Test(arguments: [
        ("", BPFProgramError.length),
        ("255 0 0 0/6 0 0 1", .unknownInstruction(0)),
        ("65535 0 0 0/6 0 0 1", .unknownInstruction(0)),
        ("0 0 0 1", .end),
        ("6 0 0 1/0 0 0 1", .end),
        ("5 0 0 1/6 0 0 1", .jump(0)),
        ("5 0 0 4294967295/6 0 0 1", .jump(0)),
        ("21 1 0 1/6 0 0 1", .jump(0)),
        ("21 0 1 1/6 0 0 1", .jump(0)),
        ("96 0 0 16/6 0 0 1", .memory(0)), ("97 0 0 16/6 0 0 1", .memory(0)), ("2 0 0 16/6 0 0 1", .memory(0)),
        ("3 0 0 4294967295/6 0 0 1", .memory(0)),
        ("0 0 0 1/52 0 0 0/6 0 0 1", .division(1)), ("148 0 0 0/6 0 0 1", .division(0)),
    ])
    func programsAreVerified(_ program: String, _ expected: BPFProgramError) throws {
        let configuration = try parse("group default {\npass pcap-filter \"x y\"\n}")
        let error = #expect(throws: ConfigurationErrors.self) {
            try CompiledRuleset(compiling: configuration) { _ in instructions(program) }
        }
        #expect(error?.diagnostics.first?.description == "npf.conf:2:18: `x y`: \(expected)")
    }

    @Test func longProgramsAreRefused() throws {
        let configuration = try parse("group default { pass pcap-filter \"x\" }")
        let end = BPFInstruction(code: 6, jt: 0, jf: 0, k: 1)
        for (count, isAccepted) in [(4096, true), (4097, false)] {
            let ruleset = try? CompiledRuleset(compiling: configuration) { _ in Array(repeating: end, count: count) }
            #expect((ruleset != nil) == isAccepted, "\(count)")
        }
    }

    /// Programs that no compiler makes, with what they say to a packet of the bytes 1, 2, 3, 4, 0x45.
    @Test(arguments: [
        // Loads of 4, 2 and 1 bytes, the last that fit and the first that do not.
        ("32 0 0 1/21 0 1 33752133/6 0 0 1/6 0 0 0", true), ("32 0 0 2/6 0 0 1", false),
        ("40 0 0 3/21 0 1 1093/6 0 0 1/6 0 0 0", true), ("40 0 0 4/6 0 0 1", false),
        ("48 0 0 4/22 0 0 0", true), ("48 0 0 5/6 0 0 1", false), ("48 0 0 4294967295/6 0 0 1", false),
        ("1 0 0 3/80 0 0 1/21 0 1 69/6 0 0 1/6 0 0 0", true), ("1 0 0 4294967295/80 0 0 4294967295/6 0 0 1", false),
        ("1 0 0 2/72 0 0 4294967295/6 0 0 1", false), ("1 0 0 4294967295/64 0 0 1/6 0 0 1", false),
        ("177 0 0 4/135 0 0 0/21 0 1 20/6 0 0 1/6 0 0 0", true), ("177 0 0 5/6 0 0 1", false),
        ("128 0 0 0/21 0 1 5/6 0 0 1/6 0 0 0", true), ("129 0 0 0/135 0 0 0/21 0 1 5/6 0 0 1/6 0 0 0", true),
        // Division by a zero that only shows while it runs.
        ("0 0 0 7/1 0 0 0/60 0 0 0/6 0 0 1", false), ("0 0 0 7/1 0 0 0/156 0 0 0/6 0 0 1", false),
        ("0 0 0 7/1 0 0 4/156 0 0 0/21 0 1 3/6 0 0 1/6 0 0 0", true),
        // Arithmetic wraps around, shifts by 32 and more leave nothing.
        ("0 0 0 0/20 0 0 1/21 0 1 4294967295/6 0 0 1/6 0 0 0", true),
        ("0 0 0 4294967295/4 0 0 2/21 0 1 1/6 0 0 1/6 0 0 0", true),
        ("0 0 0 2147483649/36 0 0 2/21 0 1 2/6 0 0 1/6 0 0 0", true),
        ("0 0 0 1/100 0 0 32/21 0 1 0/6 0 0 1/6 0 0 0", true),
        ("0 0 0 1/1 0 0 40/124 0 0 0/21 0 1 0/6 0 0 1/6 0 0 0", true),
        ("0 0 0 1/132 0 0 0/21 0 1 4294967295/6 0 0 1/6 0 0 0", true),
        // Memory is zero at first, and holds both registers.
        ("96 0 0 15/21 0 1 0/6 0 0 1/6 0 0 0", true),
        ("0 0 0 9/2 0 0 15/97 0 0 15/3 0 0 0/96 0 0 0/21 0 1 9/6 0 0 1/6 0 0 0", true),
        ("0 0 0 9/7 0 0 0/0 0 0 0/135 0 0 0/21 0 1 9/6 0 0 1/6 0 0 0", true),
        // Comparisons.
        ("0 0 0 5/37 0 1 5/6 0 0 1/6 0 0 0", false), ("0 0 0 5/53 0 1 5/6 0 0 1/6 0 0 0", true),
        ("0 0 0 5/69 0 1 4/6 0 0 1/6 0 0 0", true), ("0 0 0 5/69 0 1 2/6 0 0 1/6 0 0 0", false),
        ("0 0 0 5/1 0 0 5/29 0 1 0/6 0 0 1/6 0 0 0", true), ("0 0 0 5/1 0 0 6/45 0 1 0/6 0 0 1/6 0 0 0", false),
        ("0 0 0 5/5 0 0 1/6 0 0 0/6 0 0 1", true),
        ("0 0 0 0/22 0 0 0", false),
    ])
    func machine(_ program: String, _ expected: Bool) throws {
        #expect(try accepts(instructions(program), [1, 2, 3, 4, 0x45]) == expected, "\(program)")
    }

    @Test func aCompilersErrorIsToldAtItsPlace() throws {
        let configuration = try parse("group default {\nblock in pcap-filter \"tcp prt 5\"\n}")
        let error = #expect(throws: ConfigurationErrors.self) {
            try CompiledRuleset(compiling: configuration) { _ throws in throw Refused() }
        }
        #expect(
            error?.diagnostics.first?.description
                == "npf.conf:2:22: `tcp prt 5`: syntax error in filter expression")
    }

    /// Any bytes make a program that is refused, or that ends on any packet.
    @Test func randomProgramsEnd() throws {
        var random = SplitMix64(state: 7)
        let codes: [UInt16] = [
            0x00, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x80, 0x01, 0x61, 0x81, 0xb1, 0x02, 0x03, 0x04, 0x0c, 0x14,
            0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0x94, 0x9c, 0xa4, 0xac,
            0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x06, 0x16, 0x07, 0x87,
        ]
        let configuration = try parse("group default { pass pcap-filter \"x\" }")
        var accepted = 0
        for _ in 0..<5_000 {
            let program =
                (0..<Int.random(in: 1...12, using: &random)).map { _ in
                    BPFInstruction(
                        code: codes.randomElement(using: &random)!, jt: UInt8.random(in: 0...2, using: &random),
                        jf: UInt8.random(in: 0...2, using: &random),
                        k: Bool.random(using: &random) ? UInt32.random(in: 0...20, using: &random) : .max)
                } + [BPFInstruction(code: 6, jt: 0, jf: 0, k: 1)]
            guard let ruleset = try? CompiledRuleset(compiling: configuration, packetFilter: { _ in program }) else {
                continue
            }
            accepted += 1
            for count in [0, 1, 5, 40] {
                let bytes = random.bytes(count)
                _ = unsafe ruleset.evaluate(headers, bytes: bytes.span.bytes, interface: 0, direction: .in)
            }
        }
        #expect(accepted > 500)
    }
}
