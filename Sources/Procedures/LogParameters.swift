/// What `log:` says: the file that packets are logged to.
///
/// NPF logs to an interface, `log: npflog0`, that tcpdump listens to. Linux has none of that kind, and nfnetlink_log takes
/// packets from the kernel only (NFULNL_MSG_PACKET is refused from user space), so the interface's name becomes a file's.
public struct LogParameters: Hashable, Sendable {
    /// The file's name, in the log directory.
    public let file: String

    /// Where `log: npflog0` goes: `npflog0.pcapng`.
    ///
    /// - Parameter interface: 1 to 15 of the letters, digits, `.`, `_` and `-`.
    /// - Throws: `ParameterError` for another name.
    public init(interface: String) throws(ParameterError) {
        guard interface.utf8.count <= 15, Self.isPlain(interface) else {
            throw ParameterError("`log` needs a name such as `npflog0`: up to 15 letters, digits, `.`, `_` and `-`")
        }
        file = "\(interface).pcapng"
    }

    /// Where `log: file "NAME.pcapng"` goes.
    ///
    /// - Parameter file: a name without a folder that ends in `.pcapng`.
    /// - Throws: `ParameterError` for another name.
    public init(file: String) throws(ParameterError) {
        guard file.hasSuffix(".pcapng"), file.utf8.count <= 128, Self.isPlain(file) else {
            throw ParameterError(
                "`log: file` needs a name such as `\"blocked.pcapng\"`, without a folder: the log directory is given")
        }
        self.file = file
    }

    private static func isPlain(_ name: String) -> Bool {
        guard let first = name.utf8.first, first != UInt8(ascii: ".") else { return false }
        return name.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }
}
