/// What netlink messages have in common (linux/netlink.h).
@usableFromInline
package enum Netlink {
    /// The length of struct nlmsghdr.
    @inlinable package static var headerLength: Int { 16 }

    /// An attribute's type without the flags NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    @inlinable package static var typeMask: UInt16 { 0x3fff }

    /// Messages and attributes start at multiples of 4 bytes.
    @inlinable
    package static func aligned(_ length: Int) -> Int { (length + 3) & ~3 }
}

// Nothing here reads outside the bytes, whatever is in them. Part of the packet path.
extension UnsafeRawBufferPointer {
    /// The header of the message at `offset`, whose bytes are all there; nil: there is none.
    @inlinable @inline(__always)
    package func netlinkMessage(at offset: Int) -> (type: UInt16, flags: UInt16, length: Int)? {
        // struct nlmsghdr: length, type, flags, sequence number, port; in host order.
        guard let length = unsafe hostInteger(UInt32.self, at: offset),
            length >= Netlink.headerLength, Int(length) <= count - offset,
            let type = unsafe hostInteger(UInt16.self, at: offset + 4),
            let flags = unsafe hostInteger(UInt16.self, at: offset + 6)
        else { return nil }
        return (type, flags, Int(length))
    }

    /// The header of the attribute at `offset`, whose bytes are all there: its type without flags, and its length with the
    /// header's four bytes; nil: there is none.
    @inlinable @inline(__always)
    package func netlinkAttribute(at offset: Int) -> (type: UInt32, length: Int)? {
        guard let length = unsafe hostInteger(UInt16.self, at: offset),
            let type = unsafe hostInteger(UInt16.self, at: offset + 2),
            length >= 4, Int(length) <= count - offset
        else { return nil }
        return (UInt32(type & Netlink.typeMask), Int(length))
    }

    /// The integer in host order at `offset`; nil: outside.
    @inlinable @inline(__always)
    package func hostInteger<Integer: FixedWidthInteger & BitwiseCopyable>(
        _: Integer.Type, at offset: Int
    ) -> Integer? {
        guard offset >= 0, offset <= count - MemoryLayout<Integer>.size else { return nil }
        return unsafe loadUnaligned(fromByteOffset: offset, as: Integer.self)
    }

    /// The integer in network order at `offset`; nil: outside.
    @inlinable @inline(__always)
    package func networkInteger<Integer: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Integer? {
        unsafe hostInteger(Integer.self, at: offset).map { Integer(bigEndian: $0) }
    }
}
