internal import CMnl
internal import Glibc
internal import SystemSupport

/// A socket of the kernel's netfilter, whose answers are there when a message was sent.
@safe
struct NetlinkSocket: ~Copyable {
    private let socket: OpaquePointer

    private init(owning socket: OpaquePointer) {
        unsafe self.socket = socket
    }

    static func open() throws(Errno) -> NetlinkSocket {
        guard let handle = unsafe mnl_socket_open2(NETLINK_NETFILTER, CInt(SOCK_CLOEXEC.rawValue)) else {
            throw .current
        }
        let socket = unsafe NetlinkSocket(owning: handle)
        try Errno.check { unsafe mnl_socket_bind(handle, 0, pid_t(MNL_SOCKET_AUTOPID)) }
        return socket
    }

    deinit {
        unsafe mnl_socket_close(socket)
    }

    func send(_ messages: UnsafeRawBufferPointer) throws(Errno) {
        try Errno.check { unsafe mnl_socket_sendto(socket, messages.baseAddress, messages.count) }
    }

    /// Receives a datagram that is there; of a longer one than `buffer` the end is lost.
    ///
    /// Returns its length.
    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try Errno.check {
            unsafe recv(mnl_socket_get_fd(socket), buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT))
        }
    }

    /// Takes the answers that are there.
    ///
    /// - Throws: the first that is an error other than `expected`; what follows it stays.
    func drainAnswers(except expected: CInt, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
        while true {
            let length: Int
            do throws(Errno) {
                length = try unsafe receive(into: buffer)
            } catch {
                // Nothing is left, or there were more errors than the socket has room for, of which one would do.
                if error == .wouldBlock || error == .noBufferSpace { return }
                throw error
            }
            var offset = 0
            let datagram = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<length])
            while let message = unsafe ConnectionMessage.parse(datagram, at: &offset) {
                if case .answer(let code) = message, code != 0, code != expected { throw Errno(code) }
            }
        }
    }
}
