import SystemSupport

/// Memory for the nodes and leaves of a trie: blocks of up to nine cache lines.
@safe
struct BlockArena: ~Copyable {
    /// Bytes.
    static var unit: Int { 64 }
    private static var maximumUnits: Int { 9 }

    let base: UnsafeMutableRawPointer
    private let units: UInt32
    private var end: UInt32 = 1
    /// The first free block of each size, which holds the number of the next.
    private var free = [UInt32](repeating: 0, count: Self.maximumUnits + 1)
    /// The sizes that have free blocks, a bit each.
    private var sizes: UInt64 = 0
    private let memory: MappedMemory

    init(units: Int, inUse: Int) throws(TableError) {
        self.units = UInt32(units)
        memory = try MappedMemory(table: units * Self.unit, inUse: inUse)
        unsafe base = unsafe memory.base
    }

    /// A block of so many units; 0 if there is none.
    mutating func allocate(_ count: Int) -> UInt32 {
        if let block = takeFree(count) { return block }
        let larger = sizes & ~0 << UInt64(count)
        if larger != 0 {
            let size = larger.trailingZeroBitCount
            let block = takeFree(size)!
            release(block + UInt32(count), size - count)
            return block
        }
        guard Int(units - end) >= count else { return 0 }
        defer { end += UInt32(count) }
        return end
    }

    private mutating func takeFree(_ count: Int) -> UInt32? {
        let block = free[count]
        guard block != 0 else { return nil }
        free[count] = unsafe base.load(fromByteOffset: Int(block) * Self.unit, as: UInt32.self)
        if free[count] == 0 { sizes &= ~(1 << UInt64(count)) }
        return block
    }

    /// Frees a block that no reader can know.
    mutating func release(_ block: UInt32, _ count: Int) {
        unsafe base.storeBytes(of: free[count], toByteOffset: Int(block) * Self.unit, as: UInt32.self)
        free[count] = block
        sizes |= 1 << UInt64(count)
    }
}
