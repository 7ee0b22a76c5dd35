internal import Glibc
public import Packet
internal import Synchronization
public import SystemSupport

/// What the procedure `log` has noted of a packet, besides its bytes.
public struct LoggedPacket: BitwiseCopyable, Sendable {
    /// The file that the packet goes to, by its place in the configuration.
    public internal(set) var file: UInt16 = 0
    /// The deciding rule, as the context named it.
    public internal(set) var rule: Int32 = 0
    /// Whether the packet was blocked when the procedure came to log it.
    public internal(set) var isBlocked = false
    /// Which side of the interface.
    public internal(set) var direction = Direction.in
    /// The interface.
    public internal(set) var interface = InterfaceName()
    /// When, in nanoseconds since 1970.
    public internal(set) var time: Int64 = 0
    /// Bytes of the packet before it was cut.
    public internal(set) var originalLength = 0
}

/// Packets on their way from a worker to the log's files: a ring that the worker fills and the control thread empties.
///
/// The worker copies a packet and goes on, without a lock, a system call or an allocation; where the ring is full it only
/// counts. The memory is the system's until packets are first put there.
@safe
public final class PacketLog: Sendable {
    /// Stands before a packet's bytes in the ring.
    private struct Header: BitwiseCopyable {
        /// Bytes up to the next header; where there is no packet, up to the end of the ring's memory.
        var size: Int
        /// Bytes of the packet; -1: there is no packet.
        var count: Int
        var packet = LoggedPacket()
    }

    /// Every header begins at a multiple of this, so that one that says no packet always has room.
    private static let alignment = 16

    private let capacity: Int
    /// Bytes of a packet that are logged at most.
    public let snapLength: Int
    nonisolated(unsafe) private let memory: UnsafeMutableRawPointer
    // Bytes put and taken since the start.
    private let written = Atomic<Int>(0)
    private let read = Atomic<Int>(0)
    private let lost = Atomic<UInt64>(0)
    /// How many of these `takeLost` has told of.
    private let told = Atomic<UInt64>(0)

    /// A ring.
    ///
    /// - Parameters:
    ///   - capacity: bytes of its memory, rounded up to a power of two.
    ///   - snapLength: bytes of a packet that are logged at most.
    public init(capacity: Int = 4 << 20, snapLength: Int = 65_535) {
        self.snapLength = max(snapLength, 0)
        var size = 4096
        while size < capacity { size *= 2 }
        self.capacity = size
        unsafe memory = .allocate(byteCount: size, alignment: Self.alignment)
    }

    deinit {
        unsafe memory.deallocate()
    }

    /// How many packets found no room, since the start.
    public var lostPackets: UInt64 { lost.load(ordering: .relaxed) }

    /// How many packets found no room since this was asked last.
    ///
    /// One thread alone may do this.
    public func takeLost() -> UInt64 {
        let all = lostPackets
        return all - told.exchange(all, ordering: .relaxed)
    }

    /// Notes a packet.
    ///
    /// Part of the packet path. One thread alone may do this.
    func note(
        _ packet: UnsafeRawBufferPointer, file: UInt16, isBlocked: Bool, _ context: ProcedureContext
    ) {
        let count = min(packet.count, snapLength)
        let size = (MemoryLayout<Header>.size &+ count &+ Self.alignment &- 1) & ~(Self.alignment &- 1)
        var end = written.load(ordering: .relaxed)
        let room = capacity &- (end &- read.load(ordering: .acquiring))
        let offset = end & (capacity &- 1)
        // A packet lies in one piece: what is left at the end of the memory is passed over.
        let rest = capacity &- offset
        let skipped = size <= rest ? 0 : rest
        guard size &+ skipped <= room else {
            lost.store(lost.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
            return
        }
        var place = unsafe memory + offset
        if skipped > 0 {
            unsafe place.storeBytes(of: skipped, as: Int.self)
            unsafe place.storeBytes(of: -1, toByteOffset: MemoryLayout<Int>.size, as: Int.self)
            unsafe place = memory
            end &+= skipped
        }
        let header = unsafe place.assumingMemoryBound(to: Header.self)
        unsafe header.initialize(to: Header(size: size, count: count))
        unsafe header.pointee.packet.file = file
        unsafe header.pointee.packet.isBlocked = isBlocked
        unsafe header.pointee.packet.rule = context.rule
        unsafe header.pointee.packet.direction = context.direction
        unsafe header.pointee.packet.time = context.time
        unsafe header.pointee.packet.originalLength = max(context.originalLength, packet.count)
        unsafe withUnsafeMutableBytes(of: &header.pointee.packet.interface) {
            _ = unsafe memcpy($0.baseAddress!, context.interfaceName, strnlen(context.interfaceName, $0.count - 1))
        }
        if let start = packet.baseAddress {
            unsafe (place + MemoryLayout<Header>.size).copyMemory(from: start, byteCount: count)
        }
        written.store(end &+ size, ordering: .releasing)
    }

    /// Takes what was noted before the call, the oldest first.
    ///
    /// One thread alone may do this. `body` gets each packet with its bytes, which are gone when it returns.
    public func drain(_ body: (LoggedPacket, UnsafeRawBufferPointer) -> Void) {
        // The worker may note faster than this goes.
        let end = written.load(ordering: .acquiring)
        var next = read.load(ordering: .relaxed)
        while next < end {
            let place = unsafe memory + next & (capacity - 1)
            let (size, count) = unsafe (
                place.load(as: Int.self), place.load(fromByteOffset: MemoryLayout<Int>.size, as: Int.self)
            )
            if count >= 0 {
                unsafe body(
                    place.assumingMemoryBound(to: Header.self).pointee.packet,
                    UnsafeRawBufferPointer(start: place + MemoryLayout<Header>.size, count: count))
            }
            next += size
            read.store(next, ordering: .releasing)
        }
    }
}
