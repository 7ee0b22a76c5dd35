internal import CLinuxShim
internal import Glibc

/// Sends complete IP packets of one's own making, such as RSTs and ICMP errors.
///
/// Needs CAP_NET_RAW.
///
/// Non-blocking; allocates nothing per packet.
public struct RawSocket: ~Copyable, Sendable {
    private let ipv4: Descriptor
    /// Nil on a system without IPv6.
    private let ipv6: Descriptor?

    /// Opens the sockets of both families, in the calling thread's network namespace.
    ///
    /// - Parameter mark: the packet mark that the packets shall carry; 0: none. It needs CAP_NET_ADMIN.
    public init(mark: UInt32 = 0) throws(Errno) {
        let ipv4 = try Self.open(AF_INET, mark)
        self.ipv6 = try Self.openIPv6(mark)
        self.ipv4 = ipv4
    }

    private static func openIPv6(_ mark: UInt32) throws(Errno) -> Descriptor? {
        do {
            return try open(AF_INET6, mark)
        } catch {
            if error == Errno(EAFNOSUPPORT) { return nil }
            throw error
        }
    }

    private static func open(_ family: CInt, _ mark: UInt32) throws(Errno) -> Descriptor {
        // IPPROTO_RAW: the packets come with their IP header.
        let kind = CInt(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = try Descriptor(opening: { socket(family, kind, CInt(IPPROTO_RAW)) })
        if mark != 0 {
            var mark = mark
            let raw = descriptor.raw
            try Errno.check {
                unsafe setsockopt(raw, SOL_SOCKET, SO_MARK, &mark, socklen_t(MemoryLayout<UInt32>.size))
            }
        }
        return descriptor
    }

    /// Sends `packet`, from its IP header on.
    ///
    /// The kernel fills in the total length and the header's checksum of an IPv4 packet, nothing else.
    ///
    /// - Parameter interface: the index of the interface, which a link-local IPv6 destination needs; else 0.
    /// - Throws: EINVAL for what is no IP packet, EAGAIN when there is no room, EMSGSIZE, ENETUNREACH …
    public func send(_ packet: UnsafeRawBufferPointer, interface: UInt32 = 0) throws(Errno) {
        guard let first = unsafe packet.first else { throw .invalidArgument }
        switch first >> 4 {
        case 4 where packet.count >= 20:
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            unsafe address.sin_addr = packet.loadUnaligned(fromByteOffset: 16, as: in_addr.self)
            try unsafe Self.send(packet, over: ipv4.raw, to: &address)
        case 6 where packet.count >= 40:
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            unsafe address.sin6_addr = packet.loadUnaligned(fromByteOffset: 24, as: in6_addr.self)
            address.sin6_scope_id = interface
            switch ipv6 {
            case let ipv6?: try unsafe Self.send(packet, over: ipv6.raw, to: &address)
            case nil: throw Errno(EAFNOSUPPORT)
            }
        default:
            throw .invalidArgument
        }
    }

    private static func send<Address>(
        _ packet: UnsafeRawBufferPointer, over raw: CInt, to address: inout Address
    ) throws(Errno) {
        try unsafe withUnsafeBytes(of: &address) { address throws(Errno) in
            let to = unsafe address.assumingMemoryBound(to: sockaddr.self).baseAddress
            _ = try Errno.check {
                unsafe sendto(raw, packet.baseAddress, packet.count, 0, to, socklen_t(address.count))
            }
        }
    }
}
