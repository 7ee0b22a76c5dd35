import Glibc

/// The directory that scripts and their modules are read from, `/etc/npf` unless told otherwise.
public struct ScriptDirectory: Sendable, Hashable {
    /// Bytes that a script may have.
    public static let longestScript = 1 << 20

    /// The directory's path.
    public let path: String

    /// The directory at a path; it need not exist until something is read.
    public init(path: String) {
        self.path = path
    }

    /// The text of a script: a path as it is if absolute, else below this directory.
    ///
    /// Throws `.file` with the reason, if it cannot be read or is longer than `longestScript`.
    public func script(_ name: String) throws(ScriptError) -> [UInt8] {
        try Self.contents(ofFile: name.utf8.first == UInt8(ascii: "/") ? name : "\(path)/\(name)")
    }

    /// The file name, below this directory, of a module that is required: `lib.util` is `lib/util.lua`.
    ///
    /// Nil if the name could lead elsewhere: its parts, between dots or slashes, are letters, digits, `_` and `-`.
    package static func fileName(ofModule name: String) -> String? {
        let parts = name.utf8.split(omittingEmptySubsequences: false) {
            $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "/")
        }
        let areWords = parts.allSatisfy { part in
            !part.isEmpty
                && part.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                        true
                    default:
                        false
                    }
                }
        }
        guard areWords else { return nil }
        return parts.map { String(Substring($0)) }.joined(separator: "/") + ".lua"
    }

    private static func contents(ofFile path: String) throws(ScriptError) -> [UInt8] {
        // Without O_NONBLOCK a FIFO of that name would wait for a writer.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure(path) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure(path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ScriptError(.file, "\(path): not a file") }
        guard status.st_size <= longestScript else {
            throw ScriptError(.file, "\(path): longer than the \(longestScript) bytes that a script may have")
        }
        var text = [UInt8](repeating: 0, count: Int(status.st_size))
        var length = 0
        while length < text.count {
            let count = unsafe text.withUnsafeMutableBytes {
                unsafe read(descriptor, $0.baseAddress! + length, $0.count - length)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure(path) }
            if count == 0 { break }
            length += count
        }
        text.removeLast(text.count - length)
        return text
    }

    private static func failure(_ path: String) -> ScriptError {
        ScriptError(.file, unsafe "\(path): \(String(cString: strerror(errno)))")
    }
}
