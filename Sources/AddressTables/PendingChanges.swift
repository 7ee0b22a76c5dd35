import Synchronization
import SystemSupport

/// What shall be added to a table, or removed from it.
struct PendingChange: BitwiseCopyable {
    var key: TableKey
    /// When an entry that is added expires; nothing for a removal.
    var expires: Int64
    var now: Int64
    var isRemoval: Bool

    /// The addition of an entry.
    init(adding key: TableKey, expires: Int64, now: Int64) {
        (self.key, self.expires, self.now, isRemoval) = (key, expires, now, false)
    }

    /// The removal of an entry.
    init(removing key: TableKey, now: Int64) {
        (self.key, expires, self.now, isRemoval) = (key, 0, now, true)
    }
}

/// Changes by workers that found the table's lock taken, until its holder makes them: a ring of fixed size.
///
/// Any thread puts in, the lock's holder takes out (D. Vyukov's bounded queue). A place's turn says whose it is in a lap
/// of the ring: the lap's first position, that whoever puts in may have it; one more, whoever takes out.
@safe
struct PendingChanges: ~Copyable, Sendable {
    private struct Place: ~Copyable {
        let turn: Atomic<UInt>
        var change: PendingChange
    }

    private static var size: UInt { 1024 }

    private nonisolated(unsafe) let places: UnsafeMutablePointer<Place>
    private let tail = Atomic<UInt>(0)
    private let head = Atomic<UInt>(0)

    /// Zeros, the turn of the first lap: so untouched pages cost no memory.
    private let memory: MappedMemory

    init() throws(TableError) {
        memory = try MappedMemory(table: Int(Self.size) * MemoryLayout<Place>.stride, inUse: 0)
        unsafe places = memory.base.bindMemory(to: Place.self, capacity: Int(Self.size))
    }

    private func place(_ position: UInt) -> UnsafeMutablePointer<Place> {
        unsafe places + Int(position % Self.size)
    }

    private func lap(_ position: UInt) -> UInt { position - position % Self.size }

    var isEmpty: Bool {
        let position = head.load(ordering: .acquiring)
        return unsafe place(position).pointee.turn.load(ordering: .acquiring) != lap(position) &+ 1
    }

    /// Puts a change in; false if there is no room.
    func put(_ change: PendingChange) -> Bool {
        var position = tail.load(ordering: .relaxed)
        while true {
            let place = unsafe place(position)
            let turn = unsafe place.pointee.turn.load(ordering: .acquiring)
            if turn == lap(position) {
                let claim = tail.weakCompareExchange(
                    expected: position, desired: position &+ 1, ordering: .relaxed)
                if claim.exchanged {
                    unsafe place.pointee.change = change
                    unsafe place.pointee.turn.store(lap(position) &+ 1, ordering: .releasing)
                    return true
                }
                position = claim.original
            } else if turn &- lap(position) > .max / 2 {
                return false
            } else {
                position = tail.load(ordering: .relaxed)
            }
        }
    }

    /// Takes the oldest change out; the caller holds the table's lock.
    func take() -> PendingChange? {
        let position = head.load(ordering: .relaxed)
        let place = unsafe place(position)
        guard unsafe place.pointee.turn.load(ordering: .acquiring) == lap(position) &+ 1 else { return nil }
        let change = unsafe place.pointee.change
        unsafe place.pointee.turn.store(lap(position) &+ Self.size, ordering: .releasing)
        head.store(position &+ 1, ordering: .releasing)
        return change
    }
}
