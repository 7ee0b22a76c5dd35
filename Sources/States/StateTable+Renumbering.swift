/// How the rules and procedures of one configuration are numbered in the next one.
///
/// What is gone is -1 there; so is what these lists are too short for.
public struct Renumbering: Sendable {
    /// The new number of every entry, by its old one.
    public var entries: [Int32]
    /// The new number of every procedure, by its old one.
    public var procedures: [Int32]

    /// A renumbering.
    public init(entries: [Int32], procedures: [Int32]) {
        self.entries = entries
        self.procedures = procedures
    }

    func entry(_ old: Int32) -> Int32 { entries.indices.contains(Int(old)) ? entries[Int(old)] : -1 }
    func procedure(_ old: Int32) -> Int32 { procedures.indices.contains(Int(old)) ? procedures[Int(old)] : -1 }

    /// This renumbering and then another one.
    func followed(by next: Renumbering) -> Renumbering {
        Renumbering(entries: entries.map(next.entry), procedures: procedures.map(next.procedure))
    }
}

extension StateTable {
    /// Generations that states may lag behind; the next one waits until all have caught up.
    private static let maximumLag = 256

    /// Carries the states over to a new configuration.
    ///
    /// No state is touched now: each is renumbered when its next packet comes or `collect` comes to it.
    public mutating func renumber(_ renumbering: Renumbering) {
        boundLag()
        for older in renumberings.indices { renumberings[older] = renumberings[older].followed(by: renumbering) }
        renumberings.append(renumbering)
        beginGeneration()
    }

    /// Has all states catch up if there are too many generations; only a storm of reloads begins so many while
    /// `collect` goes round once.
    mutating func boundLag() {
        guard lag >= Self.maximumLag else { return }
        for place in 0..<usedPlaces where isTaken(place) {
            if !renumber(place) { expire(place) }
        }
        forgetGenerations()
    }

    mutating func beginGeneration() {
        generation &+= 1
        lag += 1
        placesBehind = usedPlaces
        if placesBehind == 0 { forgetGenerations() }
    }

    /// Notes that `collect` has been at one more place.
    mutating func noteSwept() {
        guard placesBehind > 0 else { return }
        placesBehind &-= 1
        if placesBehind == 0 { forgetGenerations() }
    }

    /// Brings a state to the present generation; false if it was ended by `expireAll`.
    @inline(__always)
    mutating func renumber(_ place: Int) -> Bool {
        unsafe places[place].generation == generation || renumberOld(place)
    }

    @inline(never)
    private mutating func renumberOld(_ place: Int) -> Bool {
        let age = unsafe Int(generation &- places[place].generation)
        guard age <= renumberings.count else { return false }
        let number = renumberings.count &- age
        unsafe places[place].entry = renumberings[number].entry(places[place].entry)
        unsafe places[place].procedure = renumberings[number].procedure(places[place].procedure)
        unsafe places[place].generation = generation
        return true
    }

    private mutating func forgetGenerations() {
        renumberings = []
        lag = 0
        placesBehind = 0
    }
}
