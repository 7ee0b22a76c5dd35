internal import CLinuxShim
internal import Glibc

/// A thread of its own, with a name and a stack of a given size, that no signal interrupts.
///
/// Joined when its life ends.
@safe
public struct WorkerThread: ~Copyable {
    private let thread: pthread_t

    private final class Start: Sendable {
        let name: String
        let processor: Int?
        let body: @Sendable () -> Void

        init(name: String, processor: Int?, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.processor = processor
            self.body = body
        }
    }

    /// Starts `body` in a new thread.
    ///
    /// - Parameters:
    ///   - name: what `top` shows, at most 15 bytes; the rest is cut.
    ///   - processor: the one that it stays on, where the system lets it; nil for any.
    ///   - stackSize: in bytes. Lua's parser recurses, so its threads want megabytes.
    /// - Throws: EAGAIN or ENOMEM when the system has no room for it.
    public init(
        name: String, processor: Int? = nil, stackSize: Int = 8 << 20, _ body: @escaping @Sendable () -> Void
    ) throws(Errno) {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        let sized = unsafe pthread_attr_setstacksize(&attributes, stackSize)
        guard sized == 0 else { throw Errno(sized) }

        // A thread inherits its creator's mask: so it never runs with a signal unblocked.
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }

        let start = unsafe Unmanaged.passRetained(Start(name: name, processor: processor, body: body))
        var thread = pthread_t()
        let created = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                let start = unsafe Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
                _ = unsafe linux_pthread_setname(String(decoding: start.name.utf8.prefix(15), as: UTF8.self))
                if let processor = start.processor { try? Processors.pin(to: processor) }
                start.body()
                return nil
            }, start.toOpaque())
        guard created == 0 else {
            unsafe start.release()
            throw Errno(created)
        }
        self.thread = thread
    }

    deinit {
        pthread_join(thread, nil)
    }

    /// Waits until the body has returned.
    public consuming func join() {}
}
