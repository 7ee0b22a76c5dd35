internal import Glibc

/// The owner of an open file descriptor; closes it at the end of its life.
public struct Descriptor: ~Copyable, Sendable {
    /// The number, for a poll or a system call; never to be closed by others.
    public let raw: CInt

    /// Takes over `raw`, which nobody else may close.
    public init(owning raw: CInt) {
        self.raw = raw
    }

    /// Opens what a system call returns.
    ///
    /// - Throws: the `errno` of a call that returned -1.
    public init(opening call: () -> CInt) throws(Errno) {
        raw = try Errno.check(call)
    }

    /// Opens the file at `path` for reading.
    public init(reading path: String) throws(Errno) {
        try self.init(opening: { unsafe open(path, O_RDONLY | O_CLOEXEC) })
    }

    deinit {
        // Linux closes the descriptor even when it reports EINTR: a retry could close another's.
        close(raw)
    }

    /// Reads what is there into `buffer`.
    ///
    /// - Returns: the bytes read, 0 at the end; nil when there is nothing now (or within the socket's timeout).
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int? {
        do {
            return try Errno.check { unsafe Glibc.read(raw, buffer.baseAddress, buffer.count) }
        } catch {
            if error == .wouldBlock { return nil }
            throw error
        }
    }

    /// Reads a file from here to its end.
    ///
    /// - Throws: EFBIG for more than `limit` bytes.
    public func readToEnd(limit: Int = .max) throws(Errno) -> [UInt8] {
        var contents: [UInt8] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)
        defer { unsafe buffer.deallocate() }
        while let count = try unsafe read(into: buffer), count > 0 {
            unsafe contents.append(contentsOf: buffer[..<count])
            guard contents.count <= limit else { throw .fileTooLarge }
        }
        return contents
    }
}
