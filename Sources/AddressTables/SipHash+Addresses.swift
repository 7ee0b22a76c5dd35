package import Packet

// An IPv4 address is hashed as a message of 4 bytes and an IPv6 address as one of 16.
extension SipHash {
    package func callAsFunction(_ address: Address) -> UInt64 { self(TableKey(address)) }

    @inline(__always)
    func callAsFunction(_ key: TableKey) -> UInt64 {
        var hash = self
        let high = UInt64(truncatingIfNeeded: key.bits &>> 64)
        if key.isIPv6 {
            hash.absorb(high)
            hash.absorb(UInt64(truncatingIfNeeded: key.bits))
            hash.absorb(16 &<< 56)
        } else {
            hash.absorb(4 &<< 56 | high &>> 32)
        }
        return hash.finish()
    }
}
