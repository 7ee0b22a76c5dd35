#if canImport(Packet)
    import Packet
#endif

/// Takes arbitrary bytes the whole way of a packet: parse, mend, refuse.
///
/// What was mended must be right, what was written must be a packet.
@c(LLVMFuzzerTestOneInput)
public func fuzzPacket(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // A copy of exactly this size, so that the address sanitizer sees every byte out of bounds.
    let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    defer { unsafe packet.deallocate() }
    unsafe packet.copyMemory(from: UnsafeRawBufferPointer(start: start, count: count))
    // Some were cut.
    let originalLength = count % 2 == 0 ? count : count + 70_000
    let parsed = try? unsafe PacketHeaders(parsing: packet.bytes, originalLength: originalLength)
    guard let headers = parsed else { return 0 }
    precondition(headers.length <= headers.originalLength && headers.isTruncated == (headers.originalLength > count))
    precondition(headers.transportOffset <= headers.payloadOffset && headers.payloadOffset <= headers.length)
    precondition(headers.length <= count)

    let segment = unsafe TCPSegment(of: packet.bytes, headers: headers)
    precondition(segment.windowScale ?? 0 <= 14)
    _ = unsafe headers.echoIdentifier(packet.bytes)
    if let quoted = unsafe headers.quotedHeaders(packet.bytes) {
        precondition(quoted.transportOffset > headers.payloadOffset && quoted.payloadOffset <= headers.length)
        _ = unsafe quoted.quotedSequenceNumber(packet.bytes)
        _ = unsafe quoted.echoIdentifier(packet.bytes)
    }

    // The smallest buffers are the ones to write beyond.
    for room in [Refusal.maximumLength, 60, 40, 0] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 1)
        defer { unsafe buffer.deallocate() }
        var span = unsafe buffer.mutableBytes
        let length = unsafe Refusal.write(answering: packet.bytes, headers: headers, into: &span)
        guard length > 0 else { continue }
        let answer = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
        guard let answerHeaders = try? unsafe PacketHeaders(parsing: answer.bytes) else { preconditionFailure() }
        precondition(answerHeaders.length == length)
        unsafe precondition(Checksum.isValid(answer.bytes, headers: answerHeaders))
    }

    var span = unsafe packet.mutableBytes
    Checksum.mend(&span, headers: headers)
    unsafe precondition(Checksum.isValid(packet.bytes, headers: headers))
    return 0
}
