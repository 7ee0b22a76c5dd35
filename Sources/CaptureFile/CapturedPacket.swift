/// Which way a captured packet went, seen from the host that captured it.
public enum CaptureDirection: Sendable {
    /// The host received the packet.
    case `in`
    /// The host sent the packet.
    case out
}

/// One packet record of a capture file.
public struct CapturedPacket: Sendable, Equatable {
    /// The record's place among the file's packets, from 1.
    public var number: Int
    /// When the packet was captured, in nanoseconds since 1970-01-01 00:00 UTC.
    ///
    /// A simple packet block (pcapng) has no time; it is given that of the packet before it.
    public var time: Int64
    /// The name of the interface, where the file tells it (pcapng's `if_name`).
    public var interfaceName: String?
    /// The index of the interface on the capturing host, where the file tells it (Linux cooked captures version 2).
    public var interfaceIndex: Int?
    /// Which way the packet went, where the file tells it.
    public var direction: CaptureDirection?
    /// Where the IP packet lies in the file's bytes, from its version to the end of the frame; nil if the frame holds none.
    public var packet: Range<Int>?
    /// Bytes of the frame on the wire, of which the file may hold fewer.
    public var originalLength: Int
    /// Where a remark on the packet lies in the file's bytes, UTF-8, if the file holds one (pcapng's `opt_comment`).
    public var comment: Range<Int>?
}
