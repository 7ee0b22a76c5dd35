#if canImport(ConnectionTracking)
    import ConnectionTracking
#endif

/// Any bytes as a datagram of the kernel's list of connections: nothing is read outside them, and every message moves on.
@c(LLVMFuzzerTestOneInput)
func fuzzConntrack(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // An allocation of the exact size: the address sanitizer sees one byte too many.
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4)
    defer { unsafe memory.deallocate() }
    unsafe memory.copyMemory(from: UnsafeRawBufferPointer(start: start, count: count))
    let datagram = UnsafeRawBufferPointer(memory)
    var offset = 0
    var before = -1
    while let message = unsafe ConnectionMessage.parse(datagram, at: &offset) {
        precondition(offset > before && offset <= count)
        before = offset
        guard case .connection(let connection) = message else { continue }
        // What is sent back to the kernel is whole attributes.
        for attribute in [connection.tuple, connection.zone] {
            precondition(attribute.count % 4 == 0)
            blackHole(unsafe attribute.reduce(0, &+))
        }
        precondition(connection.tuple.count >= 4)
    }
    precondition(offset == count)
    return 0
}

/// Keeps the reads above from being optimised away.
@inline(never)
private func blackHole(_ value: UInt8) {}
