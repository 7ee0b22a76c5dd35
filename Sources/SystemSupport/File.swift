internal import Glibc

/// Whole files, for the control thread and the tools.
public enum File {
    /// What is in the file at `path`.
    ///
    /// - Parameter limit: a file of more bytes is refused.
    /// - Throws: `SystemError`, one sentence with the path.
    public static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
        let descriptor: Descriptor
        do throws(Errno) {
            descriptor = try Descriptor { unsafe open(path, O_RDONLY | O_CLOEXEC) }
        } catch {
            throw SystemError("cannot read \(path): \(error.text)", code: error)
        }
        return try read(descriptor, named: path, limit: limit)
    }

    /// What comes by standard input, up to its end.
    ///
    /// - Throws: `SystemError`, as `read(_:limit:)`.
    public static func readStandardInput(limit: Int) throws(SystemError) -> [UInt8] {
        let descriptor: Descriptor
        do throws(Errno) {
            descriptor = try Descriptor { dup(STDIN_FILENO) }
        } catch {
            throw SystemError("cannot read standard input: \(error.text)", code: error)
        }
        return try read(descriptor, named: "standard input", limit: limit)
    }

    private static func read(
        _ descriptor: borrowing Descriptor, named name: String, limit: Int
    ) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        do throws(Errno) {
            while true {
                var free = buffer.mutableSpan
                let count = try unsafe free.withUnsafeMutableBytes { buffer throws(Errno) in
                    try unsafe descriptor.read(into: buffer)
                }
                guard let count, count > 0 else { return bytes }
                bytes += buffer.prefix(count)
                guard bytes.count <= limit else { break }
            }
        } catch {
            throw SystemError("cannot read \(name): \(error.text)", code: error)
        }
        throw SystemError("cannot read \(name): it is larger than \(limit) bytes")
    }
}
