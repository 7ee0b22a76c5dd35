import CPcap
import Packet
import PcapFilter
import SystemSupport
import Testing

struct PcapExpressionTests {
    private static let vectors: [[String]] = {
        let folder = #filePath.prefix(upTo: #filePath.lastIndex(of: "/")!)
        let bytes = try! File.read("\(folder)/Vectors/pcap-filter.tsv", limit: 1 << 20)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }
            .map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) }
    }()

    private static let packets = vectors.filter { $0[0] == "packet" }.map { (name: $0[1], bytes: unhexed($0[2])) }

    private static func unhexed(_ text: String) -> [UInt8] {
        stride(from: 0, to: text.utf8.count, by: 2).map { UInt8(text.dropFirst($0).prefix(2), radix: 16)! }
    }

    /// libpcap's own interpreter.
    private func matches(_ program: [BPFInstruction], _ packet: [UInt8]) -> Bool {
        var instructions = program.map { bpf_insn(code: $0.code, jt: $0.jt, jf: $0.jf, k: $0.k) }
        var header = pcap_pkthdr()
        header.caplen = UInt32(packet.count)
        header.len = UInt32(packet.count)
        return unsafe instructions.withUnsafeMutableBufferPointer {
            var program = unsafe bpf_program(bf_len: UInt32($0.count), bf_insns: $0.baseAddress)
            return unsafe pcap_offline_filter(&program, &header, packet) != 0
        }
    }

    @Test func `programs match the packets that they should`() throws {
        let filters = Self.vectors.filter { $0[0] == "filter" }
        #expect(filters.count > 40 && Self.packets.count > 20)
        for filter in filters {
            let expected = filter[2].split(separator: " ").map(String.init)
            let program = try PcapExpression.compile(filter[1])
            #expect(Self.packets.filter { matches(program, $0.bytes) }.map(\.name) == expected, "\(filter[1])")
            // What is written down for those who have no libpcap says the same.
            let written = filter[3].split(separator: " ").map { instruction in
                let fields = instruction.split(separator: ",").map { UInt32($0)! }
                return BPFInstruction(
                    code: UInt16(fields[0]), jt: UInt8(fields[1]), jf: UInt8(fields[2]), k: fields[3])
            }
            #expect(Self.packets.filter { matches(written, $0.bytes) }.map(\.name) == expected, "\(filter[1])")
        }
    }

    @Test func `the program of an expression is as it is written in every book`() throws {
        // ldb [0]; and #0xf0; jeq #0x40; ret #65535; ret #0
        let expected = [(48, 0, 0, 0), (84, 0, 0, 240), (21, 0, 1, 64), (6, 0, 0, 65535), (6, 0, 0, 0)]
            .map { BPFInstruction(code: $0.0, jt: $0.1, jf: $0.2, k: $0.3) }
        #expect(try PcapExpression.compile("ip") == expected)
    }

    /// libpcap's words differ from version to version; what is asked is that there are some.
    @Test(arguments: [
        "tcp port", "tcp and", "(tcp", "tcp)", "net 10.0.0.1/8", "port 65536", "portrange a-b",
        "ether host 00:11:22:33:44:55", "wlan type mgt", "ip[0:3] = 1", "ip and ip6", "tcp \u{1}",
    ])
    func `mistakes come back in libpcap's words`(expression: String) {
        let error = #expect(throws: PcapExpressionError.self) { try PcapExpression.compile(expression) }
        #expect(error?.description.isEmpty == false)
    }

    /// A name server would be asked for some of these; what is in /etc/hosts is known.
    @Test func `name servers are not asked`() throws {
        for (expression, kind) in [
            ("host nowhere.example.org", "host"), ("src or dst elsewhere", "host"), ("net far", "network"),
        ] {
            let error = #expect(throws: PcapExpressionError.self) { try PcapExpression.compile(expression) }
            let description = error?.description ?? ""
            #expect(description.hasPrefix("unknown \(kind) '"), "\(description)")
            #expect(description.hasSuffix(": name servers are not asked; write its address"), "\(description)")
        }
        #expect(try PcapExpression.compile("host localhost") != [])
    }

    @Test func `what would match more than it says is refused`() {
        for expression in ["", " ", "\t\n"] {
            let error = #expect(throws: PcapExpressionError.self) { try PcapExpression.compile(expression) }
            #expect(error?.description == "the expression is empty; write one such as `tcp port 22`")
        }
        let error = #expect(throws: PcapExpressionError.self) { try PcapExpression.compile("tcp\0 port 22") }
        #expect(error?.description == "the expression contains a NUL character")
    }

    @Test func `threads may compile at the same time`() async throws {
        let expected = try PcapExpression.compile("tcp port 22 or udp port 53")
        try await withThrowingTaskGroup(of: [BPFInstruction].self) { group in
            for _ in 0..<100 {
                group.addTask { try PcapExpression.compile("tcp port 22 or udp port 53") }
            }
            for try await program in group { #expect(program == expected) }
        }
    }
}
