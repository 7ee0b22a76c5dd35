import CLinuxShim
import Packet
import Synchronization

/// Finds single addresses: buckets of one cache line, with seven entries and a count of those that found no room.
///
/// An entry that finds its bucket full goes into the next with room, and is counted in each that it passed; a search
/// goes on to the next bucket only where that count is not 0. Nothing ever moves, so a reader misses nothing.
@safe
struct HashIndex: BitwiseCopyable {
    typealias Word = UnsafeMutablePointer<Atomic<UInt64>>

    /// What a bucket says of an entry in 64 bits: a tag, whether the entry stays, the family, the entry's place.
    ///
    /// The tag of an IPv4 address is the address, so the word says all; that of an IPv6 address is a half of its hash.
    private enum Field {
        static var stays: UInt64 { 1 << 31 }
        static var isIPv6: UInt64 { 1 << 30 }
        static var isIPv4: UInt64 { 1 << 29 }
        static var place: UInt64 { isIPv4 - 1 }
        static var searched: UInt64 { ~0 << 32 | isIPv6 | isIPv4 }
    }

    private static var ways: Int { 7 }
    private static var wordsPerBucket: Int { 8 }

    private let words: Word
    private let mask: UInt64
    private let entries: UnsafeMutablePointer<Entry>
    private let hash: SipHash

    /// The words for a table of a capacity: full, its buckets have four entries each or fewer.
    static func wordCount(capacity: Int) -> Int {
        var buckets = 4
        while buckets * 4 < capacity { buckets *= 2 }
        return buckets * wordsPerBucket
    }

    /// An empty index; `words` are zeros.
    init(words: Word, count: Int, entries: UnsafeMutablePointer<Entry>, hash: SipHash) {
        unsafe self.words = unsafe words
        mask = UInt64(count / Self.wordsPerBucket - 1)
        unsafe self.entries = unsafe entries
        self.hash = hash
    }

    @inline(__always)
    private func bucket(_ number: UInt64) -> Word {
        unsafe words + Int(truncatingIfNeeded: number & mask) &* Self.wordsPerBucket
    }

    /// The bits of an address's word that can be known before it is found.
    @inline(__always)
    private func searched(_ key: TableKey, _ hash: UInt64) -> UInt64 {
        key.isIPv6
            ? hash & ~0 &<< 32 | Field.isIPv6
            : UInt64(truncatingIfNeeded: key.bits &>> 64) & ~0 &<< 32 | Field.isIPv4
    }

    /// The ways of a bucket whose words are like the one that is searched, a bit each.
    @inline(__always)
    private func candidates(in bucket: Word, _ searched: UInt64) -> UInt32 {
        var candidates: UInt32 = 0
        // All of them, without a branch that could be guessed wrong.
        for way in 0..<Self.ways {
            let value = unsafe bucket[way].load(ordering: .relaxed)
            candidates |= ((value ^ searched) & Field.searched == 0 ? 1 : 0) &<< UInt32(way)
        }
        return candidates
    }

    /// The word of an address's entry, live or expired.
    @inline(__always)
    private func word(of key: TableKey, _ hash: UInt64) -> (address: Word, value: UInt64)? {
        let searched = searched(key, hash)
        for step in 0...mask {
            let bucket = unsafe bucket(hash &+ step)
            var candidates = unsafe candidates(in: bucket, searched)
            while candidates != 0 {
                let address = unsafe bucket + candidates.trailingZeroBitCount
                candidates &= candidates &- 1
                let value = unsafe address.pointee.load(ordering: .acquiring)
                guard (value ^ searched) & Field.searched == 0 else { continue }
                if unsafe !key.isIPv6 || entries[Int(value & Field.place)].bits == key.bits {
                    return unsafe (address, value)
                }
            }
            if unsafe bucket[Self.ways].load(ordering: .acquiring) == 0 { return nil }
        }
        return nil
    }

    /// The entry of an address that is live.
    @inline(__always)
    func match(_ key: TableKey, now: Int64) -> Reference {
        guard let (_, value) = unsafe word(of: key, hash(key)) else { return .none }
        let place = value & Field.place
        guard unsafe value & Field.stays != 0 || entries[Int(place)].isLive(at: now) else { return .none }
        return Reference(entry: UInt32(truncatingIfNeeded: place))
    }

    /// Has the memory fetched that lookups read: the buckets of all of them, and then the entries.
    func prefetch(_ lookups: UnsafeMutablePointer<LookupBatch.Lookup>, count: Int) {
        for index in 0..<count {
            let hash = unsafe hash(lookups[index].key)
            unsafe lookups[index].hash = hash
            unsafe linux_prefetch(bucket(hash))
        }
        for index in 0..<count {
            let lookup = unsafe lookups[index]
            let bucket = unsafe bucket(lookup.hash)
            var candidates = unsafe candidates(in: bucket, searched(lookup.key, lookup.hash))
            while candidates != 0 {
                let value = unsafe bucket[candidates.trailingZeroBitCount].load(ordering: .relaxed)
                candidates &= candidates &- 1
                guard lookup.key.isIPv6 || value & Field.stays == 0 else { continue }
                unsafe linux_prefetch(entries + Int(value & Field.place))
            }
        }
    }

    /// The entry of an address, live or expired.
    func find(_ key: TableKey) -> Reference {
        guard let (_, value) = unsafe word(of: key, hash(key)) else { return .none }
        return Reference(entry: UInt32(truncatingIfNeeded: value & Field.place))
    }

    /// Links an entry whose key is not there.
    func link(_ reference: Reference, _ key: TableKey) {
        var number = hash(key)
        let stays = unsafe entries[reference.place].stays ? Field.stays : 0
        let value = searched(key, number) | stays | UInt64(reference.place)
        while true {
            let bucket = unsafe bucket(number)
            for way in 0..<Self.ways where unsafe bucket[way].load(ordering: .relaxed) == 0 {
                unsafe bucket[way].store(value, ordering: .releasing)
                return
            }
            unsafe bucket[Self.ways].wrappingAdd(1, ordering: .releasing)
            number &+= 1
        }
    }

    /// Notes that an entry stays that did not when it was linked.
    func noteStays(_ key: TableKey) {
        guard let (address, value) = unsafe word(of: key, hash(key)) else { return }
        unsafe address.pointee.store(value | Field.stays, ordering: .releasing)
    }

    /// Unlinks the entry of an address that is there.
    func unlink(_ key: TableKey) {
        let hash = hash(key)
        guard let (address, _) = unsafe word(of: key, hash) else { return }
        unsafe address.pointee.store(0, ordering: .releasing)
        var number = hash
        while unsafe !(bucket(number)..<(bucket(number) + Self.ways)).contains(address) {
            unsafe bucket(number)[Self.ways].wrappingSubtract(1, ordering: .releasing)
            number &+= 1
        }
    }
}
