public import ConfigLanguage

// Each change makes another ruleset that shares all but the dynamic ruleset concerned: for the control thread.
extension CompiledRuleset {
    /// The rules that a dynamic ruleset has at most.
    public static let maximumDynamicRules = 65_535

    /// Adds a rule behind the others of a dynamic ruleset.
    ///
    /// - Parameter text: A rule as in the configuration, without scripts, procedures, variables and interfaces' addresses.
    /// - Returns: The ruleset with the rule, and the rule's id.
    public func adding(
        rule text: String, to name: String
    ) throws(DynamicRulesetError) -> (ruleset: CompiledRuleset, id: UInt64) {
        let index = try self.index(of: name)
        let ruleset = dynamicRulesets[index]
        guard ruleset.rules.count < Self.maximumDynamicRules else { throw .full(Self.maximumDynamicRules) }
        let rule = try parse(text)
        let id = ruleset.newID(for: rule.text)
        return (try replacing(index, with: ruleset.rules + [DynamicRule(id: id, rule: rule)]), id)
    }

    /// Removes the rule that says what `text` says, the last one if there are several.
    public func removing(rule text: String, from name: String) throws(DynamicRulesetError) -> CompiledRuleset {
        let rule = try parse(text).text
        return try removing(from: name) { $0.text == rule }
    }

    /// Removes the rule of the id `id`.
    public func removing(id: UInt64, from name: String) throws(DynamicRulesetError) -> CompiledRuleset {
        try removing(from: name) { $0.id == id }
    }

    /// Removes all rules of a dynamic ruleset.
    public func flushing(_ name: String) throws(DynamicRulesetError) -> CompiledRuleset {
        try replacing(try index(of: name), with: [])
    }

    /// The rules of a dynamic ruleset, in the order of the walk.
    public func dynamicRules(of name: String) throws(DynamicRulesetError) -> [DynamicRule] {
        dynamicRulesets[try index(of: name)].rules
    }

    /// Takes over the dynamic rules of `other`, the ruleset before a reload, for the rulesets of the same name.
    ///
    /// - Returns: The ruleset with the rules, and the rules that cannot be honoured any more, as they look into a table
    ///   that is gone.
    public func adoptingDynamicRules(from other: CompiledRuleset) -> (ruleset: CompiledRuleset, lost: [DynamicRule]) {
        var result = self
        var lost: [DynamicRule] = []
        for (index, ruleset) in dynamicRulesets.enumerated() {
            guard let former = other.dynamicRulesets.first(where: { $0.name == ruleset.name }) else { continue }
            let known = former.rules.filter { $0.rule.tableNames.allSatisfy { names.table(named: $0) != nil } }
            lost += former.rules.filter { !known.contains($0) }
            do throws(DynamicRulesetError) {
                result = try result.replacing(index, with: known)
            } catch {
                lost += known
            }
        }
        return (result, lost)
    }

    /// The same rules, in which the table `name` has another name and type; entries and tables keep their numbers.
    public func replacingTable(
        _ name: String, with newName: String, _ type: Configuration.TableType
    ) throws(ConfigurationErrors) -> CompiledRuleset {
        var result = try CompiledRuleset(
            compiling: configuration.replacingTable(name, with: newName, type), packetFilter: compilePacketFilter)
        do throws(DynamicRulesetError) {
            for (index, ruleset) in dynamicRulesets.enumerated() {
                result = try result.replacing(
                    index,
                    with: ruleset.rules.map {
                        DynamicRule(id: $0.id, rule: $0.rule.renamingTable(name, to: newName))
                    })
            }
        } catch {
            guard case .refused(let errors) = error else { preconditionFailure("the rulesets are the same") }
            throw errors
        }
        return result
    }

    // MARK: -

    private func index(of name: String) throws(DynamicRulesetError) -> Int {
        guard let index = dynamicRulesets.firstIndex(where: { $0.name == name }) else { throw .rulesetNotFound(name) }
        return index
    }

    private func parse(_ text: String) throws(DynamicRulesetError) -> Configuration.Rule {
        do throws(ConfigurationErrors) {
            return try Configuration.Rule(parsingDynamic: text, tables: configuration.tables.map(\.name))
        } catch {
            throw .refused(error)
        }
    }

    private func removing(
        from name: String, where isWanted: (DynamicRule) -> Bool
    ) throws(DynamicRulesetError) -> CompiledRuleset {
        let index = try self.index(of: name)
        var rules = dynamicRulesets[index].rules
        guard let position = rules.lastIndex(where: isWanted) else { throw .ruleNotFound }
        rules.remove(at: position)
        return try replacing(index, with: rules)
    }

    private func replacing(_ index: Int, with rules: [DynamicRule]) throws(DynamicRulesetError) -> CompiledRuleset {
        var names = names
        var lowered = LoweredRules()
        do throws(Diagnostic) {
            for rule in rules.map(\.rule) {
                try names.note(rule)
                let packetFilter = try rule.packetFilter.map { filter throws(Diagnostic) in
                    try compiledPacketFilter(filter, by: compilePacketFilter)
                }
                lowered.append(
                    rule, procedure: -1, script: -1, packetFilter: packetFilter ?? [], names: names.lookup)
            }
        } catch {
            throw .refused(ConfigurationErrors(error))
        }
        var rulesets = dynamicRulesets
        rulesets[index] = DynamicRuleset(name: rulesets[index].name, rules: rules, memory: RuleMemory(lowered))
        return CompiledRuleset(self, dynamicRulesets: rulesets, names: names)
    }
}

extension Configuration.Rule {
    /// The declared tables that the rule looks into.
    fileprivate var tableNames: [String] {
        (source.addresses + destination.addresses).compactMap { if case .table(let name) = $0 { name } else { nil } }
    }
}
