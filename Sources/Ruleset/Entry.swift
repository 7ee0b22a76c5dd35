import ConfigLanguage
import Packet

/// A rule, a group's header or a dynamic ruleset as the packet path reads it: a cache line of plain memory, in which
/// most criteria are.
struct Entry: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case rule
        case group
        case ruleset
    }

    /// What must be in the bits of `key.mask`.
    var key = KeyTest()
    var source = EndpointTest()
    var destination = EndpointTest()
    /// The index of the entry behind a group's last member, or a dynamic ruleset's index.
    var target: Int32 = 0
    /// The index of the procedure; -1 for none.
    var procedure: Int32 = -1
    /// The index of the criteria that few rules have; -1 for none.
    var rest: Int32 = -1
    var kind = Kind.rule
    var decision = Decision()
    var returnPolicy = ReturnPolicy.none
    var state = StateKind.none

    /// What a match means.
    struct Decision: BitwiseCopyable {
        var rawValue: UInt8 = 0

        var isFinal: Bool { rawValue & 1 != 0 }
        var blocks: Bool { rawValue & 2 != 0 }

        init() {}

        init(isFinal: Bool, blocks: Bool) {
            rawValue = (isFinal ? 1 : 0) | (blocks ? 2 : 0)
        }
    }
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

    @inline(always)
    func matches(_ key: UInt64) -> Bool { key & mask == match }

    /// Whether what is demanded in the bits of `field` is in `key`.
    func matches(_ key: UInt64, in field: KeyField) -> Bool {
        (key ^ match) & mask & field.bits(field.width) == 0
    }
}

/// What one end of a packet must be: ranges that wrap around, and lists for what is no range.
///
/// A number `x` is in the range if `x - first <= span`; so all numbers but those of a range are a range as well.
struct EndpointTest: BitwiseCopyable {
    /// The range of the low 32 bits of the address, which are all of an IPv4 address.
    var firstAddress: UInt32 = 0
    var addressSpan = UInt32.max
    var firstPort: UInt16 = 0
    var portSpan = UInt16.max
    /// The index of the lists; -1 for none.
    var lists: Int32 = -1

    @inline(always)
    func contains(address: UInt128) -> Bool {
        UInt32(truncatingIfNeeded: address) &- firstAddress <= addressSpan
    }

    @inline(always)
    func contains(port: UInt16) -> Bool { port &- firstPort <= portSpan }
}

/// The lists of one end of a packet: indices into the ruleset's arrays.
struct EndpointLists: BitwiseCopyable, Hashable {
    var firstPort: Int32 = 0
    /// 0 where the ports are no list.
    var portCount: Int32 = 0
    var firstRange: Int32 = 0
    var rangeCount: Int32 = 0
    var firstTable: Int32 = 0
    var tableCount: Int32 = 0
    var hash: Int32 = 0
    /// The slots of the hash less 1; -1 for no hash.
    var hashMask: Int32 = -1
    /// Whether the addresses are a list.
    var hasAddresses = false
    /// Whether the address must be in none of them.
    var isNegated = false
}

/// The criteria that few rules have.
struct RestTest: BitwiseCopyable {
    var firstProtocol: Int32 = 0
    /// 0 where any protocol matches, or the key says which.
    var protocolCount: Int32 = 0
    var firstInstruction: Int32 = 0
    /// 0 for no packet filter.
    var instructionCount: Int32 = 0
    /// The index of the script to ask; -1 for none.
    var script: Int32 = -1
}
