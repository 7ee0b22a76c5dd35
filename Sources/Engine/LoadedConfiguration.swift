public import ConfigLanguage
public import LuaRuntime
import Luadata
public import Ruleset
import ScriptModules

/// A configuration that is ready to run: rules compiled, every script read, loaded once and found to have its function.
///
/// It is made as a whole or not at all, before anything of the running one is touched.
public struct LoadedConfiguration: Sendable {
    /// The compiled rules.
    public let ruleset: CompiledRuleset
    /// The `set` parameters.
    public let parameters: Parameters
    /// The texts of the scripts, by their names in the configuration.
    private let scripts: [String: [UInt8]]
    private let directory: ScriptDirectory?
    private let print: (@Sendable ([UInt8]) -> Void)?

    /// NPF's state after `flush`: no rules, everything passes; parameters stay as they are.
    public static func empty(keeping configuration: LoadedConfiguration) -> LoadedConfiguration {
        LoadedConfiguration(
            ruleset: .empty, parameters: configuration.parameters, scripts: [:], directory: nil, print: nil)
    }

    private init(
        ruleset: CompiledRuleset, parameters: Parameters, scripts: [String: [UInt8]], directory: ScriptDirectory?,
        print: (@Sendable ([UInt8]) -> Void)?
    ) {
        self.ruleset = ruleset
        self.parameters = parameters
        self.scripts = scripts
        self.directory = directory
        self.print = print
    }

    /// Compiles a configuration and loads its scripts from a directory.
    ///
    /// - Parameters:
    ///   - text: the configuration, UTF-8.
    ///   - file: the name that messages about it carry.
    ///   - directory: where the scripts are.
    ///   - print: gets what scripts print, a line without its end; without it that is dropped.
    /// - Throws: `ConfigurationErrors`, whose description is `file:line:column: …`, a line a mistake.
    public init(
        text: [UInt8], file: String, scripts directory: ScriptDirectory,
        print: (@Sendable ([UInt8]) -> Void)? = nil
    ) throws(ConfigurationErrors) {
        let ruleset = try CompiledRuleset(compiling: Configuration(parsing: text, file: file))
        var scripts: [String: [UInt8]] = [:]
        for call in ruleset.procedures.map(\.call) where scripts[call.file] == nil {
            do throws(ScriptError) {
                scripts[call.file] = try directory.script(call.file)
            } catch {
                throw ConfigurationErrors(Self.diagnostic(error, at: call.location))
            }
        }
        self.init(
            ruleset: ruleset, parameters: ruleset.parameters, scripts: scripts, directory: directory, print: print)
        // A procedure that no rule applies must be right as well: it is what the next edit will use.
        for procedure in ruleset.procedures { _ = try makeScript(of: procedure, log: .none) }
    }

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
        let replaced = LoadedConfiguration(
            ruleset: ruleset, parameters: parameters, scripts: scripts, directory: directory, print: print)
        for procedure in ruleset.procedures where Self.fileName(procedure.call.file) == wanted {
            _ = try replaced.makeScript(of: procedure, log: .none)
        }
        return replaced
    }

    /// The scripts that the configuration uses, by name.
    public var scriptNames: [String] { scripts.keys.sorted() }

    /// A Lua state of its own for one rule that applies a procedure.
    ///
    /// - Parameter log: where its messages go, those that it has while it is loaded among them.
    func makeScript(
        of procedure: Procedure, log: consuming ScriptLogEntry
    ) throws(ConfigurationErrors) -> Script {
        let call = procedure.call
        do throws(ScriptError) {
            var state = try LuaState(
                limits: Limits(
                    instructions: call.instructions, memory: call.memory, nanoseconds: call.milliseconds * 1_000_000),
                modules: directory, print: print)
            state.installLuadata()
            state.installPacketLayouts()
            state.installScriptModules()
            log.serve(&state)
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
            return Script(state: state, function: function, arity: arity, call: call, log: log)
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
