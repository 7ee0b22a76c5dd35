extension StateTable {
    /// Removes states that have been idle for too long.
    ///
    /// Places are looked at in turn, so calling this often enough comes to every state.
    /// - Parameter step: how many places are looked at: `gc.step`.
    /// - Returns: how many states were removed. As many as `step` mean that there are likely more.
    public mutating func collect(step: Int, now: Int64) -> Int {
        let before = used
        for _ in 0..<min(max(step, 0), usedPlaces) {
            if hand >= usedPlaces { hand = 0 }
            let place = hand
            hand &+= 1
            if unsafe isTaken(place) && (!renumber(place) || hasExpired(places[place], now: now)) { expire(place) }
            noteSwept()
        }
        return before &- used
    }

    /// Ends every state at once; their memory is given back as `collect` comes to it.
    public mutating func expireAll() {
        boundLag()
        statistics.flushed &+= UInt64(count)
        count = 0
        renumberings = []
        beginGeneration()
    }

    /// Removes a state that has expired, or was ended before.
    mutating func expire(_ place: Int) {
        if unsafe places[place].generation == generation { statistics.expired &+= 1 }
        remove(place)
    }

    mutating func remove(_ place: Int) {
        let connection = unsafe places[place].connection
        index.remove(place, hash: connection.hash(hasher))
        used &-= 1
        // Of an older generation are those alone that `expireAll` has taken off the count.
        if unsafe places[place].generation == generation { count &-= 1 }
        statesOfForm[Int(connection.form.rawValue)] &-= 1
        giveBack(place)
    }

    mutating func giveBack(_ place: Int) {
        unsafe places[place].flags = []
        unsafe places[place].entry = firstFree
        firstFree = Int32(truncatingIfNeeded: place &+ 1)
    }

    /// A place for a new state, made free if there is none; nil if all that was looked at has to stay.
    mutating func freePlace(_ hash: UInt64, now: Int64) -> Int? {
        if firstFree == 0 {
            if usedPlaces < capacity {
                usedPlaces &+= 1
                // It may lie before the places that `collect` has still to come to.
                if placesBehind > 0 { placesBehind &+= 1 }
                return usedPlaces &- 1
            }
            guard evict(hash, now: now) else { return nil }
        }
        let place = Int(firstFree) &- 1
        firstFree = unsafe places[place].entry
        return place
    }

    /// Removes the state that is missed least among a few that lie evenly in the table, from a place on that senders cannot
    /// choose.
    private mutating func evict(_ hash: UInt64, now: Int64) -> Bool {
        let stride = max(capacity / Self.evictionProbes, 1)
        var place = Int(truncatingIfNeeded: hash &>> 1) % capacity
        var victim: Int?
        for _ in 0..<min(Self.evictionProbes, capacity) {
            place &+= stride
            if place >= capacity { place &-= capacity }
            if unsafe !renumber(place) || hasExpired(places[place], now: now) {
                expire(place)
                return true
            }
            guard unsafe places[place].phase.isExpendable else { continue }
            if unsafe places[place].lastSeen < places[victim ?? place].lastSeen || victim == nil { victim = place }
        }
        guard let victim else { return false }
        remove(victim)
        statistics.evicted &+= 1
        return true
    }
}
