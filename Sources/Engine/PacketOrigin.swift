public import Packet

/// Where and when a packet was seen: what is known of it besides its bytes.
@unsafe
public struct PacketOrigin: BitwiseCopyable {
    /// The interface as the ruleset numbers those that it names; 0 for another.
    public var interface: UInt16
    /// The interface as the kernel numbers it, which tells the states of one from another's.
    public var interfaceIndex: UInt32
    /// The interface's name, ending in NUL, for scripts that ask.
    public var interfaceName: UnsafePointer<CChar>
    /// Which side of the interface.
    public var direction: Direction
    /// When, in nanoseconds since 1970.
    public var time: Int64
    /// When, in nanoseconds on a clock that never goes back.
    public var clock: Int64
    /// The packet's mark.
    public var mark: UInt32
    /// Bytes of the packet, of which the queue may show fewer.
    public var originalLength: Int

    /// Makes an origin of its parts; the name must outlive it.
    public init(
        interface: UInt16, interfaceIndex: UInt32 = 0, interfaceName: UnsafePointer<CChar>, direction: Direction,
        time: Int64, clock: Int64, mark: UInt32 = 0, originalLength: Int = 0
    ) {
        unsafe self.interface = interface
        unsafe self.interfaceIndex = interfaceIndex
        unsafe self.interfaceName = unsafe interfaceName
        unsafe self.direction = direction
        unsafe self.time = time
        unsafe self.clock = clock
        unsafe self.mark = mark
        unsafe self.originalLength = originalLength
    }

    /// The direction's name, ending in NUL.
    var directionName: UnsafePointer<CChar> {
        let name: StaticString = unsafe direction == .in ? "in" : "out"
        return unsafe UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}
