public import ConfigLanguage

/// A configuration compiled for the packet path; immutable.
///
/// The entries are the groups' headers, the dynamic rulesets and the rules in pre-order with the default group last; a
/// header has the index behind its group. So a walk runs over one array of plain memory, forwards. The rules of each
/// dynamic ruleset are an array of their own, so that another ruleset with other dynamic rules shares all the rest.
@safe
public final class CompiledRuleset: @unchecked Sendable {  // its buffer is written by the initializer only
    /// The `set` parameters.
    public let parameters: Parameters
    /// The procedures; `Match.procedure` is an index.
    public let procedures: [Procedure]
    /// The values of connections' marks that tell the kernel of decided flows.
    public let flowMarks: Configuration.FlowMarks
    /// The scripts that rules ask; `WalkResult.needsScript` has an index.
    public let scriptFilters: [ScriptCall]
    /// What to show of every entry; the index is `Match.entry`, so the first stands for "no rule matched".
    public let rules: [RuleDescription]
    /// The interfaces that the rules name, dynamic ones included; an interface's id is its index plus 1.
    public var interfaceNames: [String] { names.interfaces }
    /// The tables that rules look into; `TableLookup` is asked about an index.
    public var tables: [RulesetTable] { names.tables }
    /// The dynamic rulesets with their rules, in the order of the walk.
    public let dynamicRulesets: [DynamicRuleset]

    /// Whether a rule, a dynamic one too, has a `pcap-filter`, which may look at any byte of a packet.
    public var hasPacketFilters: Bool {
        memory.hasInstructions || dynamicRulesets.contains { $0.memory.hasInstructions }
    }

    /// The configuration as it was compiled.
    public let configuration: Configuration
    let compilePacketFilter: PacketFilterCompiler
    let blocksUnmatched: Bool
    let names: NameTable
    private let memory: RuleMemory
    let program: RuleProgram
    /// The programs of the dynamic rulesets.
    let dynamicPrograms: UnsafeMutablePointer<RuleProgram>
    /// What the rules ask of tables, dynamic rules behind the others.
    ///
    /// Part of the packet path.
    public let tableQuestions: TableQuestions

    /// Compiles `configuration`, whose dynamic rulesets are empty.
    ///
    /// - Parameter packetFilter: Compiles the expressions of `pcap-filter`; its errors are told at their places.
    /// - Throws: A diagnostic for what only shows in the whole, such as a procedure's limit beyond the `set` one.
    public convenience init(
        compiling configuration: Configuration, packetFilter: @escaping PacketFilterCompiler
    ) throws(ConfigurationErrors) {
        do throws(Diagnostic) {
            let compiler = try RulesetCompiler(configuration, packetFilter: packetFilter)
            self.init(configuration, compiler, packetFilter: packetFilter, blocksUnmatched: true)
        } catch {
            throw ConfigurationErrors(error)
        }
    }

    /// No rules at all: every packet passes, as in NPF after `flush`.
    public static let empty: CompiledRuleset = {
        do throws(Diagnostic) {
            let compiler = try RulesetCompiler(.empty) { _ in [] }
            return CompiledRuleset(.empty, compiler, packetFilter: { _ in [] }, blocksUnmatched: false)
        } catch {
            preconditionFailure("the empty configuration has nothing to refuse")
        }
    }()

    private convenience init(
        _ configuration: Configuration, _ compiler: RulesetCompiler, packetFilter: @escaping PacketFilterCompiler,
        blocksUnmatched: Bool
    ) {
        self.init(
            configuration, compiler, packetFilter: packetFilter, blocksUnmatched: blocksUnmatched,
            memory: RuleMemory(compiler.rules))
    }

    private init(
        _ configuration: Configuration, _ compiler: RulesetCompiler, packetFilter: @escaping PacketFilterCompiler,
        blocksUnmatched: Bool, memory: RuleMemory
    ) {
        self.configuration = configuration
        self.compilePacketFilter = packetFilter
        self.blocksUnmatched = blocksUnmatched
        self.memory = memory
        parameters = compiler.parameters
        procedures = compiler.procedures
        flowMarks = configuration.flowMarks
        scriptFilters = compiler.scriptFilters
        rules = compiler.descriptions
        names = compiler.names
        dynamicRulesets = compiler.rulesets.map { DynamicRuleset(name: $0.name, memory: RuleMemory(LoweredRules())) }
        unsafe program = memory.program
        unsafe dynamicPrograms = Self.programs(of: dynamicRulesets)
        tableQuestions = Self.questions(of: memory, dynamicRulesets)
    }

    /// The ruleset `other` with other dynamic rules, and the names that these bring.
    init(_ other: CompiledRuleset, dynamicRulesets: [DynamicRuleset], names: NameTable) {
        configuration = other.configuration
        compilePacketFilter = other.compilePacketFilter
        blocksUnmatched = other.blocksUnmatched
        memory = other.memory
        parameters = other.parameters
        procedures = other.procedures
        flowMarks = other.flowMarks
        scriptFilters = other.scriptFilters
        rules = other.rules
        self.names = names
        self.dynamicRulesets = dynamicRulesets
        unsafe program = other.program
        unsafe dynamicPrograms = Self.programs(of: dynamicRulesets)
        tableQuestions = Self.questions(of: memory, dynamicRulesets)
    }

    deinit {
        unsafe dynamicPrograms.deallocate()
    }

    private static func programs(of rulesets: [DynamicRuleset]) -> UnsafeMutablePointer<RuleProgram> {
        let programs = UnsafeMutablePointer<RuleProgram>.allocate(capacity: max(rulesets.count, 1))
        for (index, ruleset) in rulesets.enumerated() {
            unsafe (programs + index).initialize(to: ruleset.memory.program)
        }
        return unsafe programs
    }

    private static func questions(of memory: RuleMemory, _ rulesets: [DynamicRuleset]) -> TableQuestions {
        var questions = TableQuestions()
        unsafe questions.add(memory.program)
        for ruleset in rulesets { unsafe questions.add(ruleset.memory.program) }
        return questions
    }

    /// The configuration in canonical form, as `npfctl validate` and `npfctl show` print it.
    ///
    /// - Parameter annotation: Text to append as a comment to the line of the entry with this number; empty for none.
    public func canonicalText(annotation: (Int) -> String = { _ in "" }) -> String {
        configuration.text(annotation: annotation)
    }
}
