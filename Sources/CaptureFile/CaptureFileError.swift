/// Why a capture file cannot be read, or not further.
public struct CaptureFileError: Error, Equatable, CustomStringConvertible {
    /// The byte of the file, counted from 0, at which the faulty structure begins.
    public let offset: Int
    /// What is wrong there.
    public let message: String

    /// The place and the message, as in `byte 24: this record …`.
    public var description: String { "byte \(offset): \(message)" }
}
