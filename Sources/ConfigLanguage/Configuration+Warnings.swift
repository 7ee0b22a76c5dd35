extension Parser {
    /// Warns about what is declared and never used.
    mutating func warnAboutUnused() {
        for (name, location) in variableUses.unused { warn(at: location, "nothing uses the variable `$\(name)`") }
        for (name, location) in tables.unused { warn(at: location, "no rule looks into the table `<\(name)>`") }
        for (name, location) in procedures.unused { warn(at: location, "no rule applies the procedure `\"\(name)\"`") }
    }
}

extension Configuration {
    /// What of the rules is hardly meant as it is written: rules and groups that no packet comes to, rules whose decision
    /// another one always takes, and rules that let nothing pass one way.
    ///
    /// A warning is certain; not all there is to warn of is found.
    var warnings: [Diagnostic] {
        var analysis = RuleAnalysis()
        for group in groups { analysis.enter(group, direction: nil, interface: nil, isTopLevel: true) }
        analysis.warnAboutDirections(at: groups.last?.location)
        return analysis.warnings
    }
}

/// A walk over the rules for all packets at once.
private struct RuleAnalysis {
    private(set) var warnings: [Diagnostic] = []
    /// The rules that end the walk where they match, at the place at hand: final ones, and those before a group.
    private var deciding: (broad: [RuleReach], narrow: [RuleReach]) = ([], [])
    /// The rules that decide unless a later one does.
    private var pending: [RuleReach] = []
    /// All rules of the top-level group at hand, behind which none is reached once one of them matched.
    private var ofGroup: [RuleReach] = []
    /// The directions in which a rule may pass packets.
    private var passing: Set<Configuration.Direction> = []
    private var hasStates = false
    private var budget = Budget()

    /// The comparisons of two rules that are still made: all of a configuration of some hundred rules, and in larger ones
    /// those with a rule that leaves an end of the packet open, as most rules do that take away others' packets.
    private struct Budget {
        private var narrow = 200_000
        private var broad = 2_000_000

        /// Whether a rule such as `rule` may be compared `count` times.
        mutating func covers(_ rule: RuleReach, _ count: Int) -> Bool {
            if rule.isBroad { broad -= count } else { narrow -= count }
            return rule.isBroad ? broad >= 0 : narrow >= 0
        }
    }

    mutating func enter(
        _ group: Configuration.Group, direction: Configuration.Direction?, interface: String?, isTopLevel: Bool
    ) {
        stopPending()
        guard
            let place = place(
                "group", group.direction, group.interface, within: direction, interface, at: group.location)
        else { return }
        if let other = decider(of: place) {
            return warn(
                at: group.location, "no packet comes to this group: the rule at \(other.shown) decides about them all")
        }
        for item in group.items {
            switch item {
            case .group(let inner):
                enter(inner, direction: place.direction, interface: place.interface, isTopLevel: false)
            case .ruleset(let ruleset):
                stopPending()
                let at = self.place(
                    "ruleset", ruleset.direction, ruleset.interface, within: place.direction, place.interface,
                    at: ruleset.location)
                if let at { notePassing(at.direction) }
            case .rule(let rule):
                visit(rule, direction: place.direction, interface: place.interface)
            }
        }
        if isTopLevel {
            decide(ofGroup)
            ofGroup = []
            pending = []
        }
    }

    /// Warns if nothing passes in a direction, but for what states let pass.
    mutating func warnAboutDirections(at location: SourceLocation?) {
        guard let location, !hasStates, passing.count < 2 else { return }
        let direction = passing.isEmpty ? "" : passing.contains(.in) ? " out" : " in"
        warn(
            at: location, "nothing passes\(direction): all rules that pass packets are about others, or there are none")
    }

    private mutating func visit(
        _ rule: Configuration.Rule, direction: Configuration.Direction?, interface: String?
    ) {
        guard let place = place("rule", rule.direction, rule.interface, within: direction, interface, at: rule.location)
        else { return }
        let reach = RuleReach(rule, direction: place.direction, interface: place.interface)
        if let other = decider(of: reach) {
            return warn(
                at: rule.location, "this rule never decides: the rule at \(other.shown) takes all its packets before")
        }
        let covered = budget.covers(reach, pending.count) ? pending.indices.filter { reach.covers(pending[$0]) } : []
        for index in covered {
            warn(
                at: pending[index].location,
                "this rule never decides: the rule at \(reach.shown) takes all its packets after it")
        }
        for index in covered.reversed() { pending.remove(at: index) }
        if rule.action == .pass {
            notePassing(place.direction)
            if rule.state != .none { hasStates = true }
        }
        ofGroup.append(reach)
        if rule.isFinal { decide([reach]) } else { pending.append(reach) }
    }

    /// Behind a group a rule before it is as good as final: the group ends the walk of what it matched.
    private mutating func stopPending() {
        decide(pending)
        pending = []
    }

