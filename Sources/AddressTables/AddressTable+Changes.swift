public import Packet
import Synchronization

/// What the control thread does with a table, on an administrator's behalf.
extension AddressTable {
    /// Puts an entry in, until the clock shows `expires`.
    ///
    /// - Throws: `exists`, where just this address or network is in the table; `full`, `maskNotAllowed`, `immutable`.
    public func insert(_ prefix: Prefix, expires: Int64 = TableEntry.never, now: Int64) throws(TableError) {
        guard type != .const else { throw .immutable }
        let key = try Self.key(prefix, type)
        let error = change { $0.insert(key, expires: expires, now: now, extending: false) }
        if let error { throw error }
    }

    /// Takes just this address or network out; networks within it stay.
    ///
    /// - Throws: `notFound`, `maskNotAllowed`, `immutable`.
    public func remove(_ prefix: Prefix, now: Int64) throws(TableError) {
        guard type != .const else { throw .immutable }
        let key = try Self.key(prefix, type)
        guard change({ $0.remove(key, now: now) }) else { throw .notFound }
    }

    /// The live entries: IPv4 before IPv6, by address, the wider network first.
    ///
    /// Others may change the table meanwhile: what is in it all the time is listed, once.
    public func list(now: Int64) -> [TableEntry] {
        var list: [TableEntry] = []
        var listed: TableContents?
        var place: UInt32? = 1
        // In steps, so that a worker seldom finds the lock taken.
        while let next = place {
            place = change { state in
                if listed == nil { listed = state.contents }
                return listed!.list(from: next, limit: 4096, now: now, into: &list)
            }
        }
        return list.sorted {
            $0.prefix.address == $1.prefix.address
                ? $0.prefix.length < $1.prefix.length : $0.prefix.address < $1.prefix.address
        }
    }

    /// Takes every entry out.
    ///
    /// - Throws: `immutable`, `noMemory`.
    public func flush() throws(TableError) {
        guard type != .const else { throw .immutable }
        try replace(with: [], now: 0)
    }

    /// Puts other entries in the place of all there are; a reader sees the old ones or the new ones.
    ///
    /// - Parameter type: what the table is from then on; nil for what it was.
    /// - Throws: what the entries are refused for, or `noMemory`; then nothing is changed.
    public func replace(with entries: [TableEntry], type: TableType? = nil, now: Int64) throws(TableError) {
        let new = try contents(of: entries, type: type ?? self.type, capacity: capacity, now: now)
        change { use(new, &$0) }
        freeReplaced()
    }

    /// Has the table hold more entries from now on, or fewer; what is put in meanwhile stays.
    ///
    /// Workers meet the lock for a step of the copying only.
    ///
    /// - Throws: `full`, where there are more entries than that, or `noMemory`; then nothing is changed.
    public func setCapacity(_ capacity: Int, now: Int64) throws(TableError) {
        let new = try contents(of: [], type: type, capacity: capacity, now: now)
        change { $0.successor = new }
        var place: UInt32? = 1
        while let next = place {
            place = change { state in
                guard state.successor != nil else { return nil }
                let copied = state.contents.copy(from: next, limit: 4096, now: now, into: new)
                if copied.error != nil { state.successor = nil }
                return copied.next
            }
        }
        let isComplete = change { state in
            guard state.successor != nil else { return false }
            use(new, &state)
            return true
        }
        guard isComplete else { throw .full }
        freeReplaced()
    }

    /// Puts contents in the place of those that there are.
    private func use(_ new: TableContents, _ state: inout State) {
        typeCode.store(new.type.code, ordering: .relaxed)
        unsafe current.pointee.replace(with: new.index)
        state.replaced.append((state.contents, readers.advance()))
        state.contents = new
        state.successor = nil
    }

    /// Takes expired entries out, looking at the next `steps` places of the table, and frees what nobody reads any more.
    ///
    /// To be called from time to time.
    ///
    /// - Returns: how many entries were taken out.
    @discardableResult
    public func collect(now: Int64, steps: Int = 1024) -> Int {
        freeReplaced()
        return change { $0.contents.collect(now: now, steps: steps) }
    }

    /// Frees replaced contents that no reader is in any more; their memory goes back to the system outside the lock.
    private func freeReplaced() {
        let freed = change { state -> [TableContents] in
            let freed = state.replaced.prefix { readers.havePassed($0.epoch) }
            state.replaced.removeFirst(freed.count)
            return freed.map(\.contents)
        }
        _ = consume freed
    }

    /// Does something while no other thread can change the table.
    package func whileLocked(_ body: () -> Void) {
        change { _ in body() }
    }

