public import Packet

/// What procedures are told of a packet besides its bytes and headers.
@unsafe
public struct ProcedureContext: BitwiseCopyable {
    /// The name of the interface, ending in NUL; it must outlive the call.
    public var interfaceName: UnsafePointer<CChar>
    /// Which side of the interface.
    public var direction: Direction
    /// When, in nanoseconds since 1970.
    public var time: Int64
    /// When, in nanoseconds on a clock that never goes back.
    public var clock: Int64
    /// The deciding rule, by a number that whoever reads the log understands.
    public var rule: Int32
    /// Bytes of the packet, of which the queue may show fewer.
    public var originalLength: Int

    /// Makes a context of its parts.
    public init(
        interfaceName: UnsafePointer<CChar>, direction: Direction, time: Int64, clock: Int64, rule: Int32,
        originalLength: Int
    ) {
        unsafe self.interfaceName = unsafe interfaceName
        unsafe self.direction = direction
        unsafe self.time = time
        unsafe self.clock = clock
        unsafe self.rule = rule
        unsafe self.originalLength = originalLength
    }
}
