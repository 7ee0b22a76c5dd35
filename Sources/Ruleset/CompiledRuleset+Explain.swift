public import Packet

/// A step of a walk, for people.
public struct WalkStep: Sendable, Hashable {
    /// What came of an entry.
    public enum Outcome: Sendable, Hashable {
        /// The group or dynamic ruleset is entered.
        case entered
        /// The group or dynamic ruleset is passed over: the packet fails this criterion.
        case skipped(Criterion)
        /// The rule matches, and is the last one tried if it is final.
        case matched(isFinal: Bool)
        /// The rule does not match: the packet fails this criterion.
        case failed(Criterion)
        /// The walk ends before the group or dynamic ruleset, as a rule matched before.
        case barrier
    }

    /// The entry's place, an index of `CompiledRuleset.rules`.
    public let entry: Int
    /// The index of the rule in its dynamic ruleset; nil for a rule of the configuration itself.
    public let dynamicRule: Int?
    /// What came of it.
    public let outcome: Outcome

    /// A step to `entry`.
    public init(entry: Int, dynamicRule: Int?, outcome: Outcome) {
        self.entry = entry
        self.dynamicRule = dynamicRule
        self.outcome = outcome
    }
}

extension CompiledRuleset {
    /// The decision about a packet with the steps that led to it, in their order.
    ///
    /// It is the walk of the packet path itself, watched.
    ///
    /// - Parameter script: Whether the script of an index of `scriptFilters` says that its rule matches.
    public func explain(
        _ headers: PacketHeaders, bytes: RawSpan, interface: UInt16, direction: Direction, tables: TableLookup,
        script: (Int) -> Bool
    ) -> (match: Match, steps: [WalkStep]) {
        var observer = StepRecorder()
        var walk = RuleWalk(headers, interface: interface, direction: direction)
        while true {
            switch evaluate(&walk, bytes: bytes, tables: tables, observer: &observer) {
            case .decided(let match):
                let steps = observer.steps.map { step(of: $0, walk.facts, bytes, tables) }
                return (match, steps)
            case .needsScript(let index, _):
                walk.resume(matching: script(Int(index)))
            }
        }
    }

    private func step(
        of recorded: StepRecorder.Step, _ facts: PacketFacts, _ bytes: RawSpan, _ tables: TableLookup
    ) -> WalkStep {
        let place = recorded.place
        let isDynamic = place.dynamicRule >= 0
        let main = unsafe program.entries + place.index
        let program = unsafe isDynamic ? dynamicPrograms[Int(main.pointee.target)] : program
        let entry = unsafe isDynamic ? program.entries + place.dynamicRule : main
        let isRule = unsafe entry.pointee.kind == .rule
        let outcome: WalkStep.Outcome
        switch recorded.event {
        case .barrier: outcome = .barrier
        case .matched:
            outcome = isRule ? .matched(isFinal: unsafe entry.pointee.decision.isFinal) : .entered
        case .failedScript: outcome = .failed(.scriptFilter)
        case .failed:
            guard let criterion = unsafe program.failedCriterion(entry, facts, bytes, tables) else {
                preconditionFailure("an entry that did not match has a criterion that does not hold")
            }
            outcome = isRule ? .failed(criterion) : .skipped(criterion)
        }
        return WalkStep(
            entry: place.index + 1, dynamicRule: isDynamic ? place.dynamicRule : nil, outcome: outcome)
    }
}

/// Remembers a walk's steps.
private struct StepRecorder: WalkObserver {
    enum Event {
        case matched
        case failed
        case failedScript
        case barrier
    }

    struct Step {
        let place: WalkPlace
        let event: Event
    }

    private(set) var steps: [Step] = []

    mutating func tried(_ place: WalkPlace, matches: Bool) {
        steps.append(Step(place: place, event: matches ? .matched : .failed))
    }

    mutating func asked(_ place: WalkPlace, matches: Bool) {
        // That the other criteria hold is no step of its own.
        steps.removeLast()
        steps.append(Step(place: place, event: matches ? .matched : .failedScript))
    }

    mutating func ended(at place: WalkPlace) {
        steps.append(Step(place: place, event: .barrier))
    }
}
