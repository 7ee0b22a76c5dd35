import ConfigLanguage
import Ruleset
import States

/// Which decisions about flows hold on when a configuration takes another one's place, and how their rules and script
/// calls are numbered there.
///
/// A procedure's decisions hold if all is as it was that they followed from: its text, what its scripts and their modules
/// contain, and the rules that apply it with the groups around them.
package struct FlowContinuity: Sendable {
    /// Whether every decision holds, and nothing is numbered otherwise.
    let isIdentity: Bool
    /// The bits of connections' marks that the configuration before used.
    package let formerMask: UInt32
    /// The values in them that have lost their meaning.
    package let staleMarks: [UInt32]
    /// The new number of every rule, by its old one; -1 where what its script has decided does not hold.
    private let rules: [Int32]
    /// The new number of every script call, by its old one; -1 likewise.
    private let calls: [Int32]

    package init(from old: LoadedConfiguration, to new: LoadedConfiguration) {
        let kept = old.ruleset.procedures.indices.map { new.index(ofSameProcedureAs: $0, in: old) }
        let renumbering = Renumbering(from: old.ruleset, to: new.ruleset)
        rules = zip(old.ruleset.rules, renumbering.entries).map { rule, entry in
            rule.procedure.flatMap { kept[$0] } == nil ? -1 : entry
        }
        var calls: [Int32] = []
        for (procedure, successor) in zip(old.ruleset.procedures, kept) {
            let first = successor.map { new.ruleset.procedures[..<$0].reduce(0) { $0 + $1.scripts.count } }
            calls += procedure.scripts.indices.map { call in first.map { Int32($0 + call) } ?? -1 }
        }
        self.calls = calls

        let (before, after) = (old.flowMarks, new.flowMarks)
        formerMask = before.mask
        let losesBlocks = zip(old.ruleset.procedures, kept).contains { $1 == nil && !$0.scripts.isEmpty }
        var stale = before.mask != after.mask || losesBlocks ? [before.blocked] : []
        for (procedure, successor) in zip(old.ruleset.procedures, kept) {
            guard let mark = before.passed[procedure.name] else { continue }
            if successor == nil || before.mask != after.mask || after.passed[procedure.name] != mark {
                stale.append(mark)
            }
        }
        if let opened = before.opened, before.mask != after.mask || after.opened != opened { stale.append(opened) }
        staleMarks = before.mask == 0 ? [] : stale
        isIdentity =
            calls.enumerated().allSatisfy { Int($0.offset) == Int($0.element) }
            && zip(old.ruleset.rules.indices, rules).allSatisfy {
                old.ruleset.rules[$0].procedure == nil || Int32($0) == $1
            }
    }

    func rule(_ old: Int32) -> Int32 { rules.indices.contains(Int(old)) ? rules[Int(old)] : -1 }
    func call(_ old: Int32) -> Int32 { calls.indices.contains(Int(old)) ? calls[Int(old)] : -1 }
}

extension LoadedConfiguration {
    /// The index of the procedure that decides as the one of another configuration does.
    fileprivate func index(ofSameProcedureAs former: Int, in other: LoadedConfiguration) -> Int? {
        let procedure = other.ruleset.procedures[former]
        guard let index = ruleset.procedures.firstIndex(where: { $0.name == procedure.name }) else { return nil }
        let successor = ruleset.procedures[index]
        guard successor.text == procedure.text, successor.scripts.count == procedure.scripts.count,
            zip(successor.scripts, procedure.scripts).allSatisfy({ $0.doesTheSame(as: $1) }),
            procedure.scripts.allSatisfy({ hasSameScript($0.file, as: other) }),
            ruleset.places(of: index) == other.ruleset.places(of: former)
        else { return nil }
        return index
    }
}

extension CompiledRuleset {
    /// The rules that apply a procedure, each behind the headers of the groups around it.
    fileprivate func places(of procedure: Int) -> [[String]] {
        var path: [String] = []
        var places: [[String]] = []
        for rule in rules where rule.kind != .noMatch {
            path.removeLast(path.count - rule.depth)
            path.append(rule.text)
            if rule.procedure == procedure { places.append(path) }
        }
        return places
    }
}
