// Bytes of packets in network order. The packet path has checked its offsets once, against the packet's length, before it
// comes here; a second check for each field would only be a way to trap.
extension RawSpan {
    /// The byte at an offset that the caller has checked.
    @inlinable @inline(__always)
    package func uint8(at offset: Int) -> UInt8 {
        assert(offset >= 0 && offset < byteCount)
        return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt8.self)
    }

    /// The 16 bits at an offset that the caller has checked.
    @inlinable @inline(__always)
    package func uint16(at offset: Int) -> UInt16 {
        assert(offset >= 0 && offset + 2 <= byteCount)
        return unsafe UInt16(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
    }

    /// The 32 bits at an offset that the caller has checked.
    @inlinable @inline(__always)
    package func uint32(at offset: Int) -> UInt32 {
        assert(offset >= 0 && offset + 4 <= byteCount)
        return unsafe UInt32(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
    }

    /// The IPv6 address at an offset that the caller has checked.
    @inline(__always)
    func ipv6Address(at offset: Int) -> Address {
        assert(offset >= 0 && offset + 16 <= byteCount)
        return unsafe Address(
            high: UInt64(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)),
            low: UInt64(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 8, as: UInt64.self)))
    }
}

extension MutableRawSpan {
    /// Puts an integer in network order at an offset that the caller has checked.
    @inlinable @inline(__always)
    package mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        assert(offset >= 0 && offset + MemoryLayout<T>.size <= byteCount)
        unsafe storeBytes(of: value.bigEndian, toUncheckedByteOffset: offset, as: T.self)
    }

    /// Puts an address, 4 or 16 bytes, at an offset that the caller has checked.
    mutating func store(_ address: Address, at offset: Int) {
        switch address.family {
        case .ipv4: store(UInt32(truncatingIfNeeded: address.low), at: offset)
        case .ipv6:
            store(address.high, at: offset)
            store(address.low, at: offset &+ 8)
        }
    }
}
