#if canImport(Luadata)
    import Luadata
#endif

/// Reads and writes fields of a memory of exactly its length, so that the address sanitizer sees a byte too many.
///
/// The input is a byte for the length of the memory, the memory, then accesses of 25 bytes each: offset, width and value
/// (64 bits, big endian), and a byte for the byte order.
@c(LLVMFuzzerTestOneInput)
func fuzzLuadata(_ input: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let input = unsafe input, size > 0 else { return 0 }
    let length = unsafe min(Int(input[0]), size - 1)
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: length)
    defer { unsafe memory.deallocate() }
    unsafe memory.initialize(from: input + 1, count: length)

    func number(at place: Int) -> Int64 {
        var value: UInt64 = 0
        for index in place..<place + 8 { value = unsafe value << 8 | UInt64(input[index]) }
        return Int64(bitPattern: value)
    }

    var place = 1 + length
    while place + 25 <= size {
        // Small numbers are likelier to be inside; a set bit of the last byte takes them as they are.
        let flags = unsafe input[place + 24]
        let (offset, width) = (number(at: place), number(at: place + 8))
        let field = BitField(
            offset: flags & 2 == 0 ? offset & 2047 : offset, width: flags & 4 == 0 ? width & 127 : width,
            isLittleEndian: flags & 1 == 1)
        let value = number(at: place + 16)
        let before = unsafe field.read(memory, length: Int64(length))
        let isWritten = unsafe field.write(value, to: memory, length: Int64(length))
        let after = unsafe field.read(memory, length: Int64(length))
        precondition(isWritten == (before != nil) && isWritten == (after != nil))
        if let before, let after {
            let low = ~UInt64(0) >> UInt64(64 - field.width)
            precondition(UInt64(bitPattern: after) == UInt64(bitPattern: value) & low)
            precondition(unsafe field.write(before, to: memory, length: Int64(length)))
            precondition(unsafe field.read(memory, length: Int64(length)) == before)
            precondition(unsafe field.write(after, to: memory, length: Int64(length)))
        }
        place += 25
    }
    return 0
}
