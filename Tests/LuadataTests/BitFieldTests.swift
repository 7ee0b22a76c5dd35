import Luadata
import TestSupport
import Testing

@Suite struct BitFieldTests {
    @Test func fieldsAgreeWithTheReference() {
        var random = SplitMix64(state: 2014)
        for round in 0..<450_000 {
            let bytes = (0..<Int.random(in: 0...20, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let offset = Int.random(in: 0...170, using: &random)
            let width = Int.random(in: 0...66, using: &random)
            let value = Int64(bitPattern: random.next())
            for endian in ["big", "little"] {
                check(bytes, offset, width, endian, value, "round \(round)")
            }
        }
    }

    @Test func extremesNeitherOverflowNorTrap() {
        let extremes: [Int64] = [
            .min, .min + 1, -65, -1, 0, 1, 7, 8, 63, 64, 65, 128, .max / 8, .max / 8 + 1, .max - 64, .max - 1, .max,
        ]
        var bytes: [UInt8] = Array(1...16)
        for offset in extremes {
            for width in extremes {
                for little in [false, true] {
                    let field = BitField(offset: offset, width: width, isLittleEndian: little)
                    let inside = offset >= 0 && offset <= 128 && width >= 1 && width <= 64 && offset + width <= 128
                    unsafe bytes.withUnsafeMutableBufferPointer { bytes in
                        let start = bytes.baseAddress!
                        let read = unsafe field.read(start, length: 16)
                        #expect((read != nil) == inside, "\(offset) \(width)")
                        #expect(unsafe field.write(read ?? 0, to: start, length: 16) == inside)
                        #expect(unsafe field.read(start, length: 0) == nil)
                        #expect(unsafe field.read(start, length: -1) == nil)
                        #expect(unsafe field.read(start, length: .min) == nil)
                    }
                }
            }
        }
        #expect(bytes == Array(1...16))
    }

    /// The memory ends with the object: the address sanitizer of the fuzz target sees a byte too many.
    private func check(
        _ bytes: [UInt8], _ offset: Int, _ width: Int, _ endian: String, _ value: Int64, _ comment: Comment
    ) {
        let field = BitField(offset: Int64(offset), width: Int64(width), isLittleEndian: endian == "little")
        var memory = bytes
        let expected = BitReference.read(bytes, offset, width, endian)
        unsafe memory.withUnsafeMutableBufferPointer { memory in
            guard let start = memory.baseAddress else { return }
            let length = Int64(memory.count)
            #expect(unsafe field.read(start, length: length) == expected, comment)
            #expect(unsafe field.write(value, to: start, length: length) == (expected != nil), comment)
        }
        #expect(memory == BitReference.written(value, to: bytes, offset, width, endian), comment)
    }
}
