internal import CLinuxShim
internal import Glibc

/// An error of the system, by its `errno` number.
public struct Errno: Error, Hashable, Sendable, CustomStringConvertible {
    /// The number, such as 1 for EPERM.
    public let code: CInt

    /// The error with the given number.
    public init(_ code: CInt) {
        self.code = code
    }

    /// What the calling thread's last failed call left in `errno`.
    public static var current: Errno { Errno(errno) }

    /// The constant's name, such as "EPERM"; "errno 4095" for a number that has none.
    public var name: String {
        guard let name = unsafe linux_error_name(code) else { return "errno \(code)" }
        return unsafe String(cString: name)
    }

    /// The error in words, such as "Operation not permitted".
    public var text: String {
        guard let text = unsafe linux_error_text(code) else { return "unknown error \(code)" }
        return unsafe String(cString: text)
    }

    /// The words and the name: "Operation not permitted (EPERM)".
    public var description: String { "\(text) (\(name))" }

    /// Runs a system call until no signal interrupts it and returns its result.
    ///
    /// - Throws: the `errno` of a call that returned -1.
    @inline(always)
    @discardableResult
    public static func check<Result: SignedInteger>(_ call: () -> Result) throws(Errno) -> Result {
        while true {
            let result = call()
            if result != -1 { return result }
            let error = current
            if error != .interrupted { throw error }
        }
    }
}

extension Errno {
    /// EINTR.
    public static var interrupted: Errno { Errno(EINTR) }
    /// EAGAIN.
    public static var wouldBlock: Errno { Errno(EAGAIN) }
    /// EPERM.
    public static var notPermitted: Errno { Errno(EPERM) }
    /// EACCES.
    public static var accessDenied: Errno { Errno(EACCES) }
    /// EFBIG.
    public static var fileTooLarge: Errno { Errno(EFBIG) }
    /// EPIPE.
    public static var brokenPipe: Errno { Errno(EPIPE) }
    /// EBUSY.
    public static var busy: Errno { Errno(EBUSY) }
    /// EINVAL.
    public static var invalidArgument: Errno { Errno(EINVAL) }
    /// ENOENT.
    public static var noSuchEntry: Errno { Errno(ENOENT) }
    /// ENOBUFS.
    public static var noBufferSpace: Errno { Errno(ENOBUFS) }
    /// ETIMEDOUT.
    public static var timedOut: Errno { Errno(ETIMEDOUT) }
    /// ECONNREFUSED.
    public static var connectionRefused: Errno { Errno(ECONNREFUSED) }
}

/// A failure told to a user: one sentence that says what to do, and the system's error where there is one.
public struct SystemError: Error, CustomStringConvertible, Sendable {
    /// The system's error; nil where no call failed.
    public let code: Errno?
    /// The sentence.
    public let description: String

    /// A failure in words, caused by `code`.
    public init(_ description: String, code: Errno? = nil) {
        self.code = code
        self.description = description
    }
}
