/// Which way a packet crosses the interface it is filtered on, seen from this host.
public enum Direction: UInt8, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// The packet came in through the interface.
    case `in`
    /// The packet leaves through the interface.
    case out

    /// The word that rules use: `in` or `out`.
    public var description: String {
        switch self {
        case .in: "in"
        case .out: "out"
        }
    }
}
