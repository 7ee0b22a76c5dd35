internal import CLinuxShim
internal import Glibc

/// A timer on the monotonic clock (timerfd).
public struct TimerDescriptor: ~Copyable, Sendable {
    /// For a poll: readable when the timer has expired.
    public let descriptor: Descriptor

    /// A timer that does not run.
    public init() throws(Errno) {
        descriptor = try Descriptor {
            timerfd_create(CLOCK_MONOTONIC, CInt(TFD_NONBLOCK | TFD_CLOEXEC))
        }
    }

    /// Lets it expire after `milliseconds`, at least 1, and then every `period` milliseconds; 0: once.
    public func start(after milliseconds: UInt32, every period: UInt32 = 0) throws(Errno) {
        try set(timespec(milliseconds: max(1, milliseconds)), timespec(milliseconds: period))
    }

    /// Stops it.
    public func stop() throws(Errno) {
        try set(timespec(), timespec())
    }

    private func set(_ first: timespec, _ period: timespec) throws(Errno) {
        var setting = itimerspec(it_interval: period, it_value: first)
        try Errno.check { unsafe timerfd_settime(descriptor.raw, 0, &setting, nil) }
    }

    /// How often it expired since the last call.
    public func drain() throws(Errno) -> UInt64 {
        var expirations: UInt64 = 0
        let count = try unsafe withUnsafeMutableBytes(of: &expirations) { bytes throws(Errno) in
            try unsafe descriptor.read(into: bytes)
        }
        return count == nil ? 0 : expirations
    }
}

extension timespec {
    fileprivate init(milliseconds: UInt32) {
        self.init(tv_sec: Int(milliseconds / 1000), tv_nsec: Int(milliseconds % 1000) * 1_000_000)
    }
}
