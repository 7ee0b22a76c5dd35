/// An instruction of the classic BPF machine, as libpcap compiles expressions to (McCanne and Jacobson, "The BSD Packet
/// Filter", 1993; `struct sock_filter` in linux/filter.h).
public struct BPFInstruction: BitwiseCopyable, Sendable, Hashable {
    /// The operation.
    public var code: UInt16
    /// The instructions to skip where a comparison holds.
    public var jt: UInt8
    /// The instructions to skip where it does not.
    public var jf: UInt8
    /// The operand.
    public var k: UInt32

    /// An instruction with its fields.
    public init(code: UInt16, jt: UInt8, jf: UInt8, k: UInt32) {
        self.code = code
        self.jt = jt
        self.jf = jf
        self.k = k
    }
}
