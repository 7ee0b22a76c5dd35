import AddressTables
import Packet

/// A table as one would write it without a thought for speed: what the real one is held to.
struct ReferenceTable {
    let type: TableType
    let capacity: Int
    private(set) var entries: [Prefix: Int64] = [:]

    init(type: TableType, capacity: Int = .max) {
        self.type = type
        self.capacity = capacity
    }

    mutating func insert(_ prefix: Prefix, expires: Int64, now: Int64) throws(TableError) {
        if let there = entries[prefix], there > now { throw .exists }
        if entries[prefix] == nil, entries.count >= capacity { throw .full }
        entries[prefix] = expires
    }

    mutating func add(_ prefix: Prefix, expires: Int64, now: Int64) {
        if let there = entries[prefix], there > now {
            entries[prefix] = max(there, expires)
        } else {
            entries[prefix] = expires
        }
    }

    mutating func remove(_ prefix: Prefix, now: Int64) throws(TableError) {
        guard let expires = entries.removeValue(forKey: prefix), expires > now else { throw .notFound }
    }

    mutating func collect(now: Int64) {
        entries = entries.filter { $0.value > now }
    }

    mutating func removeAll() { entries = [:] }

    /// The longest live network that the address is in: each length is tried.
    func lookup(_ address: Address, now: Int64) -> TableEntry? {
        for length in stride(from: address.family == .ipv4 ? 32 : 128, through: 0, by: -1) {
            let prefix = Prefix(address, length: length)!
            if let expires = entries[prefix], expires > now { return TableEntry(prefix, expires: expires) }
        }
        return nil
    }

    func list(now: Int64) -> [TableEntry] {
        entries.filter { $0.value > now }.map { TableEntry($0.key, expires: $0.value) }
            .sorted {
                ($0.prefix.address, $0.prefix.length) < ($1.prefix.address, $1.prefix.length)
            }
    }
}
