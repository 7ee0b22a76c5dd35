/// Single addresses in a hash with open addressing, for a list in which a search by halves would take long.
///
/// It is laid out in the ruleset's memory: the mark of a free slot, which is none of the addresses, and then the slots,
/// at least twice as many as addresses and a power of two.
enum AddressHash {
    /// Fewer addresses than these are searched by halves.
    static let minimumCount = 64

    /// The mark and the slots for `addresses`.
    static func layOut(_ addresses: [UInt128]) -> [UInt128] {
        let members = Set(addresses)
        var free: UInt128 = 0
        while members.contains(free) { free += 1 }
        var count = 1
        while count < 2 * members.count { count *= 2 }
        var slots = [UInt128](repeating: free, count: count)
        for address in addresses {
            var index = slot(of: address, mask: count - 1)
            while slots[index] != free && slots[index] != address { index = (index + 1) & (count - 1) }
            slots[index] = address
        }
        return [free] + slots
    }

    /// Whether `address` is in the hash whose mark is at `base` and that has `mask + 1` slots.
    @inline(always)
    static func contains(_ address: UInt128, at base: UnsafePointer<UInt128>, mask: Int32) -> Bool {
        let mask = Int(mask)
        let free = unsafe base.pointee
        let slots = unsafe base + 1
        guard address != free else { return false }
        var index = slot(of: address, mask: mask)
        while unsafe slots[index] != free {
            if unsafe slots[index] == address { return true }
            index = (index &+ 1) & mask
        }
        return false
    }

    /// The first slot for an address: a multiplicative hash of both halves (Knuth, volume 3, section 6.4).
    @inline(always)
    private static func slot(of address: UInt128, mask: Int) -> Int {
        let low = UInt64(truncatingIfNeeded: address)
        let high = UInt64(truncatingIfNeeded: address &>> 64)
        let mixed = (low ^ (high &* 0x9e37_79b9_7f4a_7c15)) &* 0xbf58_476d_1ce4_e5b9
        return Int(truncatingIfNeeded: mixed &>> 32) & mask
    }
}
