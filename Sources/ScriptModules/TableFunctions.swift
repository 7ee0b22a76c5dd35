/// What came of a change that a script makes to a table; what it gets for an answer.
public enum TableAnswer: UInt8, Sendable, Hashable, CaseIterable {
    /// It is made: `true`.
    case done
    /// What was to be removed is not there: `false`.
    case absent
    /// The table holds as many entries as it may: `nil, 'full'`.
    case full
    /// So many changes wait for the table that there is no room for another: `nil, 'busy'`.
    case busy
    /// The table's type does not allow changes: `nil, 'immutable'`.
    case immutable
}

/// What scripts do with tables of addresses, for `npf.table`.
///
/// The functions get the context that was given with them, the table's place among the names, the halves of the address
/// (IPv4's number in the low one), whether it is an IPv6 address, and `add` the nanoseconds that the entry stays,
/// `Int64.max` for good. Changes return the raw value of a `TableAnswer`. They are called on the packet path.
@unsafe
public struct TableFunctions {
    /// Puts an address into a table.
    public typealias Add =
        @convention(c) (UnsafeMutableRawPointer?, Int, UInt64, UInt64, Bool, Int64) -> UInt8
    /// Takes an address out.
    public typealias Remove = @convention(c) (UnsafeMutableRawPointer?, Int, UInt64, UInt64, Bool) -> UInt8
    /// Whether an address is in a table, or in a network of it.
    public typealias Test = @convention(c) (UnsafeMutableRawPointer?, Int, UInt64, UInt64, Bool) -> Bool

    let add: Add
    let remove: Remove
    let test: Test

    /// The three functions.
    public init(add: Add, remove: Remove, test: Test) {
        unsafe self.add = unsafe add
        unsafe self.remove = unsafe remove
        unsafe self.test = unsafe test
    }
}
