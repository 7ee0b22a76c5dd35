import Packet
import States

/// Takes arbitrary bytes for a series of packets, reloads and moves of the clock, and checks that the table stays in order.
///
/// A record is a byte that says what it is, one with an argument, a length, and so many bytes: of a packet, or of numbers.
@c(LLVMFuzzerTestOneInput)
public func fuzzStates(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe UnsafeRawBufferPointer(start: start, count: count)
    var parameters = StateParameters()
    parameters.tracksEcho = true
    // Small, so that it fills up.
    var table = StateTable(capacity: 24, seed: (1, 2), parameters: parameters)
    var now: Int64 = 0
    var offset = 0
    while offset + 3 <= count {
        let (kind, argument) = unsafe (input[offset], input[offset + 1])
        let length = unsafe min(Int(input[offset + 2]), count - offset - 3)
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: input[(offset + 3)..<(offset + 3 + length)])
        offset += 3 + length
        switch kind & 15 {
        case 0: now = argument == 255 ? .max : now &+ Int64(argument) &* 1_000_000_000
        case 1: now = now &- Int64(argument)
        case 2:
            let before = table.count
            let removed = table.collect(step: Int(argument), now: now)
            precondition(removed >= 0 && removed <= Int(argument) && table.count <= before)
        case 3: table.expireAll()
        case 4:
            let numbers = unsafe bytes.map { Int32(Int8(bitPattern: $0)) }
            table.renumber(Renumbering(entries: numbers, procedures: numbers.reversed()))
        case 5:
            table.parameters.keyInterface = argument & 1 == 0
            table.parameters.keyDirection = argument & 2 == 0
            table.parameters.tracksEcho = argument & 4 == 0
            table.parameters.strictOrderReset = argument & 8 == 0
            table.parameters.maximumAcknowledgmentWindow = argument & 16 == 0 ? 66_000 : .max
        case 6: table[decisionAt: Int32(argument) - 3] = argument
        default: unsafe handle(bytes, kind, argument, &table, now)
        }
        check(&table, now)
    }
    return 0
}

private func handle(
    _ input: UnsafeRawBufferPointer, _ kind: UInt8, _ argument: UInt8, _ table: inout StateTable, _ now: Int64
) {
    // A copy of exactly this size, so that the address sanitizer sees every byte out of bounds.
    let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: input.count, alignment: 1)
    defer { unsafe packet.deallocate() }
    unsafe packet.copyMemory(from: input)
    guard let headers = try? unsafe PacketHeaders(parsing: packet.bytes),
        let key = unsafe table.key(
            headers, packet: packet.bytes, interface: UInt32(argument & 3), direction: kind & 16 == 0 ? .in : .out)
    else { return }
    table.prefetchIndex(key)
    table.prefetchState(key)
    let before = (table.count, table.statistics.invalid)
    let lookup = unsafe table.lookup(key, headers, packet: packet.bytes, now: now)
    switch lookup {
    case .pass(let match): precondition(table[decisionAt: match.place] == match.decision)
    case .invalid: precondition(table.statistics.invalid == before.1 + 1)
    case .none: break
    }
    guard kind & 32 != 0 else { return }
    let isMade = unsafe table.create(
        key, headers, packet: packet.bytes, kind: kind & 64 == 0 ? .stateful : .statefulAll, entry: Int32(argument),
        procedure: Int32(argument >> 4), now: now)
    // A state that was just made is found, and is not made twice; one that its first packet passed by is not new.
    if case .pass = lookup { precondition(!isMade || headers.tcpFlags.contains(.syn)) }
    guard isMade else { return }
    precondition(table.count >= 1)
    var isListed = false
    var place: Int? = 0
    while let from = place {
        place = table.forEach(from: from, step: 7, now: now) { state in
            isListed = isListed || state.source.address == headers.source && state.source.port == headers.sourcePort
        }
    }
    precondition(isListed || headers.isEchoRequest != nil)
}

/// Of one connection there is one state, whatever comes; and there are as many as the table says, but for those that have
/// expired.
private func check(_ table: inout StateTable, _ now: Int64) {
    var connections: Set<[UInt64]> = []
    var listed = 0
    var place: Int? = 0
    while let from = place {
        place = table.forEach(from: from, step: 11, now: now) { state in
            listed += 1
            var ends = [state.source, state.destination].map { [$0.address.high, $0.address.low, UInt64($0.port)] }
            var direction = state.direction
            if ends[1].lexicographicallyPrecedes(ends[0]) {
                ends.swapAt(0, 1)
                direction = direction == .in ? .out : .in
            }
            if ends[0] == ends[1] { direction = .in }
            connections.insert(
                ends[0] + ends[1]
                    + [
                        UInt64(state.source.address.family.rawValue), UInt64(state.transportProtocol.rawValue),
                        UInt64(state.interface), UInt64(direction.rawValue),
                    ])
        }
    }
    precondition(connections.count == listed)
    precondition(listed <= table.count && table.count <= table.capacity)
}
