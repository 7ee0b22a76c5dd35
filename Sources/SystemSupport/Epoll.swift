internal import CLinuxShim
internal import Glibc

/// Waits for several descriptors at once.
///
/// Its event buffer is allocated once.
@safe
public struct Epoll: ~Copyable {
    private let descriptor: Descriptor
    private let events: UnsafeMutableBufferPointer<epoll_event>

    /// What a descriptor is watched for; an error or hang-up is always told.
    public struct Interest: OptionSet, Sendable {
        /// The bits of `EPOLL_EVENTS`.
        public let rawValue: UInt32

        /// The set of the given `EPOLL_EVENTS` bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// There is something to read, or the end.
        public static let readable = Interest(rawValue: EPOLLIN.rawValue)
        /// There is room to write.
        public static let writable = Interest(rawValue: EPOLLOUT.rawValue)
    }

    /// What happened to one descriptor.
    public struct Event: BitwiseCopyable, Sendable {
        /// The number that the descriptor was added with.
        public let token: UInt64
        /// A read would not block; so it is after an error or a hang-up, which the read then tells.
        public let isReadable: Bool
        /// A write would not block.
        public let isWritable: Bool
    }

    /// A set without descriptors; one `wait` tells of `capacity` events at most.
    public init(capacity: Int = 64) throws(Errno) {
        descriptor = try Descriptor { epoll_create1(CInt(EPOLL_CLOEXEC)) }
        unsafe events = .allocate(capacity: capacity)
        unsafe events.initialize(repeating: epoll_event())
    }

    deinit {
        unsafe events.deallocate()
    }

    /// Watches `raw`; `token` tells its events from others.
    public func add(_ raw: CInt, for interest: Interest = .readable, token: UInt64) throws(Errno) {
        try control(EPOLL_CTL_ADD, raw, interest, token)
    }

    /// Changes what `raw` is watched for.
    public func modify(_ raw: CInt, for interest: Interest, token: UInt64) throws(Errno) {
        try control(EPOLL_CTL_MOD, raw, interest, token)
    }

    /// Watches `raw` no longer; to be called before it is closed.
    public func remove(_ raw: CInt) throws(Errno) {
        try control(EPOLL_CTL_DEL, raw, [], 0)
    }

    private func control(_ operation: CInt, _ raw: CInt, _ interest: Interest, _ token: UInt64) throws(Errno) {
        var event = unsafe epoll_event(events: interest.rawValue, data: epoll_data_t(u64: token))
        try Errno.check { unsafe epoll_ctl(descriptor.raw, operation, raw, &event) }
    }

    /// Waits until something happens, for `milliseconds` at most; -1: without end.
    ///
    /// - Returns: how many events `event(at:)` now has.
    public mutating func wait(milliseconds: CInt = -1) throws(Errno) -> Int {
        Int(
            try Errno.check {
                unsafe epoll_wait(descriptor.raw, events.baseAddress, CInt(events.count), milliseconds)
            })
    }

    /// The event at `index`, counted from 0, of the last `wait`.
    public func event(at index: Int) -> Event {
        unsafe precondition(index >= 0 && index < events.count)
        let (happened, token) = unsafe (events[index].events, events[index].data.u64)
        let failed = happened & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
        return Event(
            token: token,
            isReadable: failed || happened & EPOLLIN.rawValue != 0,
            isWritable: happened & EPOLLOUT.rawValue != 0)
    }
}
