/// How the walk of the rules finds out whether an address is in a table, without knowing tables.
@safe
public struct TableLookup: BitwiseCopyable, @unchecked Sendable {  // what it points to is shared as its maker says
    /// Whether the table of an index has an address: its upper and its lower 64 bits, of which IPv4 has the lowest 32,
    /// and whether it is of IPv6.
    public typealias Function =
        @convention(c) (
            _ context: UnsafeRawPointer?, _ table: Int32, _ high: UInt64, _ low: UInt64, _ isIPv6: Bool
        ) -> Bool

    private let context: UnsafeRawPointer?
    private let function: Function

    /// - Parameters:
    ///   - context: Given to each call; it must live as long as the lookup is used.
    ///   - function: Asked about indices of `CompiledRuleset.tables`. Part of the packet path.
    public init(context: UnsafeRawPointer?, function: Function) {
        unsafe self.context = context
        unsafe self.function = function
    }

    /// Tables without an entry.
    public static let empty = unsafe TableLookup(context: nil) { _, _, _, _, _ in false }

    @inline(always)
    func contains(_ address: UInt128, isIPv6: Bool, table: Int32) -> Bool {
        unsafe function(
            context, table, UInt64(truncatingIfNeeded: address &>> 64), UInt64(truncatingIfNeeded: address), isIPv6)
    }
}
