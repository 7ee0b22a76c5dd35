/// What a script may use.
public struct Limits: Sendable, Hashable {
    /// Instructions of the Lua machine, in one call; long-running library functions are charged in the same coin.
    public var instructions: Int
    /// Bytes that the whole state may hold.
    public var memory: Int
    /// Time on the monotonic clock, in one call.
    public var nanoseconds: Int

    /// Limits that no sensible script reaches.
    public init(instructions: Int = 1_000_000, memory: Int = 8 << 20, nanoseconds: Int = 20_000_000) {
        self.instructions = instructions
        self.memory = memory
        self.nanoseconds = nanoseconds
    }
}
