import ConfigLanguage
public import Packet

// The packet path: no allocation, no reference counting, no existentials.
extension CompiledRuleset {
    /// The decision about a packet by rules that ask no script.
    ///
    /// - Parameters:
    ///   - bytes: The packet from its IP header on, for `pcap-filter`.
    ///   - interface: The packet's interface as an id of this ruleset, 0 for one that no rule names.
    /// - Precondition: `scriptFilters` is empty; a rule with a script would not match.
    /// - Complexity: O(entries), and logarithmic in the length of a rule's lists.
    public func evaluate(
        _ headers: PacketHeaders, bytes: RawSpan = RawSpan(), interface: UInt16, direction: Direction,
        tables: TableLookup = .empty
    ) -> Match {
        var walk = RuleWalk(headers, interface: interface, direction: direction)
        while true {
            if case .decided(let match) = evaluate(&walk, bytes: bytes, tables: tables) { return match }
            walk.resume(matching: false)
        }
    }

    /// Takes a walk to its end, or to a rule whose script is to be asked.
    ///
    /// The last rule that matches decides, unless a `final` one matched before. A group is entered if its header matches
    /// and no rule did yet: once one did, the next group or dynamic ruleset ends the walk.
    ///
    /// - Parameter bytes: The packet from its IP header on, for `pcap-filter`.
    public func evaluate(_ walk: inout RuleWalk, bytes: RawSpan, tables: TableLookup) -> WalkResult {
        var observer = NoObserver()
        return evaluate(&walk, bytes: bytes, tables: tables, observer: &observer)
    }

    @inline(always)
    func evaluate(
        _ walk: inout RuleWalk, bytes: RawSpan, tables: TableLookup, observer: inout some WalkObserver
    ) -> WalkResult {
        let program = unsafe program
        let facts = walk.facts
        var index = walk.index
        var best = walk.best
        while unsafe index < program.count {
            let entry = unsafe program.entries + index
            let place = WalkPlace(index: index)
            let kind = unsafe entry.pointee.kind
            if kind != .rule && best >= 0 {
                observer.ended(at: place)
                break
            }
            var isMatch: Bool
            if walk.isAsking {
                isMatch = walk.answer ?? false
                walk.isAsking = false
                observer.asked(place, matches: isMatch)
            } else {
                isMatch = unsafe program.matches(entry, facts, bytes, tables)
                observer.tried(place, matches: isMatch)
                if isMatch, kind == .rule, case let script = unsafe program.script(of: entry), script >= 0 {
                    (walk.index, walk.best, walk.isAsking, walk.answer) = (index, best, true, nil)
                    return .needsScript(script: script, entry: Int32(truncatingIfNeeded: index &+ 1))
                }
            }
            if isMatch {
                if kind == .rule {
                    best = index
                    if unsafe entry.pointee.decision.isFinal { break }
                } else if kind == .ruleset {
                    let ruleset = unsafe dynamicPrograms[Int(entry.pointee.target)]
                    let rule = unsafe evaluate(ruleset, at: index, facts, bytes, tables, observer: &observer)
                    if rule >= 0 {
                        return .decided(unsafe decision(of: ruleset.entries + rule, at: index, dynamicRule: rule))
                    }
                }
            } else if kind == .group {
                index = unsafe Int(entry.pointee.target)
                continue
            }
            index &+= 1
        }
        walk.index = unsafe program.count
        guard best >= 0 else {
            return .decided(Match(entry: 0, blocks: blocksUnmatched, returnPolicy: .none, procedure: -1))
        }
        return .decided(unsafe decision(of: program.entries + best, at: best, dynamicRule: -1))
    }

    /// Whether the rule at `entry` blocks what it matches, for an entry that `needsScript` named.
    public func blocks(_ entry: Int32) -> Bool { unsafe program.entries[Int(entry) &- 1].decision.blocks }

    /// The index of the rule of a dynamic ruleset that decides; -1 for none.
    @inline(always)
    private func evaluate(
        _ ruleset: RuleProgram, at index: Int, _ facts: PacketFacts, _ bytes: RawSpan, _ tables: TableLookup,
        observer: inout some WalkObserver
    ) -> Int {
        var best = -1
        var rule = 0
        while unsafe rule < ruleset.count {
            let entry = unsafe ruleset.entries + rule
            let isMatch = unsafe ruleset.matches(entry, facts, bytes, tables)
            observer.tried(WalkPlace(index: index, dynamicRule: rule), matches: isMatch)
            if isMatch {
                best = rule
                if unsafe entry.pointee.decision.isFinal { break }
            }
            rule &+= 1
        }
        return best
    }

    @inline(always)
    private func decision(of entry: UnsafePointer<Entry>, at index: Int, dynamicRule: Int) -> Match {
        unsafe Match(
            entry: Int32(truncatingIfNeeded: index &+ 1), blocks: entry.pointee.decision.blocks,
            returnPolicy: entry.pointee.returnPolicy, procedure: entry.pointee.procedure, state: entry.pointee.state,
            dynamicRule: Int32(truncatingIfNeeded: dynamicRule))
    }
}
