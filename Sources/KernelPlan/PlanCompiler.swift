import ConfigLanguage

/// Puts the rules of a configuration in first-match order.
///
/// In the walk the last rule that matches decides, unless a `final` one did before it, and once a rule matched, the next
/// group or dynamic ruleset ends the walk. So the rules between two headers, taken by themselves, decide in this order:
/// the final ones as they stand, then the others backwards. And the runs of rules between headers decide one after
/// the other, each rule with the headers of its groups asked along.
struct PlanCompiler {
    let constantTables: [String: PlanTable]
    private let configuration: Configuration
    private let dynamicRules: [String: [Configuration.Rule]]
    private let marks: Configuration.FlowMarks?
    private let procedures: [String: Configuration.Procedure]

    private(set) var rules = PlanList()
    private(set) var states = PlanStates()
    /// Which packets may belong to a flow that a script has blocked and no mark tells of.
    private(set) var decidedFlows: Set<PlanMatch> = []
    /// Whether a rule has a script whose decisions about flows come back as marks.
    private(set) var usesMarks = false
    /// Whether a rule or a group is about `lo`.
    private(set) var namesLoopback = false

    private var run: [(rule: Configuration.Rule, scope: RuleScope, entry: Int)] = []
    private var entry = 0

    init(
        _ configuration: Configuration, tables: [String: PlanTable], dynamicRules: [String: [Configuration.Rule]],
        marks: Configuration.FlowMarks?
    ) {
        self.configuration = configuration
        self.dynamicRules = dynamicRules
        self.marks = marks
        constantTables = tables
        // One without calls does nothing, and a rule that applies it is like one that applies none.
        let called = configuration.procedures.filter { !$0.calls.isEmpty }
        procedures = Dictionary(uniqueKeysWithValues: called.map { ($0.name, $0) })
        for group in configuration.groups { visit(group, in: .all) }
        endRun()
    }

    // MARK: The walk

    /// - Parameter scope: nil where no packet comes to the group.
    private mutating func visit(_ group: Configuration.Group, in scope: RuleScope?) {
        entry += 1
        endRun()
        note(group.interface)
        let scope = scope?.narrowed(group.direction, group.interface)
        for item in group.items {
            switch item {
            case .group(let group): visit(group, in: scope)
            case .ruleset(let ruleset): visit(ruleset, in: scope)
            case .rule(let rule):
                entry += 1
                note(rule.interface)
                if let scope { run.append((rule, scope, entry)) }
            }
        }
    }

    /// The rules of a dynamic ruleset come and go: the daemon walks them, as long as there are any.
    private mutating func visit(_ ruleset: Configuration.DynamicRuleset, in scope: RuleScope?) {
        entry += 1
        endRun()
        note(ruleset.interface)
        let members = dynamicRules[ruleset.name] ?? []
        for rule in members { note(rule.interface) }
        guard !members.isEmpty, let scope = scope?.narrowed(ruleset.direction, ruleset.interface) else { return }
        let item = PlanItem(
            match: PlanMatch(interface: scope.interface), action: .queue, entry: entry,
            place: Self.place(ruleset.location), text: ruleset.text)
        for hook in scope.hooks { rules.append(item, at: hook) }
        for rule in members { noteStates(of: rule, in: scope) }
    }

    private mutating func note(_ interface: String?) {
        if interface == "lo" { namesLoopback = true }
    }

    private mutating func endRun() {
        for (rule, scope, entry) in run where rule.isFinal { append(rule, scope, entry) }
        for (rule, scope, entry) in run.reversed() where !rule.isFinal { append(rule, scope, entry) }
        run.removeAll()
    }

    // MARK: Rules

    private mutating func append(_ rule: Configuration.Rule, _ scope: RuleScope, _ entry: Int) {
        noteStates(of: rule, in: scope)
        noteFlows(of: rule, in: scope)
        guard let reach = reach(of: rule, in: scope) else { return }
        for match in reach.matches {
            for (match, action, remark) in items(of: rule, match, isExact: reach.isExact) {
                var item = PlanItem(
                    match: match, action: action, entry: entry, place: Self.place(rule.location),
                    text: rule.text + remark)
                // What has no payload does not come, a SYN neither.
                item.tellsOpening = action == .queue && wantsContents(rule)
                for hook in reach.hooks { rules.append(item, at: hook) }
            }
        }
    }

    private func wantsContents(_ rule: Configuration.Rule) -> Bool {
        rule.procedure.flatMap { procedures[$0] }?.wantsContents ?? false
    }

