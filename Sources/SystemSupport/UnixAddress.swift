internal import Glibc

/// The address of a UNIX socket: a path, or with a leading "@" a name in the abstract namespace.
struct UnixAddress {
    private var address = sockaddr_un()
    private let length: socklen_t

    /// - Throws: ENAMETOOLONG for more than 107 bytes, EINVAL for none.
    init(path: String) throws(Errno) {
        let isAbstract = path.utf8.first == UInt8(ascii: "@")
        let bytes = isAbstract ? [0] + path.utf8.dropFirst() : Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !bytes.isEmpty else { throw .invalidArgument }
        guard bytes.count < room else { throw Errno(ENAMETOOLONG) }
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        // A path ends with a zero byte, an abstract name with its length.
        length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1))
    }

    func connect(_ raw: CInt) throws(Errno) {
        try unsafe check { unsafe Glibc.connect(raw, $0, length) }
    }

    func bind(_ raw: CInt) throws(Errno) {
        try unsafe check { unsafe Glibc.bind(raw, $0, length) }
    }

    /// Sends one datagram.
    func send(_ text: String, from raw: CInt) throws(Errno) {
        let bytes = Array(text.utf8)
        try unsafe check { unsafe sendto(raw, bytes, bytes.count, CInt(MSG_NOSIGNAL), $0, length) }
    }

    private func check<Result: SignedInteger>(_ call: (UnsafePointer<sockaddr>) -> Result) throws(Errno) {
        try unsafe withUnsafePointer(to: address) { pointer throws(Errno) in
            _ = try unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address throws(Errno) in
                try Errno.check { unsafe call(address) }
            }
        }
    }
}
