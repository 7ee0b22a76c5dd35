import AddressTables
import Packet

/// Bytes as operations on a table and on one that is simple: they agree after each.
///
/// Four bytes are an operation and what it is about: few addresses, at every depth, so that networks nest and come back.
@c(LLVMFuzzerTestOneInput)
public func fuzzTables(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    guard let first = bytes.first else { return 0 }
    let type: TableType = first & 1 == 0 ? .lpm : .ipset
    guard
        let table = try? AddressTable(type: type, capacity: 4096, readers: ReaderEpochs(), seed: TableSeed(1, 2))
    else { return 0 }
    var reference = ReferenceTable(type: type)
    var batch = LookupBatch(capacity: 32)
    var now: Int64 = 1
    for position in stride(from: 1, to: count - 3, by: 4) {
        let prefix = prefix(type, bytes[position + 1], bytes[position + 2], bytes[position + 3])
        let expires = bytes[position] & 0x80 == 0 ? TableEntry.never : now + Int64(bytes[position] >> 3 & 15)
        switch bytes[position] & 7 {
        case 0, 1:
            let error = result { () throws(TableError) in try table.insert(prefix, expires: expires, now: now) }
            precondition(
                error == result { () throws(TableError) in try reference.insert(prefix, expires: expires, now: now) })
        case 2:
            precondition(table.add(prefix, expires: expires, now: now) == nil)
            reference.add(prefix, expires: expires, now: now)
        case 3, 4:
            let error = result { () throws(TableError) in try table.remove(prefix, now: now) }
            precondition(error == result { () throws(TableError) in try reference.remove(prefix, now: now) })
        case 5:
            now += Int64(bytes[position] >> 3)
            table.collect(now: now)
            precondition(table.list(now: now) == reference.list(now: now))
        default: break
        }
        batch.append(prefix.address)
        if position % 128 == 1 { table.prefetch(&batch) }
        precondition(table.lookup(prefix.address, now: now) == reference.lookup(prefix.address, now: now))
        precondition(
            table.contains(prefix.address, now: now) == (reference.lookup(prefix.address, now: now) != nil))
    }
    precondition(table.list(now: now) == reference.list(now: now))
    return 0
}

private func result(_ body: () throws(TableError) -> Void) -> TableError? {
    do throws(TableError) {
        try body()
        return nil
    } catch {
        return error
    }
}

/// Bits at both ends and in the middle of an address, and a length.
private func prefix(_ type: TableType, _ bits: UInt8, _ place: UInt8, _ length: UInt8) -> Prefix {
    let value = UInt64(bits) << UInt64(place & 63)
    let address =
        place & 0x80 == 0
        ? Address(ipv4: UInt32(truncatingIfNeeded: value ^ value >> 32))
        : Address(high: place & 0x40 == 0 ? value : 0, low: value)
    let width = address.family == .ipv4 ? 32 : 128
    return Prefix(address, length: type == .lpm ? Int(length) % (width + 1) : width)!
}
