internal import Glibc
public import SystemSupport

/// Why a queue could not be taken or used, in one sentence that says what to do.
public struct PacketQueueError: Error, CustomStringConvertible, Sendable {
    /// The system's error.
    public let code: Errno
    /// The sentence.
    public let description: String

    /// The buffers could not be had.
    init(memory error: Errno) {
        code = error
        description = "no memory for the queue's buffers: \(error.text)"
    }

    /// The queue could not be taken.
    package init(
        taking number: UInt16, _ error: Errno, isPrivileged: Bool = Capabilities.effective.netAdmin
    ) {
        code = error
        description =
            switch error {
            case .notPermitted where !isPrivileged:
                "taking packets from queue \(number) needs CAP_NET_ADMIN: run as root or under the service"
            case .notPermitted, .busy:
                "queue \(number) is already taken by \(Self.owner(of: number)): stop it or set queue.number to another"
            case .invalidArgument, Errno(EOPNOTSUPP), Errno(EPROTONOSUPPORT):
                "this kernel has no nfnetlink_queue: modprobe nfnetlink_queue"
            default: "queue \(number) cannot be taken: \(error)"
            }
    }

    /// The queue was ours, and the kernel refused something.
    init(using number: UInt16, _ error: Errno) {
        code = error
        description = "the kernel refuses to serve queue \(number): \(error); restart the daemon"
    }

    private static func owner(of number: UInt16) -> String {
        guard let port = QueueCounters(numbers: number...number)?.ownerPort else { return "another process" }
        guard let name = try? Descriptor(reading: "/proc/\(port)/comm").readToEnd() else {
            return "another process (netlink port \(port))"
        }
        return "process \(port) (\(String(decoding: name, as: UTF8.self).filter { !$0.isNewline }))"
    }
}
