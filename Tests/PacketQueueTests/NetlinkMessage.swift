/// Netlink messages made by hand, as bytes.
enum NetlinkMessage {
    /// A message with its header; `length` is what the header says, the true length unless given.
    static func message(type: UInt16, sequence: UInt32 = 0, length: Int? = nil, _ body: [UInt8]) -> [UInt8] {
        let header =
            host(UInt32(length ?? 16 + body.count)) + host(type) + host(UInt16(0)) + host(sequence) + host(UInt32(0))
        return padded(header + body)
    }

    /// What the kernel sends for a packet: struct nfgenmsg and the attributes.
    static func packet(_ attributes: [UInt8]..., length: Int? = nil) -> [UInt8] {
        message(type: 0x0300, length: length, [2, 0, 0, 7] + attributes.flatMap { $0 })
    }

    /// The kernel's answer to a message of number `sequence`.
    static func answer(_ error: Int32, sequence: UInt32) -> [UInt8] {
        message(type: 2, host(error) + host(UInt32(40)) + host(UInt32(0)) + host(sequence) + host(UInt32(0)))
    }

    static func attribute(_ type: UInt16, _ value: [UInt8], length: Int? = nil) -> [UInt8] {
        padded(host(UInt16(length ?? 4 + value.count)) + host(type) + value)
    }

    static func header(id: UInt32, hook: UInt8 = 0) -> [UInt8] {
        attribute(1, network(id) + [0x08, 0x00, hook])
    }

    static func network<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
        stride(from: Integer.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    static func host<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
        network(value.bigEndian == value ? value : value.byteSwapped)
    }

    private static func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }
}
