import PacketQueue
import Testing

@Suite struct PacketMessageTests {
    /// What a message says, as text: easy to compare.
    private func describe(_ datagram: [UInt8]) -> [String] {
        var bytes = datagram
        return unsafe bytes.withUnsafeMutableBytes { buffer in
            var offset = 0
            var texts: [String] = []
            while let message = unsafe PacketMessage.parse(buffer, at: &offset) {
                switch message {
                case .packet(let packet):
                    let payload = unsafe packet.payload.map { String($0) }.joined(separator: ".")
                    texts.append("packet \(packet.id) [\(payload)] of \(packet.originalLength)")
                case .answer(let sequence, let code): texts.append("answer \(sequence) \(code)")
                case .other: texts.append("other")
                }
            }
            #expect(offset == buffer.count, "the datagram is read to its end")
            return texts
        }
    }

    @Test func readsEveryAttribute() throws {
        typealias N = NetlinkMessage
        var bytes = N.packet(
            N.attribute(1, N.network(UInt32(0x0102_0304)) + [0x86, 0xdd, 4]),
            N.attribute(3, N.network(UInt32(0xfeed))),
            N.attribute(4, N.network(UInt64(1_700_000_000)) + N.network(UInt64(123_456))),
            N.attribute(5, N.network(UInt32(3))),
            N.attribute(6, N.network(UInt32(9))),
            N.attribute(9, [0, 6, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0]),
            N.attribute(13, N.network(UInt32(70_000))),
            N.attribute(14, N.network(UInt32(3))),
            N.attribute(10, [0x60, 1, 2, 3, 4]))
        unsafe bytes.withUnsafeMutableBytes { buffer in
            var offset = 0
            guard case .packet(let packet)? = unsafe PacketMessage.parse(buffer, at: &offset) else {
                Issue.record("no packet")
                return
            }
            #expect(packet.id == 0x0102_0304)
            #expect(packet.hardwareProtocol == 0x86dd)
            #expect(packet.hook == 4 && !packet.isInbound)
            #expect(packet.mark == 0xfeed)
            #expect(packet.timestamp == 1_700_000_000_123_456_000)
            #expect(packet.inInterface == 3 && packet.outInterface == 9)
            #expect(packet.originalLength == 70_000)
            #expect(packet.isSegmentationOffload && packet.checksumNotReady)
            #expect(unsafe Array(packet.payload) == [0x60, 1, 2, 3, 4])
            #expect(unsafe packet.payload.baseAddress! == buffer.baseAddress! + buffer.count - 8, "not a copy")
        }
    }

    @Test func tellsTheDirectionByTheHook() {
        let inbound = (UInt8(0)...4).map { hook in
            var packet = QueuedPacket()
            packet.hook = hook
            return packet.isInbound
        }
        #expect(inbound == [true, true, false, false, false])
    }

    @Test func readsEachFlagOfItsOwn() {
        typealias N = NetlinkMessage
        for (flags, gso, unready) in [(UInt32(0), false, false), (1, false, true), (2, true, false), (4, false, false)]
        {
            var bytes = N.packet(N.header(id: 1), N.attribute(14, N.network(flags)))
            unsafe bytes.withUnsafeMutableBytes { buffer in
                var offset = 0
                guard case .packet(let packet)? = unsafe PacketMessage.parse(buffer, at: &offset) else {
                    Issue.record("no packet")
                    return
                }
                #expect(packet.isSegmentationOffload == gso && packet.checksumNotReady == unready, "flags \(flags)")
            }
        }
    }

    @Test func readsWhatIsWholeAndNothingElse() {
        typealias N = NetlinkMessage
        let payload = N.attribute(10, [1, 2, 3])
        let table: [(name: String, bytes: [UInt8], expected: [String])] = [
            ("nothing", [], []),
            ("a cut header", [16, 0, 0, 0, 3], []),
            ("a packet", N.packet(N.header(id: 7), payload), ["packet 7 [1.2.3] of 3"]),
            (
                "two packets in one datagram",
                N.packet(N.header(id: 7), payload) + N.packet(N.header(id: 8)),
                ["packet 7 [1.2.3] of 3", "packet 8 [] of 0"]
            ),
            ("an answer", N.answer(0, sequence: 9), ["answer 9 0"]),
            ("an error", N.answer(-2, sequence: 0), ["answer 0 2"]),
            ("the least error", N.answer(.min, sequence: 0), ["answer 0 -2147483648"]),
            ("a cut answer", N.message(type: 2, [0, 0, 0, 0]), ["other"]),
            (
                "a packet after an answer", N.answer(-2, sequence: 0) + N.packet(N.header(id: 1)),
                ["answer 0 2", "packet 1 [] of 0"]
            ),
            ("another subsystem", N.message(type: 0x0100, [2, 0, 0, 7]), ["other"]),
            ("the end of a dump", N.message(type: 3, [0, 0, 0, 0]), ["other"]),
            ("a packet without its header", N.packet(payload), ["other"]),
            ("a packet header cut", N.packet(N.attribute(1, [0, 0, 0, 1, 8, 0]), payload), ["other"]),
            ("a message shorter than its header", N.packet(N.header(id: 7), length: 15), []),
            ("a message of no length", N.packet(N.header(id: 7), length: 0), []),
            ("a message longer than the datagram", N.packet(N.header(id: 7), length: 33), []),
            ("a message of the greatest length", N.packet(N.header(id: 7), length: 0xffff_ffff), []),
            (
                "an attribute longer than its message",
                N.packet(N.header(id: 7), N.attribute(10, [1, 2, 3], length: 9)), ["packet 7 [] of 0"]
            ),
            (
                "an attribute of no length", N.packet(N.header(id: 7), N.attribute(10, [], length: 0), payload),
                ["packet 7 [] of 0"]
            ),
            (
                "an attribute with flags in its type", N.packet(N.header(id: 7), N.attribute(0xc00a, [5])),
                ["packet 7 [5] of 1"]
            ),
            (
                "a number that is too short", N.packet(N.header(id: 7), N.attribute(13, [1, 1]), payload),
                ["packet 7 [1.2.3] of 3"]
            ),
            (
                "unknown attributes", N.packet(N.attribute(99, [1]), N.header(id: 7), N.attribute(98, [])),
                ["packet 7 [] of 0"]
            ),
        ]
        for (name, bytes, expected) in table {
            #expect(describe(bytes) == expected, "\(name)")
        }
    }

    @Test func readsNoByteBehindTheEnd() {
        typealias N = NetlinkMessage
        let whole = N.packet(N.header(id: 7), N.attribute(10, [1, 2, 3, 4])) + N.answer(-2, sequence: 0)
        for length in 0..<whole.count {
            let texts = describe(Array(whole[..<length]))
            #expect(texts == (length < 40 ? [] : ["packet 7 [1.2.3.4] of 4"]), "\(length) bytes")
        }
    }
}