    private mutating func decide(_ rules: [RuleReach]) {
        for rule in rules {
            if rule.isBroad { deciding.broad.append(rule) } else { deciding.narrow.append(rule) }
        }
    }

    private mutating func notePassing(_ direction: Configuration.Direction?) {
        if let direction { passing.insert(direction) } else { passing = [.in, .out] }
    }

    private mutating func decider(of reach: RuleReach) -> RuleReach? {
        for rules in [deciding.broad, deciding.narrow] {
            guard let first = rules.first, budget.covers(first, rules.count) else { continue }
            if let rule = rules.first(where: { $0.covers(reach) }) { return rule }
        }
        return nil
    }

    /// What a group, a ruleset or a rule is about within its groups; nil, with a warning, where that is nothing.
    private mutating func place(
        _ what: String, _ direction: Configuration.Direction?, _ interface: String?,
        within outerDirection: Configuration.Direction?, _ outerInterface: String?, at location: SourceLocation
    ) -> RuleReach? {
        if let direction, let outerDirection, direction != outerDirection {
            warn(
                at: location,
                "no packet comes to this \(what): it is about `\(direction)`, its group about `\(outerDirection)`")
            return nil
        }
        if let interface, let outerInterface, interface != outerInterface {
            warn(
                at: location,
                "no packet comes to this \(what): it is about `\(interface)`, its group about `\(outerInterface)`")
            return nil
        }
        return RuleReach(
            Configuration.Rule(action: .pass, location: location), direction: direction ?? outerDirection,
            interface: interface ?? outerInterface)
    }

    private mutating func warn(at location: SourceLocation, _ message: String) {
        warnings.append(Diagnostic(at: location, message, severity: .warning))
    }
}

/// The packets that a rule matches in its place; an object, since the rule is large and compared often.
private final class RuleReach {
    let rule: Configuration.Rule
    let direction: Configuration.Direction?
    let interface: String?
    let family: Configuration.Family?
    /// The protocols, those that ports imply among them; none for all.
    let protocols: [Configuration.ProtocolMatch]
    /// Whether packets from anywhere, or to anywhere, match.
    let isBroad: Bool

    init(_ rule: Configuration.Rule, direction: Configuration.Direction?, interface: String?) {
        self.rule = rule
        self.direction = direction
        self.interface = interface
        family = rule.effectiveFamily
        isBroad = rule.source == .any || rule.destination == .any
        let hasPorts = !rule.source.ports.isEmpty || !rule.destination.ports.isEmpty
        protocols =
            rule.protocols.isEmpty && hasPorts
            ? [6, 17].map { Configuration.ProtocolMatch(number: $0) } : rule.protocols
    }

    var location: SourceLocation { rule.location }
    var shown: String { "\(location.file):\(location.line)" }

    /// Whether this rule certainly matches all packets that the other one matches.
    func covers(_ other: RuleReach) -> Bool {
        guard direction == nil || direction == other.direction, interface == nil || interface == other.interface,
            family == nil || family == other.family, rule.packetFilter == nil, rule.scriptFilter == nil
        else { return false }
        return coversProtocols(of: other)
            && rule.source.covers(other.rule.source)
            && rule.destination.covers(other.rule.destination)
    }

    private func coversProtocols(of other: RuleReach) -> Bool {
        // A rule with a state takes only segments that open a connection, where it says no flags.
        if rule.state != .none
            && (other.rule.state == .none || other.rule.packetFilter != nil || rule.protocols != other.rule.protocols)
        {
            return false
        }
        if protocols.isEmpty { return true }
        return !other.protocols.isEmpty
            && other.protocols.allSatisfy { theirs in protocols.contains { $0.covers(theirs) } }
    }
}

extension Configuration.ProtocolMatch {
    fileprivate func covers(_ other: Self) -> Bool {
        guard number == other.number else { return false }
        switch (options, other.options) {
        case (.none, _): return true
        case (.icmp(let type, nil), .icmp(let otherType, _)): return type == otherType
        default: return options == other.options
        }
    }
}

extension Configuration.Endpoint {
    fileprivate func covers(_ other: Self) -> Bool {
        guard
            ports.isEmpty
                || !other.ports.isEmpty
                    && other.ports.allSatisfy({ range in
                        ports.contains { $0.first <= range.first && range.last <= $0.last }
                    })
        else { return false }
        if addresses.isEmpty { return true }
        if isNegated || other.isNegated { return isNegated == other.isNegated && addresses == other.addresses }
        return !other.addresses.isEmpty
            && other.addresses.allSatisfy { element in addresses.contains { $0.covers(element) } }
    }
}

extension Configuration.AddressElement {
    fileprivate func covers(_ other: Self) -> Bool {
        if case .prefix(let mine) = self, case .prefix(let theirs) = other {
            return mine.family == theirs.family && mine.address <= theirs.address
                && theirs.lastAddress <= mine.lastAddress
        }
        return self == other
    }
}
