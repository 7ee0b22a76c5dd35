import Packet

#if canImport(ScriptModules)
    import ScriptModules
#endif

/// Reads the input as the text of an address and of a network, and then as a set of networks of 18 bytes each: family,
/// length, address.
@c(LLVMFuzzerTestOneInput)
public func fuzzNet(_ input: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    // A copy of its own, so that the sanitizer sees every byte beyond it.
    let bytes = unsafe [UInt8](UnsafeBufferPointer(start: input, count: size))
    readText(bytes)
    makeSet(bytes)
    return 0
}

private func readText(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let address = Address(text: bytes.span) {
        precondition(address.description.utf8.count <= Address.longestText)
        precondition(Address(address.description) == address)
        precondition(Address(text) == address && bytes.count <= Address.longestText)
        precondition(Prefix(text)?.address == address)
    }
    if let network = Prefix(text: bytes.span) {
        precondition(Prefix(network.description) == network)
        precondition(network.contains(network.address))
    }
}

private func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

private func makeSet(_ bytes: [UInt8]) {
    var networks: [Prefix] = []
    for start in stride(from: 0, to: min(bytes.count, 64 * 18) - 17, by: 18) {
        let (high, low) = (number(bytes[start + 2..<start + 10]), number(bytes[start + 10..<start + 18]))
        let isIPv4 = bytes[start] & 1 == 0
        let address = isIPv4 ? Address(ipv4: UInt32(truncatingIfNeeded: low)) : Address(high: high, low: low)
        if let network = Prefix(address, length: Int(bytes[start + 1]) % (isIPv4 ? 33 : 129)) {
            networks.append(network)
        }
    }
    let entries = UnsafeMutablePointer<PrefixEntry>.allocate(capacity: networks.count)
    defer { unsafe entries.deallocate() }
    for (count, network) in networks.enumerated() {
        let entry = PrefixEntry(network, value: UInt32(count + 1), isListed: count & 1 == 0)
        unsafe PrefixEntry.push(entry, onto: entries, count: count)
    }
    for left in stride(from: networks.count, to: 1, by: -1) { unsafe PrefixEntry.popLargest(of: entries, count: left) }
    let sorted = unsafe UnsafeBufferPointer(start: entries, count: networks.count)
    _ = unsafe PrefixEntry.repeated(in: sorted)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: unsafe PrefixSet.size(of: sorted), alignment: 8)
    defer { unsafe memory.deallocate() }
    precondition(unsafe PrefixSet.build(sorted, at: memory) == Set(networks).count)
    let set = unsafe PrefixSet(at: memory)

    for network in networks {
        for change in [0, 1, ~UInt64(0), 1 << 16, 1 << 31] {
            let low = network.address.low ^ change
            let address =
                network.address.family == .ipv4
                ? Address(ipv4: UInt32(truncatingIfNeeded: low)) : Address(high: network.address.high, low: low)
            let expected = networks.filter { $0.contains(address) }.map(\.length).max()
            let found = unsafe set.find(address)
            precondition((found == 0) == (expected == nil))
            if found != 0 {
                let network = networks[Int(found) - 1]
                precondition(network.length == expected && network.contains(address))
            }
        }
    }
}
