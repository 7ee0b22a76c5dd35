import CLinuxShim
import SystemSupport

/// Where in the table a connection is, by its hash: in fixed memory, and in two cache lines at most.
///
/// A connection may be in either of two buckets of sixteen slots that its hash names (Azar, Broder, Karlin, Upfal: "Balanced
/// Allocations"). There are at least twice as many slots as states, so one of the two has room; nothing is ever moved, and
/// nothing is left behind by what is removed. A slot holds bits of the hash above the place and 1; 0 is a free slot.
///
/// Part of the packet path.
@safe
struct StateIndex: ~Copyable {
    private static let bucketSize = 16
    /// A bucket as full as this has its newcomers compare it with their other bucket.
    private static let crowd = 12

    private let slots: UnsafeMutablePointer<UInt32>
    private let bucketMask: UInt64
    /// The bits of a slot that hold a place and 1.
    private let placeMask: UInt32
    private let memory: MappedMemory

    init(capacity: Int) {
        var buckets = 1
        while buckets * Self.bucketSize < capacity * 2 { buckets *= 2 }
        bucketMask = UInt64(buckets - 1)
        placeMask = UInt32.max >> UInt32(UInt32(capacity).leadingZeroBitCount)
        memory = MappedMemory(states: buckets * Self.bucketSize * MemoryLayout<UInt32>.stride)
        unsafe slots = memory.base.bindMemory(to: UInt32.self, capacity: buckets * Self.bucketSize)
    }

    /// The places in a bucket whose connections may have this hash, as bits: few that do not.
    @inline(__always)
    func candidates(_ hash: UInt64, bucket: Int) -> Candidates {
        let line = unsafe line(hash, bucket)
        let tag = tag(hash)
        var bits: UInt32 = 0
        for slot in 0..<Self.bucketSize {
            let isCandidate = unsafe (line[slot] ^ tag) & ~placeMask == 0 && line[slot] != 0
            bits |= (isCandidate ? 1 : 0) &<< UInt32(slot)
        }
        return unsafe Candidates(line: line, placeMask: placeMask, bits: bits)
    }

    /// Adds a place; false if both buckets are full.
    mutating func insert(_ place: Int, hash: UInt64) -> Bool {
        let (free, count) = freeSlot(hash, 0)
        if count < Self.crowd {
            unsafe line(hash, 0)[free] = tag(hash) | UInt32(place &+ 1)
            return true
        }
        let (otherFree, otherCount) = freeSlot(hash, 1)
        let bucket = otherCount < count ? 1 : 0
        guard min(count, otherCount) < Self.bucketSize else { return false }
        unsafe line(hash, bucket)[bucket == 0 ? free : otherFree] = tag(hash) | UInt32(place &+ 1)
        return true
    }

    /// Removes a place that was added with this hash.
    mutating func remove(_ place: Int, hash: UInt64) {
        let slot = tag(hash) | UInt32(place &+ 1)
        for bucket in 0..<2 {
            let line = unsafe line(hash, bucket)
            for index in 0..<Self.bucketSize where unsafe line[index] == slot {
                unsafe line[index] = 0
                return
            }
        }
    }

    /// Has the memory of a bucket fetched.
    @inline(__always)
    func prefetch(_ hash: UInt64, bucket: Int) { unsafe linux_prefetch(line(hash, bucket)) }

    /// The first free slot of a bucket, and how many are taken.
    private func freeSlot(_ hash: UInt64, _ bucket: Int) -> (free: Int, count: Int) {
        let line = unsafe line(hash, bucket)
        var free = 0
        var count = 0
        for slot in 0..<Self.bucketSize {
            if unsafe line[slot] == 0 { free = slot } else { count &+= 1 }
        }
        return (free, count)
    }

    @inline(__always)
    private func line(_ hash: UInt64, _ bucket: Int) -> UnsafeMutablePointer<UInt32> {
        let number = (bucket == 0 ? hash : hash &>> 21) & bucketMask
        return unsafe slots + Int(truncatingIfNeeded: number) &* Self.bucketSize
    }

    @inline(__always)
    private func tag(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash &>> 32) & ~placeMask }

    /// Places to look at, one after the other.
    @safe
    struct Candidates {
        fileprivate let line: UnsafeMutablePointer<UInt32>
        fileprivate let placeMask: UInt32
        fileprivate var bits: UInt32

        var isEmpty: Bool { bits == 0 }

        @inline(__always)
        mutating func next() -> Int? {
            guard bits != 0 else { return nil }
            let slot = bits.trailingZeroBitCount
            bits &= bits &- 1
            return unsafe Int(line[slot] & placeMask) &- 1
        }
    }
}
