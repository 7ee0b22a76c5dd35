package import Packet

/// An immutable set of networks that finds the longest one with an address, in memory of somebody else's.
///
/// The networks of a family, which may lie in one another, are cut into ranges that do not: a sorted array of where each
/// range begins, and for each the number of the value that holds in it, 0 for none. A binary search finds an address.
@unsafe
package struct PrefixSet {
    /// At the start of the memory; behind it are IPv6 ranges, IPv4 ranges, the values of both.
    private struct Header: BitwiseCopyable {
        /// Ranges that there is room for, and those that there are.
        var ipv6Room = 0
        var ipv4Room = 0
        var ipv6Count = 0
        var ipv4Count = 0
    }

    private struct IPv6Start: BitwiseCopyable, Comparable {
        var high: UInt64
        var low: UInt64

        @inline(__always)
        static func < (a: IPv6Start, b: IPv6Start) -> Bool {
            a.high != b.high ? a.high < b.high : a.low < b.low
        }
    }

    private let header: UnsafeMutablePointer<Header>
    private let ipv6Starts: UnsafeMutablePointer<IPv6Start>
    private let ipv4Starts: UnsafeMutablePointer<UInt32>
    private let ipv6Values: UnsafeMutablePointer<UInt32>
    private let ipv4Values: UnsafeMutablePointer<UInt32>

    /// The set in memory that `build` has filled.
    @inline(__always)
    package init(at memory: UnsafeMutableRawPointer) {
        unsafe header = unsafe memory.assumingMemoryBound(to: Header.self)
        let (ipv6Room, ipv4Room) = unsafe (header.pointee.ipv6Room, header.pointee.ipv4Room)
        unsafe ipv6Starts = unsafe (memory + MemoryLayout<Header>.size).assumingMemoryBound(to: IPv6Start.self)
        unsafe ipv4Starts = unsafe UnsafeMutableRawPointer(ipv6Starts + ipv6Room).assumingMemoryBound(to: UInt32.self)
        unsafe ipv6Values = unsafe ipv4Starts + ipv4Room
        unsafe ipv4Values = unsafe ipv6Values + ipv6Room
    }

    /// A network begins a range and, where it ends, another.
    private static func room(for entries: UnsafeBufferPointer<PrefixEntry>) -> (ipv6: Int, ipv4: Int) {
        var ipv4 = 0
        for index in entries.indices where unsafe entries[index].prefix.address.family == .ipv4 { ipv4 += 1 }
        return (2 * (entries.count - ipv4), 2 * ipv4)
    }

    /// Bytes that the set of these networks takes.
    package static func size(of entries: UnsafeBufferPointer<PrefixEntry>) -> Int {
        let room = unsafe room(for: entries)
        return MemoryLayout<Header>.size + room.ipv6 * (MemoryLayout<IPv6Start>.size + 4) + room.ipv4 * (4 + 4)
    }

    /// Makes the set of sorted entries in memory of `size`, aligned to 8 bytes; returns the number of networks.
    package static func build(_ entries: UnsafeBufferPointer<PrefixEntry>, at memory: UnsafeMutableRawPointer) -> Int {
        let room = unsafe room(for: entries)
        unsafe memory.initializeMemory(as: Header.self, to: Header(ipv6Room: room.ipv6, ipv4Room: room.ipv4))
        let set = unsafe PrefixSet(at: memory)
        // The networks around the one at hand, the outermost first; each is longer than the one before.
        var open = InlineArray<129, Int>(repeating: 0)
        var depth = 0
        var networks = 0
        for index in entries.indices {
            let prefix = unsafe entries[index].prefix
            if index > 0, unsafe entries[index - 1].prefix == prefix { continue }
            while depth > 0, unsafe !entries[open[depth - 1]].prefix.contains(prefix.address) {
                depth -= 1
                unsafe set.close(entries[open[depth]].prefix, in: depth > 0 ? entries[open[depth - 1]].value : 0)
            }
            unsafe set.beginRange(at: prefix.address, value: entries[index].value)
            open[depth] = index
            depth += 1
            networks += 1
        }
        while depth > 0 {
            depth -= 1
            unsafe set.close(entries[open[depth]].prefix, in: depth > 0 ? entries[open[depth - 1]].value : 0)
        }
        return networks
    }

    /// Begins the range behind a network, where the value around it holds again.
    private func close(_ prefix: Packet.Prefix, in value: UInt32) {
        guard let next = prefix.addressBehind else { return }
        unsafe beginRange(at: next, value: value)
    }

    /// Begins a range; a later one at the same address takes its place.
    private func beginRange(at address: Address, value: UInt32) {
        switch address.family {
        case .ipv4:
            let start = UInt32(truncatingIfNeeded: address.low)
            let count = unsafe header.pointee.ipv4Count
            let isNew = unsafe count == 0 || ipv4Starts[count - 1] != start
            let place = isNew ? count : count - 1
            unsafe (ipv4Starts[place], ipv4Values[place]) = (start, value)
            if isNew { unsafe header.pointee.ipv4Count = count + 1 }
        case .ipv6:
            let start = IPv6Start(high: address.high, low: address.low)
            let count = unsafe header.pointee.ipv6Count
            let isNew = unsafe count == 0 || ipv6Starts[count - 1] != start
            let place = isNew ? count : count - 1
            unsafe (ipv6Starts[place], ipv6Values[place]) = (start, value)
            if isNew { unsafe header.pointee.ipv6Count = count + 1 }
        }
    }

    /// The number of the value of the longest network that has the address, 0 for none.
    ///
    /// Part of the packet path.
    package func find(_ address: Address) -> UInt32 {
        switch address.family {
        case .ipv4:
            let start = UInt32(truncatingIfNeeded: address.low)
            return unsafe Self.find(start, ipv4Starts, ipv4Values, header.pointee.ipv4Count)
        case .ipv6:
            let start = IPv6Start(high: address.high, low: address.low)
            return unsafe Self.find(start, ipv6Starts, ipv6Values, header.pointee.ipv6Count)
        }
    }

    /// The value of the last range that begins at `start` or before.
    @inline(__always)
    private static func find<Start: Comparable & BitwiseCopyable>(
        _ start: Start, _ starts: UnsafeMutablePointer<Start>, _ values: UnsafeMutablePointer<UInt32>, _ count: Int
    ) -> UInt32 {
        var (first, count) = (0, count)
        while count > 0 {
            let half = count &>> 1
            if unsafe starts[first &+ half] <= start {
                first = first &+ half &+ 1
                count = count &- half &- 1
            } else {
                count = half
            }
        }
        return unsafe first == 0 ? 0 : values[first &- 1]
    }
}

extension Packet.Prefix {
    /// The address after the network's last; nil if that is the last of all.
    fileprivate var addressBehind: Address? {
        switch address.family {
        case .ipv4:
            let next = address.low + (1 << UInt64(32 - length))
            return next >> 32 == 0 ? Address(ipv4: UInt32(next)) : nil
        case .ipv6:
            let number = UInt128(address.high) << 64 | UInt128(address.low)
            guard length > 0 else { return nil }
            let (next, isOver) = number.addingReportingOverflow(1 << UInt128(128 - length))
            return isOver ? nil : Address(high: UInt64(next >> 64), low: UInt64(truncatingIfNeeded: next))
        }
    }
}
