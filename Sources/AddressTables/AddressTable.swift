public import Packet
import Synchronization

/// A table of addresses and networks of both families, which rules name and scripts and npfctl change.
///
/// **Reading** (`contains`, `lookup`) takes no lock, allocates nothing and writes nothing; the reading thread is
/// inside its `ReaderEpochs.Reader`. **Changing** takes the table's lock for the time of one change, or one step of a
/// long one. The control thread waits for it; a worker does not (`add`, `discard`).
///
/// Times are nanoseconds on the packets' monotonic clock. An expired entry does not match, and is out of the table for
/// every purpose but `count` until it is collected.
@safe
public final class AddressTable: Sendable {
    /// What the table holds and how it is searched; `replace` may change it.
    public var type: TableType { TableType(code: typeCode.load(ordering: .relaxed)) }
    /// The most entries that the table holds.
    public var capacity: Int { state.withLock { $0.contents.capacity } }
    /// The readers whom the table's memory waits for.
    let readers: ReaderEpochs

    /// What only the holder of the lock touches.
    struct State: ~Copyable {
        var contents: TableContents
        /// Contents of another capacity on their way to be these; every change is made in both.
        var successor: TableContents?
        /// Contents that were replaced, and the epoch that readers must pass before they may go.
        var replaced: [(contents: TableContents, epoch: UInt64)] = []
    }

    let state: Mutex<State>
    let pending: PendingChanges
    let refusals = Atomic<UInt64>(0)
    let typeCode: Atomic<UInt8>
    /// Where readers learn what the contents are: an address that is good as long as the table.
    nonisolated(unsafe) let current: UnsafeMutablePointer<TablePointer>
    private let seed: TableSeed

    /// The capacity of a table for which nobody chose another.
    public static let defaultCapacity = 1 << 20
    /// The most that a table's capacity can be.
    public static let maximumCapacity = 1 << 26

    /// A table with its first entries; one of the type `const` keeps them until they are replaced.
    ///
    /// Memory is taken as entries come, about 50 bytes an entry (`ipset`, `const`) or 60 (`lpm`).
    ///
    /// - Parameters:
    ///   - capacity: the most entries, 1...`maximumCapacity`.
    ///   - now: entries that are expired by then are left out.
    ///   - seed: what makes the places of addresses unpredictable.
    /// - Throws: what the entries are refused for, or `noMemory`.
    public init(
        type: TableType, capacity: Int = AddressTable.defaultCapacity, entries: [TableEntry] = [], now: Int64 = 0,
        readers: ReaderEpochs, seed: TableSeed = TableSeed()
    ) throws(TableError) {
        precondition((1...Self.maximumCapacity).contains(capacity))
        typeCode = Atomic(type.code)
        self.readers = readers
        self.seed = seed
        let contents = try Self.contents(
            type: type, capacity: capacity, entries: entries, now: now, readers: readers, seed: seed)
        pending = try PendingChanges()
        unsafe current = .allocate(capacity: 1)
        unsafe current.initialize(to: TablePointer(contents.index))
        state = Mutex(State(contents: contents))
    }

    deinit {
        unsafe current.deinitialize(count: 1)
        unsafe current.deallocate()
    }

    private static func contents(
        type: TableType, capacity: Int, entries: [TableEntry], now: Int64, readers: ReaderEpochs, seed: TableSeed
    ) throws(TableError) -> TableContents {
        guard entries.count <= capacity else { throw .full }
        let contents = try TableContents(
            type: type, capacity: capacity, inUse: entries.count, readers: readers, seed: seed)
        for entry in entries where entry.expires > now {
            let key = try Self.key(entry.prefix, type)
            if let error = contents.insert(key, expires: entry.expires, now: now, extending: false) { throw error }
        }
        return contents
    }

    /// Contents for this table, with entries of their own.
    func contents(
        of entries: [TableEntry], type: TableType, capacity: Int, now: Int64
    ) throws(TableError) -> TableContents {
        try Self.contents(type: type, capacity: capacity, entries: entries, now: now, readers: readers, seed: seed)
    }

    static func key(_ prefix: Prefix, _ type: TableType) throws(TableError) -> TableKey {
        let key = TableKey(prefix)
        guard type == .lpm || key.isSingleAddress else { throw .maskNotAllowed }
        return key
    }

    /// Whether an address is in the table, or in a network of it.
    @inline(__always)
    public func contains(_ address: Address, now: Int64) -> Bool {
        unsafe current.pointee.index.pointee.contains(TableKey(address), now: now)
    }

    /// Whether a batch of lookups is done sooner if `prefetch` is called for it before.
    public var gainsFromPrefetching: Bool { unsafe current.pointee.index.pointee.gainsFromPrefetching }

    /// Has the memory fetched that lookups of a batch's addresses read, and empties the batch.
    public func prefetch(_ batch: inout LookupBatch) {
        unsafe current.pointee.index.pointee.prefetch(batch)
        batch.removeAll()
    }

    /// The entry that an address matches, of several networks the one with the longest prefix; what `npfctl table
    /// NAME test` asks.
    public func lookup(_ address: Address, now: Int64) -> TableEntry? {
        let index = unsafe current.pointee.index
        let reference = unsafe index.pointee.match(TableKey(address), now: now)
        guard !reference.isNone else { return nil }
        let entry = unsafe index.pointee.entries + reference.place
        return unsafe TableEntry(entry.pointee.prefix, expires: entry.pointee.expires.load(ordering: .relaxed))
    }

    /// The entries of the table, expired ones that were not collected yet among them.
    public var count: Int { state.withLock { $0.contents.count } }

    /// How many of the changes by `add` and `discard` were refused because the table was full or busy.
    public var refused: UInt64 { refusals.load(ordering: .relaxed) }
}

/// The address of a table's contents, as readers load it.
@safe
struct TablePointer: ~Copyable {
    private let pointer: Atomic<UnsafeMutablePointer<TableIndex>>

    init(_ index: UnsafeMutablePointer<TableIndex>) {
        unsafe pointer = Atomic(index)
    }

    @inline(__always)
    var index: UnsafeMutablePointer<TableIndex> { unsafe pointer.load(ordering: .acquiring) }

    func replace(with index: UnsafeMutablePointer<TableIndex>) {
        unsafe pointer.store(index, ordering: .releasing)
    }
}

/// What makes the places of addresses in a table unpredictable to whoever chooses the addresses.
public struct TableSeed: Sendable {
    let words: (UInt64, UInt64)

    /// A seed of the system's randomness.
    public init() {
        self.init(.random(in: .min ... .max), .random(in: .min ... .max))
    }

    /// A seed that is known, for tests.
    public init(_ first: UInt64, _ second: UInt64) {
        words = (first, second)
    }
}