    private func change<Result>(_ body: (inout State) -> Result) -> Result {
        defer { makePending() }
        return state.withLock { state in body(&state) }
    }
}

/// What a worker does with a table, on a script's behalf, between two packets of the same batch.
extension AddressTable {
    /// Puts an entry in, or has it stay until `expires` if it is there for a shorter time.
    ///
    /// It never waits and never allocates. Where another thread holds the lock, the addition is left in a ring for that
    /// thread, which makes it as soon as its own change is made: the next packet, on any worker, meets the entry unless
    /// it comes within these microseconds. A full table refuses, and so does a full ring; `refused` counts both.
    ///
    /// - Returns: nil, or `full`, `busy`, `maskNotAllowed`, `immutable`. An addition that is left in the ring may still
    ///   meet a full table; that is then only counted.
    public func add(_ prefix: Prefix, expires: Int64, now: Int64) -> TableError? {
        guard type != .const else { return .immutable }
        let addition = PendingChange(adding: TableKey(prefix), expires: expires, now: now)
        guard type == .lpm || addition.key.isSingleAddress else { return .maskNotAllowed }
        if let outcome = state.withLockIfAvailable({ state in makeInOrder(addition, &state) }) {
            makePending()
            return outcome
        }
        return leave(addition)
    }

    /// Takes just this address or network out; networks within it stay.
    ///
    /// It waits no more than `add` does. The caller is inside its reader: where the removal is left in the ring, what the table holds at the moment
    /// tells whether the entry was there.
    ///
    /// - Returns: nil if it was there, or `notFound`, `busy`, `maskNotAllowed`, `immutable`.
    public func discard(_ prefix: Prefix, now: Int64) -> TableError? {
        guard type != .const else { return .immutable }
        let removal = PendingChange(removing: TableKey(prefix), now: now)
        guard type == .lpm || removal.key.isSingleAddress else { return .maskNotAllowed }
        if let outcome = state.withLockIfAvailable({ state in makeInOrder(removal, &state) }) {
            makePending()
            return outcome
        }
        let wasThere = holds(removal.key, now: now)
        return leave(removal) ?? (wasThere ? nil : .notFound)
    }

    /// Leaves a change to whoever holds the lock.
    private func leave(_ change: PendingChange) -> TableError? {
        guard pending.put(change) else {
            refusals.wrappingAdd(1, ordering: .relaxed)
            return .busy
        }
        makePending()
        return nil
    }

    /// Whether just this network has a live entry; networks around it do not count.
    private func holds(_ key: TableKey, now: Int64) -> Bool {
        let index = unsafe current.pointee.index
        let reference = unsafe index.pointee.match(key, now: now)
        guard !reference.isNone else { return false }
        return unsafe TableKey(index.pointee.entries[reference.place]) == key
    }

    /// Makes a change after those that wait: one of them may be an earlier one of the same worker.
    private func makeInOrder(_ change: PendingChange, _ state: inout State) -> TableError? {
        while let earlier = pending.take() { _ = make(earlier, &state) }
        return make(change, &state)
    }

    private func make(_ change: PendingChange, _ state: inout State) -> TableError? {
        // The type may be another one since the change was let in.
        guard state.contents.type != .const else { return .immutable }
        guard state.contents.type == .lpm || change.key.isSingleAddress else { return .maskNotAllowed }
        if change.isRemoval { return state.remove(change.key, now: change.now) ? nil : .notFound }
        let error = state.insert(change.key, expires: change.expires, now: change.now, extending: true)
        if error != nil { refusals.wrappingAdd(1, ordering: .relaxed) }
        return error
    }

    /// Makes the changes that came while the lock was held, unless somebody else holds it now, who will.
    private func makePending() {
        repeat {
            // Either the holder sees the change after its own, or whoever put it in gets the lock.
            atomicMemoryFence(ordering: .sequentiallyConsistent)
            if pending.isEmpty { return }
        } while state.withLockIfAvailable({ state -> Void in
            while let change = pending.take() { _ = make(change, &state) }
        }) != nil
    }
}

extension AddressTable.State {
    mutating func insert(_ key: TableKey, expires: Int64, now: Int64, extending: Bool) -> TableError? {
        if let error = contents.insert(key, expires: expires, now: now, extending: extending) { return error }
        if successor?.insert(key, expires: expires, now: now, extending: true) != nil { successor = nil }
        return nil
    }

    mutating func remove(_ key: TableKey, now: Int64) -> Bool {
        _ = successor?.remove(key, now: now)
        return contents.remove(key, now: now)
    }
}
