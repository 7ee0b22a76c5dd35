import Synchronization

/// A table as the configuration declares it.
public struct TableDeclaration: Sendable {
    /// The name, without angle brackets.
    public var name: String
    /// What the table holds and how it is searched.
    public var type: TableType
    /// What the table's file says; nil for a table without a file, whose contents come from npfctl and from scripts.
    public var entries: [TableEntry]?

    /// Declares a table.
    public init(name: String, type: TableType, entries: [TableEntry]? = nil) {
        self.name = name
        self.type = type
        self.entries = entries
    }
}

/// A table that could not be made.
public struct TableSetError: Error, Sendable, CustomStringConvertible {
    /// The table's name.
    public let table: String
    /// What is wrong with it.
    public let error: TableError

    /// The table and what is wrong.
    public var description: String { "table '\(table)': \(error)" }
}

/// The tables of a configuration, each at the index by which rules name it.
@safe
public final class TableSet: Sendable {
    private let tables: [AddressTable]
    private let indices: [String: Int]
    /// The names, by index.
    public let names: [String]
    /// Where each table's contents are, for views.
    nonisolated(unsafe) let pointers: UnsafeMutablePointer<UnsafeMutablePointer<TablePointer>>

    /// The tables of a new configuration.
    ///
    /// A table without a file goes on with what it holds in `old` if it has the same name and type there: it is the
    /// same table for both, so nothing that is added meanwhile is lost. Of another capacity it is only once the new
    /// configuration is in use, by `setCapacity`.
    ///
    /// - Parameters:
    ///   - declarations: the tables, names different from each other.
    ///   - capacity: the most entries of each table that is not in `old`.
    ///   - old: the tables of the configuration that is in use; they are not changed.
    /// - Throws: the first table that its entries do not fit into.
    public convenience init(
        _ declarations: [TableDeclaration], capacity: Int = AddressTable.defaultCapacity, keeping old: TableSet? = nil,
        now: Int64, readers: ReaderEpochs
    ) throws(TableSetError) {
        var tables: [AddressTable] = []
        for declaration in declarations {
            do throws(TableError) {
                if declaration.entries == nil, let kept = old?[declaration.name], kept.type == declaration.type {
                    guard kept.count <= capacity || kept.list(now: now).count <= capacity else { throw .full }
                    tables.append(kept)
                    continue
                }
                tables.append(
                    try AddressTable(
                        type: declaration.type, capacity: capacity, entries: declaration.entries ?? [], now: now,
                        readers: readers))
            } catch {
                throw TableSetError(table: declaration.name, error: error)
            }
        }
        self.init(tables, names: declarations.map(\.name))
    }

    private init(_ tables: [AddressTable], names: [String]) {
        self.tables = tables
        self.names = names
        indices = Dictionary(zip(names, tables.indices), uniquingKeysWith: { first, _ in first })
        unsafe pointers = .allocate(capacity: tables.count)
        for (index, table) in tables.enumerated() { unsafe (pointers + index).initialize(to: table.current) }
    }

    deinit {
        unsafe pointers.deallocate()
    }

    /// The same tables, of which one has another name.
    public func renaming(_ name: String, to newName: String) -> TableSet {
        TableSet(tables, names: names.map { $0 == name ? newName : $0 })
    }

    /// Has each table hold so many entries from now on, as far as `setCapacity` can.
    ///
    /// - Returns: the tables that stay what they are, and why.
    public func setCapacity(_ capacity: Int, now: Int64) -> [TableSetError] {
        var errors: [TableSetError] = []
        for (name, table) in zip(names, tables) where table.capacity != capacity {
            do throws(TableError) {
                try table.setCapacity(capacity, now: now)
            } catch {
                errors.append(TableSetError(table: name, error: error))
            }
        }
        return errors
    }

    /// How many tables there are.
    public var count: Int { tables.count }

    /// The index of the table of a name.
    public func index(of name: String) -> Int? { indices[name] }

    /// The table at an index below `count`.
    public subscript(index: Int) -> AddressTable { tables[index] }

    /// The table of a name.
    public subscript(name: String) -> AddressTable? { indices[name].map { tables[$0] } }
}

/// The tables as a worker's rules ask for them: plain memory that a function of C's convention is called with.
///
/// It is good as long as the set that it was made of. Its owner is inside its reader when rules ask.
@safe
public struct TableView: BitwiseCopyable {
    private let tables: UnsafeMutablePointer<UnsafeMutablePointer<TablePointer>>
    private let count: Int
    /// The time that entries must outlast, in nanoseconds on the packets' monotonic clock: the packet's.
    public var now: Int64

    /// The tables of a set at a time.
    public init(_ set: borrowing TableSet, now: Int64 = 0) {
        unsafe tables = set.pointers
        count = set.count
        self.now = now
    }

    /// How the contents of the table at an index are found; nil where there is no such table.
    @inline(__always)
    private func index(of table: Int32) -> UnsafeMutablePointer<TableIndex>? {
        guard table >= 0, Int(table) < count else { return nil }
        return unsafe tables[Int(table)].pointee.index
    }

    /// Whether a batch of lookups in the table at an index is done sooner if `prefetch` is called for it before.
    @inline(__always)
    public func gainsFromPrefetching(_ table: Int32) -> Bool {
        unsafe index(of: table)?.pointee.gainsFromPrefetching ?? false
    }

    /// Has the memory fetched that lookups of a batch's addresses read in the table at an index, and empties the batch.
    public func prefetch(_ batch: inout LookupBatch, in table: Int32) {
        unsafe index(of: table)?.pointee.prefetch(batch)
        batch.removeAll()
    }

    /// Tells whether an address is in the table at an index; it is in none where there is no such table.
    ///
    /// The parameters: a pointer to a `TableView`; the index; the halves of the address, an IPv4 address being the lower
    /// one; whether it is an IPv6 address.
    public static var contains: @convention(c) (UnsafeRawPointer?, Int32, UInt64, UInt64, Bool) -> Bool {
        { view, table, high, low, isIPv6 in
            guard let view = unsafe view?.assumingMemoryBound(to: TableView.self) else { return false }
            guard let index = unsafe view.pointee.index(of: table) else { return false }
            return unsafe index.pointee
                .contains(TableKey(high: high, low: low, isIPv6: isIPv6), now: view.pointee.now)
        }
    }
}
