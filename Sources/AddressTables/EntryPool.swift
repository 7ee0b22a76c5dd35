import Synchronization
import SystemSupport

/// The places for a table's entries.
@safe
struct EntryPool: ~Copyable {
    let entries: UnsafeMutablePointer<Entry>
    /// Entries have been in the places below this one; none has ever been in the others.
    private(set) var end: UInt32 = 1
    private var free = Reference.none
    private let places: UInt32
    private let memory: MappedMemory

    init(places: Int, inUse: Int) throws(TableError) {
        let stride = MemoryLayout<Entry>.stride
        self.places = UInt32(places)
        memory = try MappedMemory(table: places * stride, inUse: inUse * stride)
        unsafe entries = memory.base.bindMemory(to: Entry.self, capacity: places)
    }

    /// Puts a new entry in a free place; none if there is no such place.
    mutating func make(_ key: TableKey, expires: Int64) -> Reference {
        let reference: Reference
        if !free.isNone {
            reference = free
            free = unsafe entries[free.place].nextFree
        } else {
            guard end < places else { return .none }
            reference = Reference(entry: end)
            end += 1
        }
        unsafe (entries + reference.place).initialize(to: Entry(key, expires: expires))
        return reference
    }

    /// Frees the place of an entry that no reader can know.
    mutating func dispose(_ entry: Reference) {
        unsafe entries[entry.place].expires.store(-1, ordering: .relaxed)
        unsafe entries[entry.place].nextFree = free
        free = entry
    }
}
