import CLuaShim
import ConfigLanguage
import Packet

extension ls_net_operations {
    /// What addresses, networks and checksums are.
    ///
    /// The shim calls them with memory of the sizes that it was told.
    static var net: ls_net_operations {
        unsafe ls_net_operations(
            parse: parseAddress, format: formatAddress, checksum: checksumBytes,
            entry_size: MemoryLayout<PrefixEntry>.stride, add: addEntry, sort_last: sortLastEntry,
            repeated: findRepeatedEntry, set_size: sizeOfSet, build: buildSet, find: findInSet,
            services: Services.table.baseAddress, service_count: Services.table.count)
    }
}

/// The names of ports that npf.conf knows too, as the shim reads them; made once, and never freed.
private enum Services {
    nonisolated(unsafe) static let table: UnsafeBufferPointer<ls_service> = {
        let services = WellKnown.services
        let table = UnsafeMutableBufferPointer<ls_service>.allocate(capacity: services.count)
        for (index, service) in services.enumerated() {
            let name = service.key.utf8CString
            let copy = UnsafeMutableBufferPointer<CChar>.allocate(capacity: name.count)
            _ = unsafe copy.initialize(from: name)
            unsafe table.initializeElement(at: index, to: ls_service(name: copy.baseAddress, port: service.value))
        }
        return UnsafeBufferPointer(table)
    }()
}

extension ls_address {
    fileprivate init(_ address: Address) {
        self.init(high: address.high, low: address.low, is_ipv6: address.family == .ipv6)
    }

    @inline(__always)
    fileprivate var address: Address {
        is_ipv6 ? Address(high: high, low: low) : Address(ipv4: UInt32(truncatingIfNeeded: low))
    }
}

/// Bytes that the shim lends for the time of a call.
private func text(_ start: UnsafePointer<CChar>?, _ length: Int) -> UnsafeBufferPointer<UInt8> {
    unsafe UnsafeBufferPointer(
        start: UnsafeRawPointer(start)?.assumingMemoryBound(to: UInt8.self), count: length)
}

private func sorted(_ entries: UnsafeRawPointer?, _ count: Int) -> UnsafeBufferPointer<PrefixEntry> {
    unsafe UnsafeBufferPointer(start: entries?.assumingMemoryBound(to: PrefixEntry.self), count: count)
}

@c private func parseAddress(
    _ start: UnsafePointer<CChar>?, _ length: Int, _ address: UnsafeMutablePointer<ls_address>?
) -> Bool {
    guard let parsed = Address(text: unsafe text(start, length).span) else { return false }
    unsafe address?.pointee = ls_address(parsed)
    return true
}

@c private func formatAddress(_ address: UnsafePointer<ls_address>?, _ start: UnsafeMutablePointer<CChar>?) -> Int {
    guard let address = unsafe address, let start = UnsafeMutableRawPointer(start) else { return 0 }
    let buffer = unsafe UnsafeMutableBufferPointer(
        start: start.assumingMemoryBound(to: UInt8.self), count: Int(LS_ADDRESS_TEXT))
    var text = unsafe OutputSpan(buffer: buffer, initializedCount: 0)
    unsafe address.pointee.address.append(to: &text)
    return unsafe text.finalize(for: buffer)
}

@c private func checksumBytes(_ bytes: UnsafePointer<UInt8>?, _ length: Int, _ start: UInt64) -> UInt16 {
    let bytes = unsafe UnsafeRawBufferPointer(start: bytes, count: length)
    return Checksum.checksum(unsafe bytes.bytes, 0..<length, startingWith: start)
}

@c private func addEntry(
    _ entries: UnsafeMutableRawPointer?, _ count: Int, _ start: UnsafePointer<CChar>?, _ length: Int, _ value: UInt32,
    _ isListed: Bool
) -> Bool {
    guard let entries = unsafe entries?.assumingMemoryBound(to: PrefixEntry.self),
        let prefix = Packet.Prefix(text: unsafe text(start, length).span)
    else { return false }
    unsafe PrefixEntry.push(PrefixEntry(prefix, value: value, isListed: isListed), onto: entries, count: count)
    return true
}

@c private func sortLastEntry(_ entries: UnsafeMutableRawPointer?, _ count: Int) {
    guard let entries = unsafe entries?.assumingMemoryBound(to: PrefixEntry.self) else { return }
    unsafe PrefixEntry.popLargest(of: entries, count: count)
}

@c private func findRepeatedEntry(_ entries: UnsafeRawPointer?, _ count: Int) -> UInt32 {
    unsafe PrefixEntry.repeated(in: sorted(entries, count))?.value ?? 0
}

@c private func sizeOfSet(_ entries: UnsafeRawPointer?, _ count: Int) -> Int {
    unsafe PrefixSet.size(of: sorted(entries, count))
}

@c private func buildSet(_ entries: UnsafeRawPointer?, _ count: Int, _ set: UnsafeMutableRawPointer?) -> Int {
    guard let set = unsafe set else { return 0 }
    return unsafe PrefixSet.build(sorted(entries, count), at: set)
}

@c private func findInSet(_ set: UnsafeRawPointer?, _ address: UnsafePointer<ls_address>?) -> UInt32 {
    guard let set = unsafe UnsafeMutableRawPointer(mutating: set), let address = unsafe address else { return 0 }
    return unsafe PrefixSet(at: set).find(address.pointee.address)
}
