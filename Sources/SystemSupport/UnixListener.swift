internal import CLinuxShim
internal import Glibc

/// A UNIX stream socket that clients connect to, at a path of its own.
///
/// Removes the path when its life ends.
public struct UnixListener: ~Copyable, Sendable {
    /// For a poll: readable when a client waits.
    public let descriptor: Descriptor
    private let path: String
    private let device: UInt64
    private let inode: UInt64

    /// Listens at `path`, for the owner and for `group` (mode 0660).
    ///
    /// A socket that nobody answers on is what a killed daemon left, and is replaced.
    /// - Parameter group: ignored where the system has no such group: the socket is then the owner's alone.
    public init(path: String, group: String? = nil) throws(SystemError) {
        let address: UnixAddress
        do {
            address = try UnixAddress(path: path)
        } catch {
            throw SystemError("cannot make a socket at \(path): \(error.text)", code: error)
        }
        try Self.removeStaleSocket(at: path, address)

        do {
            let descriptor = try Self.open(at: path, address, for: group.flatMap { Users.groupID(named: $0) })
            var status = stat()
            try Errno.check { unsafe stat(path, &status) }
            self.descriptor = descriptor
            self.path = path
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
        } catch {
            throw SystemError(
                "cannot listen at \(path): \(error.text); its directory must exist and be the daemon's", code: error)
        }
    }

    private static func open(
        at path: String, _ address: UnixAddress, for groupID: gid_t?
    ) throws(Errno) -> Descriptor {
        let descriptor = try Descriptor(opening: { socket(AF_UNIX, streamSocket | CInt(SOCK_NONBLOCK.rawValue), 0) })
        // The new file takes its mode from the socket: at no time can a stranger connect.
        try Errno.check { fchmod(descriptor.raw, 0o600) }
        try address.bind(descriptor.raw)
        if let groupID {
            try Errno.check { unsafe chown(path, uid_t.max, groupID) }
            try Errno.check { unsafe chmod(path, 0o660) }
        }
        try Errno.check { listen(descriptor.raw, 16) }
        return descriptor
    }

    deinit {
        var status = stat()
        // Another daemon may have put its own socket there since.
        if unsafe stat(path, &status) == 0, status.st_dev == device, status.st_ino == inode {
            unsafe unlink(path)
        }
    }

    /// The next client that waits, non-blocking; nil: none.
    public func accept() throws(Errno) -> UnixSocket? {
        do {
            let flags = CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            return UnixSocket(try Descriptor(opening: { linux_accept4(descriptor.raw, flags) }))
        } catch {
            // ECONNABORTED: it has gone again before it was taken.
            if error == .wouldBlock || error == Errno(ECONNABORTED) { return nil }
            throw error
        }
    }

    private static func removeStaleSocket(at path: String, _ address: UnixAddress) throws(SystemError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw SystemError("\(path) exists and is not a socket: remove it or name another path")
        }
        do {
            let probe = try Descriptor(opening: { socket(AF_UNIX, streamSocket | CInt(SOCK_NONBLOCK.rawValue), 0) })
            try address.connect(probe.raw)
        } catch {
            switch error {
            case .connectionRefused:
                unsafe unlink(path)
                return
            case .noSuchEntry:
                return
            case .wouldBlock:
                // Its backlog is full: somebody is there.
                break
            default:
                throw SystemError("cannot tell whether a daemon answers at \(path): \(error.text)", code: error)
            }
        }
        throw SystemError("another daemon answers at \(path): stop it first or name another path")
    }
}
