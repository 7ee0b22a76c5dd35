internal import CMnl
internal import Glibc
package import SystemSupport

/// Ends the waiting of a thread that takes packets from its queue.
///
/// It sends the queue's socket a message that says nothing: waiting for packets and for that is one system call, where
/// two descriptors would take a second one for each batch. Needs CAP_NET_ADMIN, as the queue does.
@safe
package struct QueueWaker: ~Copyable, Sendable {
    private nonisolated(unsafe) let socket: OpaquePointer

    /// - Throws: where the system has no socket for it.
    package init() throws(Errno) {
        guard let socket = unsafe mnl_socket_open2(NETLINK_NETFILTER, CInt(SOCK_CLOEXEC.rawValue)) else {
            throw .current
        }
        unsafe self.socket = socket
    }

    deinit {
        unsafe mnl_socket_close(socket)
    }

    /// Has a queue's `receive(waiting:)` return, the one that waits or the next.
    ///
    /// - Parameter port: the queue's `port`.
    package func wake(_ port: UInt32) {
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_pid = port
        var message = nlmsghdr()
        message.nlmsg_len = UInt32(MemoryLayout<nlmsghdr>.size)
        message.nlmsg_type = UInt16(NLMSG_NOOP)
        // A socket that has no room for it has packets, and nobody waits there.
        _ = unsafe withUnsafeBytes(of: &message) { message in
            unsafe withUnsafePointer(to: &address) { address in
                unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    unsafe sendto(
                        mnl_socket_get_fd(socket), message.baseAddress, message.count, CInt(MSG_DONTWAIT), address,
                        socklen_t(MemoryLayout<sockaddr_nl>.size))
                }
            }
        }
    }
}
