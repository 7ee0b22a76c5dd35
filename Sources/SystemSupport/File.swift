internal import Glibc

/// Whole files, for the control thread and the tools.
public enum File {
    /// What is in the file at `path`.
    ///
    /// - Parameter limit: a file of more bytes is refused.
    /// - Throws: `SystemError`, one sentence with the path.
    public static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
        try read(named: path, limit: limit) { () throws(Errno) in
            try Descriptor(reading: path).readToEnd(limit: limit)
        }
    }

    /// What comes by standard input, up to its end.
    ///
    /// - Throws: `SystemError`, as `read(_:limit:)`.
    public static func readStandardInput(limit: Int) throws(SystemError) -> [UInt8] {
        try read(named: "standard input", limit: limit) { () throws(Errno) in
            try Descriptor(opening: { dup(STDIN_FILENO) }).readToEnd(limit: limit)
        }
    }

    private static func read(
        named name: String, limit: Int, _ bytes: () throws(Errno) -> [UInt8]
    ) throws(SystemError) -> [UInt8] {
        do throws(Errno) {
            return try bytes()
        } catch {
            let reason = error == .fileTooLarge ? "it is larger than \(limit) bytes" : error.text
            throw SystemError("cannot read \(name): \(reason)", code: error)
        }
    }
}
