import Engine
import Packet

/// Reads any text as a packet's description; what is read is a packet that parses as it was described, and its text reads the
/// same.
@c(LLVMFuzzerTestOneInput)
public func fuzzExplain(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    guard let description = try? PacketDescription(parsing: text) else { return 0 }
    let packet = description.packet
    // A description may name an extension header as its protocol, which then breaks off.
    if let headers = try? unsafe PacketHeaders(parsing: packet.span.bytes),
        headers.transportProtocol == description.transportProtocol
    {
        precondition(headers.source == description.source && headers.destination == description.destination)
        precondition(Checksum.isValid(unsafe packet.span.bytes, headers: headers))
        if headers.transportProtocol == .tcp { precondition(headers.tcpFlags == description.flags) }
    }
    guard description.payload.allSatisfy({ $0 == 0 }) else { return 0 }
    precondition((try? PacketDescription(parsing: description.text)) == description)
    return 0
}
