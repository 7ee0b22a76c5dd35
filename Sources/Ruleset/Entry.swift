import ConfigLanguage
import Packet

/// A rule or a group's header as the packet path reads it: plain memory, most criteria in one comparison.
struct Entry: BitwiseCopyable {
    /// What must be in the bits of `key.mask`.
    var key = KeyTest()
    var source = EndpointTest()
    var destination = EndpointTest()
    var firstProtocol: Int32 = 0
    /// 0 where any protocol matches, or the key says which.
    var protocolCount: Int32 = 0
    /// Of a group: the index of the entry behind its last member, to go on with where its header does not match.
    var end: Int32 = 0
    /// The index of the procedure; -1 for none.
    var procedure: Int32 = -1
    var isGroup = false
    var isFinal = false
    var blocks = false
    var returnPolicy = ReturnPolicy.none
}

/// The places, in bits, of the facts about a packet that a rule compares bit by bit; they make one number, its key.
enum KeyField: UInt64 {
    /// The interface's id in 16 bits.
    case interface = 0
    /// ICMP type and code in 16 bits.
    case icmp = 16
    /// The TCP flags in 8 bits.
    case flags = 32
    /// The transport protocol in 8 bits.
    case transportProtocol = 40
    /// The direction in 1 bit.
    case direction = 48
    /// 1 for IPv6.
    case isIPv6 = 49
    /// 1 for a fragment that has no layer 4 header.
    case isLaterFragment = 50

    func bits(_ value: some BinaryInteger) -> UInt64 { UInt64(truncatingIfNeeded: value) &<< rawValue }
}

/// The criteria on a packet's key.
struct KeyTest: BitwiseCopyable {
    private var match: UInt64 = 0
    private var mask: UInt64 = 0

    /// Demands `value` in the bits of `field` that `mask` has.
    mutating func require(_ field: KeyField, _ value: some BinaryInteger, mask: some BinaryInteger) {
        self.match |= field.bits(value)
        self.mask |= field.bits(mask)
    }

    func matches(_ key: UInt64) -> Bool { key & mask == match }
}

/// What one end of a packet must be; indices into the ruleset's tables.
struct EndpointTest: BitwiseCopyable {
    var firstAddress: Int32 = 0
    /// 0 where any address matches.
    var addressCount: Int32 = 0
    var firstPort: Int32 = 0
    /// 0 where any port matches.
    var portCount: Int32 = 0
    /// Whether the address must be in none of the ranges.
    var isNegated = false
}

/// The numbers from `first` to `last`, both included.
struct NumberRange<Number: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>: BitwiseCopyable {
    var first: Number
    var last: Number

    /// The ranges in ascending order, those that touch each other merged.
    static func merged(_ ranges: [NumberRange]) -> [NumberRange] {
        var merged: [NumberRange] = []
        for range in ranges.sorted(by: { $0.first < $1.first }) {
            if let last = merged.last?.last, last == .max || range.first <= last + 1 {
                merged[merged.count - 1].last = max(last, range.last)
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}
