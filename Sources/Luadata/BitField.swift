/// A number in memory: a run of bits, where bit 0 is the most significant bit of the first byte.
///
/// Big endian is the run read from left to right. Little endian takes it in groups of 8 bits from its start, the first
/// group least significant, a shorter last group most significant.
package struct BitField {
    /// Bits before the number.
    let offset: Int64
    /// Bits of the number; none can be read but from 1 to 64.
    package let width: Int64
    let isLittleEndian: Bool

    /// A field; nothing is asked of its numbers.
    package init(offset: Int64, width: Int64, isLittleEndian: Bool) {
        self.offset = offset
        self.width = width
        self.isLittleEndian = isLittleEndian
    }

    /// Whether the whole field lies in memory of that many bytes; a negative number is none.
    @inline(__always)
    private func fits(_ length: Int64) -> Bool {
        // Past any memory's size the shift loses bits, which makes the room less, never more.
        let room = (length &<< 3) &- width
        return UInt64(bitPattern: width &- 1) < 64 && (length | room) >= 0
            && UInt64(bitPattern: offset) <= UInt64(bitPattern: room)
    }

    /// The number, without its sign except at a width of 64; nil if it does not lie in the memory.
    @inline(__always)
    package func read(_ bytes: UnsafePointer<UInt8>, length: Int64) -> Int64? {
        guard fits(length) else { return nil }
        let first = unsafe bytes + Int(offset &>> 3)
        let available = length &- offset &>> 3
        let shift = UInt64(truncatingIfNeeded: offset & 7)
        var word: UInt64
        if available >= 8 {
            word = unsafe UInt64(bigEndian: UnsafeRawPointer(first).loadUnaligned(as: UInt64.self)) &<< shift
            if shift &+ UInt64(truncatingIfNeeded: width) > 64 {
                word |= unsafe UInt64(first[8]) &>> (8 &- shift)
            }
        } else {
            word = 0
            for index in 0..<Int(available) {
                word |= unsafe UInt64(first[index]) &<< UInt64(truncatingIfNeeded: 56 &- 8 &* index)
            }
            word = word &<< shift
        }
        let value = word &>> UInt64(truncatingIfNeeded: 64 &- width)
        return Int64(bitPattern: isLittleEndian ? littleEndian(ofBig: value) : value)
    }

    /// Writes the low bits of a value, and changes no other bit; false if the field does not lie in the memory.
    package func write(_ value: Int64, to bytes: UnsafeMutablePointer<UInt8>, length: Int64) -> Bool {
        guard fits(length) else { return false }
        var bits = UInt64(bitPattern: value)
        if isLittleEndian { bits = bigEndian(ofLittle: bits) }
        let first = unsafe bytes + Int(offset &>> 3)
        var end = UInt64(truncatingIfNeeded: (offset & 7) &+ width)
        guard length &- offset &>> 3 >= 8 else {
            unsafe writeBytes(bits, endingAt: first + Int((end &- 1) &>> 3))
            return true
        }
        var width = UInt64(truncatingIfNeeded: width)
        if end > 64 {
            // The ninth byte, then what is left.
            let low = end &- 64
            let part = UInt8(truncatingIfNeeded: bits &<< (8 &- low))
            unsafe first[8] = unsafe first[8] & 0xff &>> UInt8(truncatingIfNeeded: low) | part
            bits = bits &>> low
            width &-= low
            end = 64
        }
        let unused = 64 &- end
        let mask = (UInt64.max &>> (64 &- width)) &<< unused
        let word = UnsafeMutableRawPointer(first)
        let old = unsafe UInt64(bigEndian: word.loadUnaligned(as: UInt64.self))
        unsafe word.storeBytes(of: (old & ~mask | bits &<< unused & mask).bigEndian, as: UInt64.self)
        return true
    }

    /// Writes the number a byte at a time, from its last.
    private func writeBytes(_ bits: UInt64, endingAt last: UnsafeMutablePointer<UInt8>) {
        var bits = bits
        var byte = unsafe last
        var unused = 7 &- (offset &+ width &- 1) & 7
        var remaining = width
        while true {
            let count = min(8 &- unused, remaining)
            let mask = UInt8(truncatingIfNeeded: (1 &<< count) &- 1) &<< UInt8(truncatingIfNeeded: unused)
            let part = UInt8(truncatingIfNeeded: bits) &<< UInt8(truncatingIfNeeded: unused)
            unsafe byte.pointee = unsafe byte.pointee & ~mask | part & mask
            remaining &-= count
            if remaining == 0 { return }
            bits = bits &>> UInt64(truncatingIfNeeded: count)
            unused = 0
            unsafe byte -= 1
        }
    }

    /// Bits in whole groups of 8, and in the short group that may follow them.
    private var groups: (whole: UInt64, rest: UInt64) {
        let width = UInt64(truncatingIfNeeded: width)
        return (width & ~7, width & 7)
    }

    private func littleEndian(ofBig value: UInt64) -> UInt64 {
        guard width > 8 else { return value }
        let (whole, rest) = groups
        guard rest != 0 else { return value.byteSwapped &>> (64 &- whole) }
        let low = ((value &>> rest) &<< (64 &- whole)).byteSwapped
        let high = value & ((1 &<< rest) &- 1)
        return low | high &<< whole
    }

    private func bigEndian(ofLittle value: UInt64) -> UInt64 {
        guard width > 8 else { return value }
        let (whole, rest) = groups
        let first = value.byteSwapped &>> (64 &- whole)
        let last = rest == 0 ? 0 : value &>> whole & ((1 &<< rest) &- 1)
        return first &<< rest | last
    }
}
