public import AddressTables
public import ConfigLanguage
public import LuaRuntime
import Luadata
import PacketQueue
import PcapFilter
import Procedures
public import Ruleset
import ScriptModules
import States
import SystemSupport

/// A configuration that is ready to run: rules compiled, tables filled, every script read, loaded once and found to have
/// its function.
///
/// It is made as a whole or not at all, before anything of the running one is touched.
public struct LoadedConfiguration: Sendable {
    /// The compiled rules.
    public private(set) var ruleset: CompiledRuleset
    /// The `set` parameters.
    public let parameters: Parameters
    /// What of the configuration is hardly meant as it is written.
    public private(set) var warnings: [Diagnostic]
    /// The tables, at the indices by which the rules name them.
    public private(set) var tables: TableSet
    /// What the workers that read the tables say that they do.
    let readers: ReaderEpochs
    /// What `set state.…` and `alg` say.
    let stateParameters: StateParameters
    /// The values of connections' marks that tell the kernel of decided flows.
    public private(set) var flowMarks: Configuration.FlowMarks
    /// The steps of each procedure.
    let steps: [[ProcedureStep]]
    /// The names of the files that procedures log to, by the places that steps name.
    let logFiles: [String]
    /// Whether connections end with the configuration before: after `flush`.
    let endsConnections: Bool
    /// The texts of the scripts, by their names in the configuration.
    private var scripts: [String: [UInt8]]
    /// The modules that each script has loaded, by its name.
    private var modules: [String: LoadedModules]
    private let directory: ScriptDirectory?
    private let print: (@Sendable ([UInt8]) -> Void)?

    /// NPF's state after `flush`: no rules, tables and connections, everything passes; parameters stay as they are.
    public static func empty(keeping configuration: LoadedConfiguration) -> LoadedConfiguration {
        LoadedConfiguration(emptying: configuration)
    }

    private init(emptying configuration: LoadedConfiguration) {
        ruleset = .empty
        parameters = configuration.parameters
        warnings = []
        tables = Self.noTables
        readers = configuration.readers
        stateParameters = configuration.stateParameters
        flowMarks = configuration.flowMarks
        steps = []
        logFiles = []
        endsConnections = true
        scripts = [:]
        modules = [:]
        directory = nil
        print = nil
    }

    /// Compiles a configuration, loads its scripts from a directory, and fills its tables.
    ///
    /// - Parameters:
    ///   - text: the configuration, UTF-8.
    ///   - file: the name that messages about it carry, and from whose folder its other files are looked up.
    ///   - directory: where the scripts are.
    ///   - former: the running configuration. Its dynamic rules, and what is in its tables, stay where this one has
    ///     dynamic rulesets and tables without files of the same names.
    ///   - now: the time on the clock by which tables' entries expire, in nanoseconds.
    ///   - print: gets what scripts print, a line without its end; without it that is dropped.
    /// - Throws: `ConfigurationErrors`, whose description is `file:line:column: …`, a line a mistake.
    public init(
        text: [UInt8], file: String, scripts directory: ScriptDirectory, after former: LoadedConfiguration? = nil,
        now: Int64 = 0, print: (@Sendable ([UInt8]) -> Void)? = nil
    ) throws(ConfigurationErrors) {
        let (configuration, warnings) = try Configuration.parse(text, file: file) { path throws in
            try File.read(path, limit: 64 << 20)
        }
        var ruleset = try CompiledRuleset(compiling: configuration) { try PcapExpression.compile($0) }
        self.warnings = warnings
        if let former {
            let adoption = ruleset.adoptingDynamicRules(from: former.ruleset)
            ruleset = adoption.ruleset
            self.warnings += adoption.lost.map {
                Diagnostic(
                    at: $0.rule.location, "the dynamic rule “\($0.text)” is gone: it looks into a table that is",
                    severity: .warning)
            }
        }
        self.ruleset = ruleset
        parameters = ruleset.parameters
        flowMarks = ruleset.flowMarks
        stateParameters = StateParameters(
            ruleset.parameters, tracksEcho: configuration.algorithms.contains { $0.kind == .icmp })
        // A worker reads them, loads scripts that read them, and the control thread looks into them.
        readers = former?.readers ?? ReaderEpochs(maximumReaders: 2 * Workers.maximumCount + 1)
        tables = try Self.tables(of: ruleset, in: file, keeping: former?.tables, readers: readers, now: now)
        var logFiles: [String] = []
        do throws(Diagnostic) {
            steps = try ruleset.procedures.map { procedure throws(Diagnostic) in
                var scripts = 0
                return try procedure.calls.map { call throws(Diagnostic) in
                    try ProcedureStep(call, scripts: &scripts, logFiles: &logFiles)
                }
            }
        } catch {
            throw ConfigurationErrors(error)
        }
        self.logFiles = logFiles
        endsConnections = false
        self.directory = directory
        self.print = print

        scripts = [:]
        modules = [:]
        for call in scriptCalls where scripts[call.file] == nil {
            do throws(ScriptError) {
                scripts[call.file] = try directory.script(call.file)
            } catch {
                var error = error
                if call.file == "\(call.function).lua" && !ruleset.scriptFilters.contains(call) {
                    error.message += "; `file \"NAME.lua\"` behind `call \(call.function)` names another script"
                }
                throw ConfigurationErrors(Self.diagnostic(error, at: call.location))
            }
        }
        modules = scripts.mapValues { _ in LoadedModules() }
        // A procedure that no rule applies must be right as well: it is what the next edit will use.
        for call in scriptCalls { try tryScript(call) }
    }

