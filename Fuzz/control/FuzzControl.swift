#if canImport(ControlProtocol)
    import ControlProtocol
#endif

/// Any bytes as a request of the control socket, and as a daemon's answer: understood or refused, and what is understood
/// survives being written again.
@c(LLVMFuzzerTestOneInput)
func fuzzControl(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let line = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    if let request = try? ControlRequest(line: line) {
        guard (try? ControlRequest(line: request.line().dropLast())) == request else { fatalError("request changed") }
    }
    if let response = try? ControlResponse(line: line) {
        guard (try? ControlResponse(line: response.line().dropLast())) == response else {
            fatalError("response changed")
        }
    }
    return 0
}
