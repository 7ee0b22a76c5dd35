internal import CLinuxShim
internal import Glibc

/// Who is at the other end of a UNIX socket, as the kernel saw it at the connect (SO_PEERCRED).
public struct PeerCredentials: Sendable, Equatable {
    /// The process.
    public let processID: Int32
    /// Its effective user.
    public let userID: UInt32
    /// Its effective group.
    public let groupID: UInt32
}

/// A connected UNIX stream socket.
public struct UnixSocket: ~Copyable, Sendable {
    /// For a poll.
    public let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }

    /// Connects to the listener at `path`; the connect, and each read and write, waits `milliseconds` at most.
    ///
    /// - Throws: ENOENT or ECONNREFUSED when nobody listens, EACCES when the user may not, EAGAIN after the wait.
    public init(connectingTo path: String, milliseconds: UInt32) throws(Errno) {
        let descriptor = try Descriptor(opening: { socket(AF_UNIX, streamSocket, 0) })
        var wait = timeval(tv_sec: Int(milliseconds / 1000), tv_usec: Int(milliseconds % 1000) * 1000)
        for option in [SO_SNDTIMEO, SO_RCVTIMEO] {
            try Errno.check {
                unsafe setsockopt(
                    descriptor.raw, SOL_SOCKET, option, &wait, socklen_t(MemoryLayout<timeval>.size))
            }
        }
        try UnixAddress(path: path).connect(descriptor.raw)
        self.descriptor = descriptor
    }

    /// Who connected, or whose listener this is connected to.
    public func peerCredentials() throws(Errno) -> PeerCredentials {
        var (pid, uid, gid) = (pid_t(0), uid_t(0), gid_t(0))
        try Errno.check { unsafe linux_peer_credentials(descriptor.raw, &pid, &uid, &gid) }
        return PeerCredentials(processID: pid, userID: uid, groupID: gid)
    }

    /// Reads what is there.
    ///
    /// - Returns: the bytes read, 0 at the end; nil when there is nothing now or within the time allowed.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int? {
        try unsafe descriptor.read(into: buffer)
    }

    /// Writes as much as there is room for.
    ///
    /// - Returns: the bytes written; nil when there is no room now or within the time allowed.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int? {
        do {
            // MSG_NOSIGNAL: a peer that has gone is an error to report, never a signal that ends the process.
            return try Errno.check {
                unsafe send(descriptor.raw, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
            }
        } catch {
            if error == .wouldBlock { return nil }
            throw error
        }
    }

    /// Writes all of `bytes`.
    ///
    /// For a client; a non-blocking socket has to keep what does not fit.
    ///
    /// - Throws: ETIMEDOUT when the peer takes nothing within the time allowed.
    public func writeAll(_ bytes: [UInt8]) throws(Errno) {
        try unsafe bytes.span.withUnsafeBytes { all throws(Errno) in
            var rest = unsafe all[...]
            while unsafe !rest.isEmpty {
                guard let count = try unsafe write(UnsafeRawBufferPointer(rebasing: rest)) else { throw .timedOut }
                unsafe rest = rest.dropFirst(count)
            }
        }
    }
}

let streamSocket = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