    /// What becomes of the packets of a match of a rule.
    private func items(
        of rule: Configuration.Rule, _ match: PlanMatch, isExact: Bool
    ) -> [(PlanMatch, PlanItem.Action, remark: String)] {
        let procedure = rule.procedure.flatMap { procedures[$0] }
        guard isExact, rule.state == .none else { return [(match, .queue, "")] }
        switch rule.action {
        case .pass:
            guard let procedure else { return [(match, .accept, "")] }
            var items: [(PlanMatch, PlanItem.Action, remark: String)] = []
            if let mark = marks?.passed[procedure.name] {
                items.append((match.marked(mark), .accept, "  # flows passed by the script"))
            }
            guard procedure.wantsContents, let payloadless = match.payloadless else {
                return items + [(match, .queue, "")]
            }
            return items + [(payloadless, .accept, "  # without payload"), (match, .queue, "")]
        case .block(let policy):
            guard procedure == nil else { return [(match, .queue, "")] }
            // The kernel's own answers would go through the rules once more, and are another's in number and form.
            guard let answered = match.narrowed(to: policy.answeredProtocols) else { return [(match, .drop, "")] }
            return answered == match ? [(match, .queue, "")] : [(answered, .queue, ""), (match, .drop, "")]
        }
    }

    // MARK: What outlives a packet

    /// Notes which packets may belong to a state that a rule makes: those like its own, and the answers.
    private mutating func noteStates(of rule: Configuration.Rule, in scope: RuleScope) {
        guard rule.state != .none, case .pass = rule.action, let reach = reach(of: rule, in: scope) else { return }
        let tracksEcho = configuration.algorithms.contains { $0.kind == .icmp }
        let keepsInterface = configuration.value(of: .stateKeyInterface) == 1
        let keepsDirection = configuration.value(of: .stateKeyDirection) == 1
        for match in reach.matches {
            guard var match = match.ofWholeFlow.narrowed(to: tracksEcho ? [1, 6, 17, 58] : [6, 17]) else { continue }
            if !keepsInterface { match.interface = nil }
            let hooks = keepsDirection ? reach.hooks : [.in, .out]
            for hook in hooks {
                states.insert(match, at: hook)
                states.insert(match.swapped, at: hook == .in ? .out : .in)
            }
        }
    }

    /// Notes what a rule's script may decide about flows, whose packets are told wherever they are.
    private mutating func noteFlows(of rule: Configuration.Rule, in scope: RuleScope) {
        guard let procedure = rule.procedure.flatMap({ procedures[$0] }), procedure.hasScript else { return }
        guard marks == nil else { return usesMarks = true }
        for match in reach(of: rule, in: scope)?.matches ?? [] {
            var match = match.ofWholeFlow
            match.interface = nil
            decidedFlows.formUnion([match, match.swapped])
        }
    }

    /// Whether IPv4 packets with options are dropped before any rule sees them.
    var dropsIPv4Options: Bool { configuration.value(of: .ip4DropOptions) == 1 }

    /// `file:line`, without the file's folder and what the kernel's programs would not take in a comment.
    private static func place(_ location: SourceLocation) -> String {
        let name = location.file.split(separator: "/").last ?? "npf.conf"
        return String(name.suffix(100).map { $0.isPlain ? $0 : "_" }) + ":\(location.line)"
    }
}

/// The items of both hooks.
struct PlanList {
    private(set) var inbound: [PlanItem] = []
    private(set) var outbound: [PlanItem] = []

    mutating func append(_ item: PlanItem, at hook: Configuration.Direction) {
        if hook == .in { inbound.append(item) } else { outbound.append(item) }
    }
}

extension PlanStates {
    mutating func insert(_ match: PlanMatch, at hook: Configuration.Direction) {
        if hook == .in { inbound.insert(match) } else { outbound.insert(match) }
    }
}

extension PlanMatch {
    /// The same for every packet of the flows whose packets match: flags, types and marks differ from packet to packet.
    fileprivate var ofWholeFlow: PlanMatch {
        var match = self
        (match.flags, match.icmpTypes, match.icmpCode) = (nil, [], nil)
        return match
    }
}

extension Configuration {
    /// The value of a parameter, in its unit.
    fileprivate func value(of parameter: Parameter) -> Int {
        settings.last { $0.parameter == parameter }?.value ?? parameter.defaultValue
    }
}

extension Configuration.Procedure {
    fileprivate var hasScript: Bool { calls.contains { if case .lua = $0 { true } else { false } } }
}

extension ReturnPolicy {
    /// The protocols whose senders are answered, in ascending order.
    fileprivate var answeredProtocols: [UInt8] {
        switch self {
        case .none: []
        case .rst: [6]
        case .icmp: [17]
        case .both: [6, 17]
        }
    }
}

extension Character {
    /// Whether it means nothing but itself to nft and to iptables-restore.
    var isPlain: Bool { isASCII && (isLetter || isNumber || "._-@".contains(self)) }
}
