/// Reads the integers of a structure that lies in a range of the file.
///
/// Every read is checked against the structure's end, so that a claim of the file can only lead to an error.
struct ByteReader {
    private let bytes: [UInt8]
    /// Where the structure begins: the place that errors name.
    let start: Int
    /// Where the next read begins.
    private(set) var offset: Int
    private var end: Int
    var isBigEndian: Bool

    init(_ bytes: [UInt8], _ range: Range<Int>, isBigEndian: Bool) {
        self.bytes = bytes
        start = range.lowerBound
        offset = range.lowerBound
        end = range.upperBound
        self.isBigEndian = isBigEndian
    }

    /// A reader of a part of the structure; its errors name the whole.
    func part(_ range: Range<Int>) -> ByteReader {
        var part = self
        part.offset = range.lowerBound
        part.end = range.upperBound
        return part
    }

    var remaining: Int { end - offset }

    /// The next unsigned integer of the structure, in the file's byte order.
    mutating func read<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type = T.self) throws(CaptureFileError) -> T {
        let field = try take(MemoryLayout<T>.size)
        var value: T = 0
        for index in field { value |= T(bytes[index]) << T((field.upperBound - 1 - index) * 8) }
        return isBigEndian ? value : value.byteSwapped
    }

    /// The range of the next `count` bytes, which are passed over.
    mutating func take(_ count: Int) throws(CaptureFileError) -> Range<Int> {
        guard count <= remaining else {
            let missing = count - remaining
            throw fault(
                end == bytes.count
                    ? "the file ends \(missing) bytes before this record does: it was cut, or is still being written"
                    : "this block is \(missing) bytes too short for what it should hold: the file is damaged here")
        }
        defer { offset += count }
        return offset..<(offset + count)
    }

    /// An error about the structure.
    func fault(_ message: String) -> CaptureFileError { CaptureFileError(offset: start, message: message) }
}