    /// Every call of a script: of the procedures, and of the rules that ask one.
    private var scriptCalls: [ScriptCall] { ruleset.procedures.flatMap(\.scripts) + ruleset.scriptFilters }

    /// The same configuration with other rules in its dynamic rulesets.
    package func replacingRules(by ruleset: CompiledRuleset) -> LoadedConfiguration {
        var replaced = self
        replaced.ruleset = ruleset
        return replaced
    }

    /// The same configuration with another name and type of a table, whose contents are replaced beside this.
    package func replacingTable(
        _ name: String, with newName: String, _ type: Configuration.TableType
    ) throws(ConfigurationErrors) -> LoadedConfiguration {
        var replaced = replacingRules(by: try ruleset.replacingTable(name, with: newName, type))
        replaced.tables = tables.renaming(name, to: newName)
        return replaced
    }

    /// Has the tables hold as many entries as `set table.limit` says, once this configuration is the running one.
    ///
    /// - Returns: the tables that cannot, a sentence each.
    package func useTableLimit(now: Int64) -> [String] {
        tables.setCapacity(parameters[.tableLimit], now: now).map { "\($0): it keeps its former limit" }
    }

    private static func tables(
        of ruleset: CompiledRuleset, in file: String, keeping former: TableSet?, readers: ReaderEpochs, now: Int64
    ) throws(ConfigurationErrors) -> TableSet {
        let declarations = try ruleset.tables.map { table throws(ConfigurationErrors) in try TableDeclaration(table) }
        do throws(TableSetError) {
            return try TableSet(
                declarations, capacity: ruleset.parameters[.tableLimit], keeping: former, now: now, readers: readers)
        } catch {
            let advice = error.error == .full ? "; `set table.limit` says how many entries it may have" : ""
            let location: SourceLocation
            let message: String
            switch ruleset.tables.first(where: { $0.name == error.table })?.contents {
            case .declared(let table): (location, message) = (table.location, "\(error)")
            case .interfaceAddresses(let interface):
                (location, message) = (
                    .init(file: file, line: 1, column: 1), "addresses of \(interface): \(error.error)"
                )
            case nil: preconditionFailure("every table is declared")
            }
            throw ConfigurationErrors(Diagnostic(at: location, message + advice))
        }
    }

    private static let noTables: TableSet = {
        do throws(TableSetError) {
            return try TableSet([], now: 0, readers: ReaderEpochs())
        } catch {
            preconditionFailure("no table has too many entries")
        }
    }()

    /// The same rules with a script replaced, wherever its file's name is that of `name`.
    ///
    /// - Throws: `ConfigurationErrors` where the script cannot be loaded, nil of this where no procedure uses it.
    public func replacingScript(named name: String, with source: [UInt8]) throws(ConfigurationErrors)
        -> LoadedConfiguration?
    {
        let wanted = Self.fileName(name)
        var scripts = scripts
        for file in scripts.keys where Self.fileName(file) == wanted { scripts[file] = source }
        guard scripts.keys.contains(where: { Self.fileName($0) == wanted }) else { return nil }
        var replaced = self
        replaced.scripts = scripts
        replaced.modules = scripts.mapValues { _ in LoadedModules() }
        for call in scriptCalls where Self.fileName(call.file) == wanted {
            try replaced.tryScript(call)
        }
        return replaced
    }

    /// Whether a script, and what it has loaded in another configuration, is as it was there.
    func hasSameScript(_ file: String, as former: LoadedConfiguration) -> Bool {
        guard let text = scripts[file], text == former.scripts[file], let directory else { return false }
        return former.modules[file]?.areUnchanged(in: directory) ?? true
    }

    /// The same configuration for a kernel that cannot be told of decided flows: they are decided here.
    func withoutFlowMarks() -> LoadedConfiguration {
        var configuration = self
        configuration.flowMarks = .none
        return configuration
    }

    /// The scripts that the configuration uses, by name.
    public var scriptNames: [String] { scripts.keys.sorted() }

