/// What a filter function says about a packet.
public enum FilterAnswer: UInt8, Sendable, Hashable {
    /// `true`, or nothing: the rule's own decision stands.
    case keep
    /// `false`: block.
    case block
    /// `"return"`: block, and answer with a RST or an ICMP error.
    case blockReturn
    /// `"pass-flow"`: pass, and the rest of the flow as well.
    case passFlow
    /// `"block-flow"`: block, and the rest of the flow as well.
    case blockFlow
    /// An error was raised.
    case failedError
    /// The call used up its instructions.
    case failedInstructions
    /// The state reached its memory limit.
    case failedMemory
    /// The call used up its time.
    case failedTime
    /// Anything else was returned.
    case failedAnswer

    /// Whether the script failed; `LuaState.lastMessage` says how.
    @inlinable public var isFailure: Bool { rawValue >= FilterAnswer.failedError.rawValue }
}

/// The outcome of one call of a filter function.
public struct FilterResult: Sendable, Hashable {
    /// What the function says.
    public let answer: FilterAnswer
    /// Whether it wrote to a writable region.
    public let changed: Bool

    /// An outcome.
    @inlinable public init(answer: FilterAnswer, changed: Bool) {
        self.answer = answer
        self.changed = changed
    }
}

/// What a filter function of three parameters gets as its third: a table with these fields.
///
/// The strings are C strings that must stay for the time of the call.
@unsafe public struct FilterContext {
    /// `ctx.interface`: the interface's name.
    public var interface: UnsafePointer<CChar>?
    /// `ctx.direction`: "in" or "out".
    public var direction: UnsafePointer<CChar>?
    /// `ctx.rule`: the rule as written.
    public var rule: UnsafePointer<CChar>?
    /// `ctx.time`: nanoseconds on the clock of the engine's choice; the script gets seconds, with a fraction.
    public var nanoseconds: Int64
    /// `ctx.mark`: the packet's mark.
    public var mark: UInt32
    /// `ctx.length`: bytes of the packet, of which the regions may show fewer.
    public var length: Int

    /// A context.
    public init(
        interface: UnsafePointer<CChar>?, direction: UnsafePointer<CChar>?, rule: UnsafePointer<CChar>?,
        nanoseconds: Int64, mark: UInt32, length: Int
    ) {
        unsafe self.interface = unsafe interface
        unsafe self.direction = unsafe direction
        unsafe self.rule = unsafe rule
        unsafe self.nanoseconds = nanoseconds
        unsafe self.mark = mark
        unsafe self.length = length
    }
}
