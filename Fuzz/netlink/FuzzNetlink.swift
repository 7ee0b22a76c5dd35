#if canImport(PacketQueue)
    import PacketQueue
#endif

/// Any bytes as a datagram of the queue's socket, and as the kernel's table of queues.
///
/// Nothing is read outside them, and every message moves on.
@c(LLVMFuzzerTestOneInput)
func fuzzNetlink(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // An allocation of the exact size: the address sanitizer sees one byte too many.
    let datagram = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4)
    defer { unsafe datagram.deallocate() }
    unsafe datagram.copyMemory(from: UnsafeRawBufferPointer(start: start, count: count))
    var offset = 0
    var before = -1
    while let message = unsafe PacketMessage.parse(datagram, at: &offset) {
        precondition(offset > before && offset <= count)
        before = offset
        if case .packet(let packet) = message {
            precondition(packet.originalLength >= packet.payload.count)
            blackHole(unsafe packet.payload.reduce(0, &+))
        }
    }
    precondition(offset == count)
    let text = unsafe UnsafeBufferPointer(datagram.bindMemory(to: UInt8.self))
    blackHole(unsafe UInt8(truncatingIfNeeded: QueueCounters(table: text.span, numbers: 0...UInt16.max)?.queued ?? 0))
    return 0
}

/// Keeps the reads above from being optimised away.
@inline(never)
private func blackHole(_ value: UInt8) {}
