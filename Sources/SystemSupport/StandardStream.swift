internal import Glibc

/// The streams that a program speaks to its user by.
///
/// Nothing is buffered: what was written is seen.
public enum StandardStream: CInt, Sendable {
    /// Standard output.
    case output = 1
    /// Standard error.
    case error = 2

    /// Writes a text, as far as somebody takes it.
    public func write(_ text: String) {
        write(Array(text.utf8))
    }

    /// Writes bytes, as far as somebody takes them.
    public func write(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { bytes in
            var rest = unsafe bytes[...]
            while unsafe !rest.isEmpty {
                let pending = unsafe UnsafeRawBufferPointer(rebasing: rest)
                let count = try? Errno.check { unsafe Glibc.write(rawValue, pending.baseAddress, pending.count) }
                guard let count, count > 0 else { return }
                unsafe rest = rest.dropFirst(count)
            }
        }
    }
}
