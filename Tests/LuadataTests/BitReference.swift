/// Fields taken bit by bit: slow, and nothing like the code that it judges.
enum BitReference {
    private static func bit(_ bytes: [UInt8], _ index: Int) -> Bool {
        bytes[index / 8] & (128 >> (index % 8)) != 0
    }

    /// The bits of a field in the order of their weight, least first.
    private static func places(_ offset: Int, _ width: Int, _ isLittle: Bool) -> [Int] {
        guard isLittle && width > 8 else { return (0..<width).reversed().map { offset + $0 } }
        return stride(from: 0, to: width, by: 8).flatMap { group in
            (group..<min(group + 8, width)).reversed().map { offset + $0 }
        }
    }

    private static func isLittle(_ endian: String) -> Bool {
        endian == "little" || endian == "host" && UInt16(1).littleEndian == 1
    }

    static func read(_ bytes: [UInt8], _ offset: Int, _ width: Int, _ endian: String) -> Int64? {
        guard (1...64).contains(width), offset >= 0,
            offset.addingReportingOverflow(width).partialValue <= bytes.count * 8,
            !offset.addingReportingOverflow(width).overflow
        else { return nil }
        var value: UInt64 = 0
        for (weight, place) in places(offset, width, isLittle(endian)).enumerated() where bit(bytes, place) {
            value |= 1 << UInt64(weight)
        }
        return Int64(bitPattern: value)
    }

    static func written(_ value: Int64, to bytes: [UInt8], _ offset: Int, _ width: Int, _ endian: String) -> [UInt8] {
        guard read(bytes, offset, width, endian) != nil else { return bytes }
        var bytes = bytes
        for (weight, place) in places(offset, width, isLittle(endian)).enumerated() {
            let mask = UInt8(128 >> (place % 8))
            if UInt64(bitPattern: value) >> UInt64(weight) & 1 == 1 {
                bytes[place / 8] |= mask
            } else {
                bytes[place / 8] &= ~mask
            }
        }
        return bytes
    }
}
