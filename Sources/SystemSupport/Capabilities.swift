internal import CLinuxShim

/// What the calling thread may do beyond an ordinary user (capabilities(7), the effective set).
public struct Capabilities: Sendable, Equatable {
    /// CAP_NET_ADMIN: owning a queue, giving verdicts.
    public let netAdmin: Bool
    /// CAP_NET_RAW: sending packets of one's own making.
    public let netRaw: Bool

    /// The calling thread's effective set now.
    public static var effective: Capabilities {
        var set: UInt64 = 0
        // It fails only for a wrong version or address, neither of which can be.
        _ = unsafe linux_effective_capabilities(&set)
        return Capabilities(
            netAdmin: set & (1 << UInt64(CAP_NET_ADMIN)) != 0, netRaw: set & (1 << UInt64(CAP_NET_RAW)) != 0)
    }
}
