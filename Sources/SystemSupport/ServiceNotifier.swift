internal import CLinuxShim
internal import Glibc

/// Tells the service manager how the service is (sd_notify(3): datagrams to the socket in $NOTIFY_SOCKET).
///
/// Without that variable there is no service manager, and every call does nothing. A datagram that cannot be sent
/// is lost: the service must run on.
public struct ServiceNotifier: Sendable {
    private let path: String?

    /// Half of this is how often `watchdog()` must be called, in milliseconds; nil: the manager asks for none.
    public let watchdogInterval: UInt64?

    /// The service manager that the environment names: $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID.
    public init() {
        self.init { name in unsafe getenv(name).map { unsafe String(cString: $0) } }
    }

    package init(environment: (String) -> String?) {
        path = environment("NOTIFY_SOCKET").flatMap { $0.isEmpty ? nil : $0 }
        let isForUs = environment("WATCHDOG_PID").map { $0 == String(getpid()) } ?? true
        let microseconds = environment("WATCHDOG_USEC").flatMap { UInt64($0) } ?? 0
        watchdogInterval = isForUs && microseconds >= 1000 ? microseconds / 1000 : nil
    }

    /// The service has started.
    public func ready() { send("READY=1") }

    /// The service reads its configuration again; `ready()` ends it.
    public func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonic / 1000)") }

    /// The service is about to end.
    public func stopping() { send("STOPPING=1") }

    /// One line for `systemctl status`.
    public func status(_ line: String) {
        send("STATUS=" + String(line.map { $0.isNewline ? " " : $0 }))
    }

    /// The service is alive.
    public func watchdog() { send("WATCHDOG=1") }

    private func send(_ state: String) {
        guard let path else { return }
        let kind = CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        guard let descriptor = try? Descriptor(opening: { socket(AF_UNIX, kind, 0) }) else { return }
        try? UnixAddress(path: path).send(state, from: descriptor.raw)
    }
}
