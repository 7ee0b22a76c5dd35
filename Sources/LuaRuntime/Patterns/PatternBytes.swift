internal import Glibc

/// Borrowed bytes in which everything outside the bounds reads as NUL.
///
/// Lua's matcher looks one byte past the end of pattern and subject and relies on the NUL that ends every Lua
/// string. Packet memory has no such byte, so it is supplied here, and no index can reach foreign memory.
@safe
struct PatternBytes {
    let count: Int
    private let start: UnsafePointer<UInt8>?

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        count = bytes.count
        unsafe start = bytes.baseAddress
    }

    @inline(always)
    subscript(index: Int) -> UInt8 {
        guard UInt(bitPattern: index) < UInt(bitPattern: count), let start = unsafe start else { return 0 }
        return unsafe start[index]
    }

    /// The first position at or after `from` that holds `byte`.
    func firstIndex(of byte: UInt8, from: Int) -> Int? {
        guard from >= 0, from < count, let start = unsafe start else { return nil }
        guard let found = unsafe memchr(start + from, CInt(byte), count - from) else { return nil }
        return unsafe UnsafeRawPointer(start).distance(to: found)
    }

    /// Whether `length` bytes at `index` are those of `other` at `otherIndex`; false where either ends before.
    func hasBytes(at index: Int, equalTo other: PatternBytes, at otherIndex: Int, length: Int) -> Bool {
        guard length > 0 else { return length == 0 }
        guard index >= 0, index <= count, length <= count - index,
            otherIndex >= 0, otherIndex <= other.count, length <= other.count - otherIndex,
            let start = unsafe start, let otherStart = unsafe other.start
        else { return false }
        return unsafe memcmp(start + index, otherStart + otherIndex, length) == 0
    }
}
