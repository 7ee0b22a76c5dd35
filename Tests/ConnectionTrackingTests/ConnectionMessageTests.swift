import ConnectionTracking
import Glibc
import Testing

/// The kernel's list of connections, byte by byte.
struct ConnectionMessageTests {
    private static let new: UInt16 = 0x0100

    private func host<Integer: FixedWidthInteger & BitwiseCopyable>(_ value: Integer) -> [UInt8] {
        unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
    }

    private func attribute(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
        let padding = [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
        return host(UInt16(4 + value.count)) + host(type) + value + padding
    }

    private func message(of type: UInt16 = Self.new, flags: UInt16 = 0, _ body: [UInt8]) -> [UInt8] {
        host(UInt32(16 + body.count)) + host(type) + host(flags) + host(0 as UInt64) + body
    }

    /// What is read of a datagram, a line a message.
    private func read(_ datagram: [UInt8]) -> [String] {
        unsafe datagram.withUnsafeBytes { bytes in
            var offset = 0
            var lines: [String] = []
            while let message = unsafe ConnectionMessage.parse(bytes, at: &offset) {
                switch message {
                case .connection(let connection):
                    let tuple = unsafe Array(connection.tuple)
                    let zone = unsafe Array(connection.zone)
                    lines.append(
                        "\(connection.family) \(String(connection.mark, radix: 16)) \(tuple) \(zone)"
                            + (connection.isListInterrupted ? " interrupted" : ""))
                case .done: lines.append("done")
                case .answer(let code): lines.append("answer \(code)")
                case .other: lines.append("other")
                }
            }
            #expect(offset == bytes.count)
            return lines
        }
    }

    /// struct nfgenmsg of IPv6.
    private static let generic: [UInt8] = [10, 0, 0, 0]

    @Test func connectionIsReadWithItsMark() {
        let tuple = attribute(0x8001, attribute(1, [1, 2, 3]))
        let mark = attribute(8, [0xc0, 0, 0, 7])
        let status = attribute(3, [0, 0, 1, 0x8e])
        #expect(read(message(Self.generic + tuple + status + mark)) == ["10 c0000007 \(tuple) []"])
        #expect(read(message(Self.generic + tuple)) == ["10 0 \(tuple) []"])
        let zone = attribute(18, [0, 9])
        #expect(read(message(Self.generic + zone + mark + tuple)) == ["10 c0000007 \(tuple) \(zone)"])
        #expect(read(message(flags: 0x12, Self.generic + tuple)) == ["10 0 \(tuple) [] interrupted"])
    }

    @Test func whatIsNoConnectionIsNone() {
        let tuple = attribute(1, [1, 2, 3, 4])
        let cases: [(name: String, datagram: [UInt8], lines: [String])] = [
            ("nothing", [], []),
            ("no tuple", message(Self.generic + attribute(8, [0, 0, 0, 1])), ["other"]),
            ("no family", message([]), ["other"]),
            ("a short mark", message(Self.generic + tuple + attribute(8, [1])), ["10 0 \(tuple) []"]),
            ("an attribute that is cut", message(Self.generic + [8, 0, 1, 0x80, 1, 2]), ["other"]),
            ("an attribute of no length", message(Self.generic + [0, 0, 1, 0]), ["other"]),
            ("a mark behind one that is cut", message(Self.generic + tuple + [99, 0, 8, 0]), ["10 0 \(tuple) []"]),
            ("another type", message(of: 0x0102, Self.generic + tuple), ["other"]),
            ("the end", message(of: 3, [0, 0, 0, 0]), ["done"]),
            ("an error", message(of: 2, host(-1 as Int32) + [UInt8](repeating: 0, count: 16)), ["answer 1"]),
            ("an error that is cut", message(of: 2, [1, 2]), ["other"]),
            ("two", message(Self.generic + tuple) + message(of: 3, []), ["10 0 \(tuple) []", "done"]),
            ("a message that is cut", Array(message(Self.generic + tuple).dropLast()), []),
            ("a message of no length", [UInt8](repeating: 0, count: 64), []),
        ]
        for (name, datagram, lines) in cases { #expect(read(datagram) == lines, "\(name)") }
    }
}
