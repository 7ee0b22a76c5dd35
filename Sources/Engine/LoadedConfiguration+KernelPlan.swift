import AddressTables
import ConfigLanguage
public import KernelPlan
import Packet
import Ruleset

extension LoadedConfiguration {
    /// Entries of a table that the kernel is given at most.
    private static let maximumTableEntries = 65_536

    /// Whether the daemon puts its own rules into the kernel.
    public var installsKernelRules: Bool { parameters[.kernelRules] == 1 }

    /// What the kernel can decide by itself.
    ///
    /// - Parameter formerStates: which packets may belong to states of configurations before this one.
    public func kernelPlan(
        queues: ClosedRange<UInt16>, formerStates: PlanStates = PlanStates()
    ) -> KernelPlan {
        let rulesets = ruleset.dynamicRulesets.map { ($0.name, $0.rules.map(\.rule)) }
        let plan = KernelPlan(
            compiling: ruleset.configuration, tables: installsKernelRules ? constantTables : [:],
            dynamicRules: Dictionary(uniqueKeysWithValues: rulesets), formerStates: formerStates,
            // Of rules that the daemon does not install it cannot know that they take marks over.
            marks: installsKernelRules ? flowMarks : nil, queues: queues,
            failOpen: parameters.failOpen)
        // Rules that the daemon does not install cannot follow what `npfctl rule` and `npfctl table` change.
        return installsKernelRules || rulesets.isEmpty ? plan : plan.queueingAll
    }

    /// The plan that a daemon begins with.
    ///
    /// - Throws: a sentence where there are no queues for all workers.
    public func kernelPlan() throws -> KernelPlan { kernelPlan(queues: try Workers.queues(parameters)) }

    /// The tables that change only when they are replaced whole.
    private var constantTables: [String: PlanTable] {
        var constant: [String: PlanTable] = [:]
        for table in ruleset.tables {
            guard case .declared(let declaration) = table.contents, declaration.type == .const,
                let contents = tables[declaration.name], contents.count <= Self.maximumTableEntries
            else { continue }
            let prefixes = contents.list(now: 0).map(\.prefix)
            constant[declaration.name] = PlanTable(
                inet4: prefixes.filter { $0.address.family == .ipv4 }.map(AddressRange.init),
                inet6: prefixes.filter { $0.address.family == .ipv6 }.map(AddressRange.init))
        }
        return constant
    }
}

extension AddressRange {
    /// The addresses of a network.
    fileprivate init(_ prefix: Prefix) {
        let first = UInt128(prefix.address.high) << 64 | UInt128(prefix.address.low)
        let hostBits = (prefix.address.family == .ipv4 ? 32 : 128) - prefix.length
        self.init(first: first, last: first | ((1 << UInt128(hostBits)) &- 1))
    }
}
