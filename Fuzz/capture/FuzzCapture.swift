#if canImport(CaptureFile)
    import CaptureFile
#endif

/// Reads arbitrary bytes as a capture file, to its end or first error.
///
/// Every packet must lie within the file.
@c(LLVMFuzzerTestOneInput)
public func fuzzCapture(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    guard var file = try? CaptureFile(bytes) else { return 0 }
    var previous = 0
    while let packet = try? file.next() {
        precondition(packet.number == previous + 1)
        previous = packet.number
        guard let range = packet.packet else { continue }
        precondition(range.lowerBound >= 24 && !range.isEmpty && range.upperBound <= count)
    }
    // A record of no bytes is the shortest.
    precondition(previous <= count / 16)
    return 0
}
