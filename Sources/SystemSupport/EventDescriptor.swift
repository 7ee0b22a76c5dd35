internal import CLinuxShim
internal import Glibc

/// A wake-up call from one thread to another: readable from `signal()` until `drain()` (eventfd).
public struct EventDescriptor: ~Copyable, Sendable {
    /// For a poll.
    public let descriptor: Descriptor

    /// An event that is not signalled.
    public init() throws(Errno) {
        descriptor = try Descriptor { eventfd(0, CInt(EFD_NONBLOCK | EFD_CLOEXEC)) }
    }

    /// Makes the descriptor readable.
    ///
    /// Callable from any thread.
    public func signal() {
        // It fails only when the counter is full, and then it is readable already.
        eventfd_write(descriptor.raw, 1)
    }

    /// Waits until it is signalled, for `milliseconds` at most; it stays signalled.
    public func wait(milliseconds: CInt) {
        var watched = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&watched, 1, milliseconds)
    }

    /// Makes it unreadable again; false: nobody had signalled.
    @discardableResult
    public func drain() -> Bool {
        var count: eventfd_t = 0
        return unsafe eventfd_read(descriptor.raw, &count) == 0
    }
}