    /// Finds out whether a script can be loaded; what it says is not heard, and it changes no table.
    private func tryScript(_ call: ScriptCall) throws(ConfigurationErrors) {
        let tables = ScriptTables(tables, isTrial: true, clock: Int64(Clock.monotonic))
        _ = try makeScript(call, log: .none, tables: tables)
    }

    /// A Lua state of its own for one call of one rule.
    ///
    /// - Parameters:
    ///   - log: where its messages go, those that it has while it is loaded among them.
    ///   - clock: the time while it is loaded, on the packets' monotonic clock in nanoseconds.
    func makeScript(
        _ call: ScriptCall, log: consuming ScriptLogEntry, clock: Int64
    ) throws(ConfigurationErrors) -> Script {
        try makeScript(call, log: log, tables: ScriptTables(tables, isTrial: false, clock: clock))
    }

    private func makeScript(
        _ call: ScriptCall, log: consuming ScriptLogEntry, tables: consuming ScriptTables
    ) throws(ConfigurationErrors) -> Script {
        do throws(ScriptError) {
            var state = try LuaState(
                limits: Limits(
                    instructions: call.instructions, memory: call.memory, nanoseconds: call.milliseconds * 1_000_000),
                modules: directory, noting: modules[call.file], print: print)
            state.installLuadata()
            state.installPacketLayouts()
            state.installScriptModules()
            log.serve(&state)
            tables.serve(&state)
            // Workers that run may change the tables that the script looks into.
            guard let reader = readers.register() else { throw ScriptError(.runtime, "too many read the tables") }
            reader.enter()
            defer { reader.leave() }
            try state.load(scripts[call.file] ?? [], chunkName: call.file)
            guard let function = state.function(named: call.function) else {
                throw ScriptError(
                    .runtime,
                    "\(call.file) defines no function “\(call.function)”: "
                        + "expected function \(call.function)(hdr, pld), or another name after “call”")
            }
            guard !function.isVariadic, let arity = Script.Arity(rawValue: function.parameterCount) else {
                throw ScriptError(
                    .runtime,
                    "function \(call.function) of \(call.file) takes "
                        + (function.isVariadic ? "any number of" : "\(function.parameterCount)")
                        + " parameters: expected (pkt), (hdr, pld) or (hdr, pld, ctx)")
            }
            return Script(state: state, function: function, arity: arity, call: call, log: log, tables: tables)
        } catch {
            throw ConfigurationErrors(Self.diagnostic(error, at: call.location))
        }
    }

    /// A script's failure on one line, without its traceback.
    private static func diagnostic(_ error: ScriptError, at location: SourceLocation) -> Diagnostic {
        Diagnostic(at: location, String(error.message.prefix { !$0.isNewline }))
    }

    private static func fileName(_ path: String) -> Substring {
        path.split(separator: "/", omittingEmptySubsequences: true).last ?? ""
    }
}

extension LoadedConfiguration {
    /// Room for all headers: 60 bytes of IPv4 and as many of TCP, or what IPv6 comes with, and what an ICMP error quotes.
    private static let headerRoom = 256

    /// Bytes of a packet that the queues copy: what `set queue.bytes` says, or as many as anything may look at.
    ///
    /// Scripts, `pcap-filter`, `log` and `normalize` may look at all, or send it back.
    package var copyLength: Int {
        let bytes = parameters[.queueBytes]
        guard bytes == 0 else { return bytes }
        let looksFurther = steps.joined().contains { step in
            switch step {
            case .script, .log, .normalize: true
            case .randomBlock, .rateLimit: false
            }
        }
        return looksFurther || !ruleset.scriptFilters.isEmpty || ruleset.hasPacketFilters
            ? PacketQueue.maximumCopyLength : Self.headerRoom
    }
}

extension StateParameters {
    /// - Parameter tracksEcho: whether there is `alg "icmp"`.
    fileprivate init(_ parameters: Parameters, tracksEcho: Bool) {
        self.init()
        self.tracksEcho = tracksEcho
        keyInterface = parameters[.stateKeyInterface] == 1
        keyDirection = parameters[.stateKeyDirection] == 1
        maximumAcknowledgmentWindow = UInt32(parameters[.tcpMaxAckWindow])
        strictOrderReset = parameters[.tcpStrictOrderRST] == 1
        timeouts.tcpNew = UInt32(parameters[.tcpTimeoutNew])
        timeouts.tcpEstablished = UInt32(parameters[.tcpTimeoutEstablished])
        timeouts.tcpHalfClose = UInt32(parameters[.tcpTimeoutHalfClose])
        timeouts.tcpClose = UInt32(parameters[.tcpTimeoutClose])
        timeouts.tcpTimeWait = UInt32(parameters[.tcpTimeoutTimeWait])
        timeouts.genericNew = UInt32(parameters[.genericTimeoutNew])
        timeouts.genericEstablished = UInt32(parameters[.genericTimeoutEstablished])
    }
}
