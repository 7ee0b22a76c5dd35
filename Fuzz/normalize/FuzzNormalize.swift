import Packet
import Procedures

/// Normalizes an arbitrary packet with arbitrary parameters, which the first five bytes are.
///
/// It must stay the packet that it was to who reads its headers, and have right checksums when it is mended.
@c(LLVMFuzzerTestOneInput)
public func fuzzNormalize(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard count >= 5, let start = unsafe start else { return 0 }
    let parameters = try? unsafe NormalizeParameters(
        randomID: start[0] & 1 != 0, noDF: start[0] & 2 != 0, minimumTTL: Int(start[1]),
        maximumMSS: Int(start[2]) << 8 | Int(start[3]))
    guard let parameters else { preconditionFailure() }
    var normalizer = unsafe Normalizer(parameters, seed: UInt64(start[4]))

    // A copy of exactly this size, so that the address sanitizer sees every byte out of bounds.
    let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: count - 5, alignment: 1)
    defer { unsafe packet.deallocate() }
    unsafe packet.copyMemory(from: UnsafeRawBufferPointer(start: start + 5, count: count - 5))
    guard let headers = try? unsafe PacketHeaders(parsing: packet.bytes) else { return 0 }
    let before = unsafe Array(packet)
    var span = unsafe packet.mutableBytes
    let isChanged = normalizer.apply(to: &span, headers: headers)
    unsafe precondition(isChanged == (Array(packet) != before))
    unsafe precondition(packet[headers.payloadOffset...].elementsEqual(before[headers.payloadOffset...]))

    guard let after = try? unsafe PacketHeaders(parsing: packet.bytes) else { preconditionFailure() }
    precondition(after.length == headers.length && after.isFragment == headers.isFragment)
    precondition(after.transportOffset == headers.transportOffset && after.payloadOffset == headers.payloadOffset)
    precondition(after.tcpFlags == headers.tcpFlags && after.source == headers.source)
    // What has been lowered once is low.
    if !after.isFragment {
        var again = unsafe Normalizer(
            (try? NormalizeParameters(
                noDF: parameters.noDF, minimumTTL: Int(parameters.minimumTTL), maximumMSS: Int(parameters.maximumMSS)))!,
            seed: UInt64(start[4]))
        var span = unsafe packet.mutableBytes
        precondition(!again.apply(to: &span, headers: after))
    }
    var mended = unsafe packet.mutableBytes
    Checksum.mend(&mended, headers: after)
    unsafe precondition(Checksum.isValid(packet.bytes, headers: after))
    return 0
}
