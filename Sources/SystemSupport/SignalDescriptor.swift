internal import CLinuxShim
internal import Glibc

/// Signals as something to read (signalfd).
public struct SignalDescriptor: ~Copyable, Sendable {
    /// For a poll.
    public let descriptor: Descriptor

    /// Blocks `signals` in the calling thread, and so in the threads that it starts, and takes them from here on.
    public init(_ signals: [CInt]) throws(Errno) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        let blocked = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        guard blocked == 0 else { throw Errno(blocked) }
        descriptor = try Descriptor {
            unsafe signalfd(-1, &set, CInt(SFD_NONBLOCK | SFD_CLOEXEC))
        }
    }

    /// The next signal that came; nil: none.
    public func next() throws(Errno) -> CInt? {
        var information = signalfd_siginfo()
        let count = try unsafe withUnsafeMutableBytes(of: &information) { bytes throws(Errno) in
            try unsafe descriptor.read(into: bytes)
        }
        return count == nil ? nil : CInt(bitPattern: information.ssi_signo)
    }
}
