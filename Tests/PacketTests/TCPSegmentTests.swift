import Packet
import TestSupport
import Testing

struct TCPSegmentTests {
    @Test func fieldsAreRead() throws {
        for network in [ipv4, ipv6] as [([UInt8]) -> [UInt8]] {
            let packet = network(tcp([.syn, .ack], payload: [1, 2, 3], sequence: 0xdead_beef, acknowledgment: 7))
            let segment = unsafe TCPSegment(of: packet.span.bytes, headers: try parse(packet))
            #expect(segment.flags == [.syn, .ack])
            #expect(segment.sequenceNumber == 0xdead_beef)
            #expect(segment.acknowledgmentNumber == 7)
            #expect(segment.window == 0xffff)
            #expect(segment.payloadLength == 3)
            #expect(segment.windowScale == nil)
        }
    }

    private func ipv4(_ segment: [UInt8]) -> [UInt8] { TestSupport.ipv4(.tcp, segment) }
    private func ipv6(_ segment: [UInt8]) -> [UInt8] { TestSupport.ipv6(.tcp, segment) }

    @Test func dataThatWasCutOffCounts() throws {
        let packet = Array(ipv4(tcp(.ack, payload: [UInt8](repeating: 0, count: 100))).dropLast(60))
        #expect(unsafe TCPSegment(of: packet.span.bytes, headers: try parse(packet)).payloadLength == 100)
        let packet6 = Array(ipv6(tcp(.ack, payload: [UInt8](repeating: 0, count: 100))).dropLast(60))
        #expect(unsafe TCPSegment(of: packet6.span.bytes, headers: try parse(packet6)).payloadLength == 100)
    }

    /// Options, and the shift that they ask for.
    @Test func theWindowScaleIsReadFromASyn() throws {
        for (name, options, scale) in [
            ("alone", [3, 3, 7, 0], 7), ("after others", [2, 4, 5, 0xb4, 1, 3, 3, 9], 9), ("0", [1, 3, 3, 0], 0),
            ("more than 14", [1, 3, 3, 15], 14), ("the first of two", [3, 3, 1, 3, 3, 2, 1, 1], 1),
            ("none", [], nil), ("behind the end", [0, 3, 3, 7], nil),
            ("behind length 0", [8, 0, 3, 3, 7, 1, 1, 1], nil),
            ("behind length 1", [8, 1, 3, 3, 7, 1, 1, 1], nil), ("behind one too long", [8, 9, 3, 3, 7, 1, 1, 1], nil),
            ("without length", [1, 1, 1, 3], nil), ("without shift", [1, 1, 3, 3], nil),
            ("too long", [3, 4, 7, 0], nil),
        ] as [(String, [UInt8], UInt8?)] {
            let packet = ipv4(tcp(.syn, options: options))
            let segment = unsafe TCPSegment(of: packet.span.bytes, headers: try parse(packet))
            #expect(segment.windowScale == scale, "\(name)")
            let later = ipv4(tcp(.ack, options: options))
            #expect(unsafe TCPSegment(of: later.span.bytes, headers: try parse(later)).windowScale == nil, "\(name)")
        }
    }

    @Test func aDescribedPacketHasNoNumbers() {
        let headers = PacketHeaders(transportProtocol: .tcp, source: alice, destination: bob, tcpFlags: .syn)
        let nothing: [UInt8] = []
        let segment = unsafe TCPSegment(of: nothing.span.bytes, headers: headers)
        #expect((segment.flags, segment.sequenceNumber, segment.payloadLength) == (.syn, 0, 0))
    }
}
