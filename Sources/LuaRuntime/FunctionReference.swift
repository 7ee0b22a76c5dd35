/// A function of one Lua state, found by name once and called often.
public struct FunctionReference: Sendable, Hashable {
    /// The function's place in the state's registry.
    package let reference: Int32
    /// The number of its named parameters.
    public let parameterCount: Int
    /// Whether it ends with `...`.
    public let isVariadic: Bool
}
