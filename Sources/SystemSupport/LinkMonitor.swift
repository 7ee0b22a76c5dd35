internal import CLinuxShim
internal import Glibc

/// Tells that an interface came, went or changed its name, its state or its addresses (rtnetlink(7), RTMGRP_LINK,
/// RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR).
public struct LinkMonitor: ~Copyable, Sendable {
    /// For a poll: readable when something changed.
    public let descriptor: Descriptor

    /// Listens in the calling thread's network namespace.
    public init() throws(Errno) {
        let kind = CInt(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = try Descriptor(opening: { socket(AF_NETLINK, kind, NETLINK_ROUTE) })
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_groups = UInt32(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)
        let raw = descriptor.raw
        try unsafe withUnsafeBytes(of: &address) { address throws(Errno) in
            let own = unsafe address.assumingMemoryBound(to: sockaddr.self).baseAddress
            _ = try Errno.check { unsafe bind(raw, own, socklen_t(address.count)) }
        }
        self.descriptor = descriptor
    }

    /// Forgets what was told; true: something changed since the last call.
    public func drain() throws(Errno) -> Bool {
        var changed = false
        while true {
            do {
                // The news alone counts: a message may be cut, and a lost one (ENOBUFS) is news as well.
                let count = try unsafe withUnsafeTemporaryAllocation(byteCount: 64, alignment: 4) {
                    buffer throws(Errno) in
                    try unsafe descriptor.read(into: buffer)
                }
                if count == nil { return changed }
            } catch {
                if error != .noBufferSpace { throw error }
            }
            changed = true
        }
    }
}
