public import ConfigLanguage

/// A rule procedure: what a rule's `apply` runs on the packets that the rule decides about.
public struct Procedure: Sendable, Hashable {
    /// The name that `apply` refers to.
    public let name: String
    /// The script function that it calls.
    public let call: ScriptCall
}

/// The call of a script's function with all its limits.
public struct ScriptCall: Sendable, Hashable {
    /// The function's global name.
    public let function: String
    /// The script's path, relative to the script directory and within it.
    public let file: String
    /// What an error of the script does to the packet.
    public let errorPolicy: ErrorPolicy
    /// Whether the script may change packets.
    public let allowsEdits: Bool
    /// The instructions that a call may take.
    public let instructions: Int
    /// The bytes that the Lua state may take.
    public let memory: Int
    /// The milliseconds that a call may take.
    public let milliseconds: Int
    /// The place of the call in the configuration.
    public let location: SourceLocation
}

/// The `set` parameters of a configuration.
public struct Parameters: Sendable, Hashable {
    /// Whether packets that cannot be judged pass (`set fail open`).
    public let failOpen: Bool
    /// The first NFQUEUE number.
    public let queueNumber: UInt16
    /// The packets that wait in a queue at most.
    public let queueLength: UInt32
    /// The instructions that a script call may take where its procedure does not say less.
    public let luaInstructions: Int
    /// The bytes that a Lua state may take where its procedure does not say less.
    public let luaMemory: Int
    /// The milliseconds that a script call may take where its procedure does not say less.
    public let luaMilliseconds: Int
    /// Whether scripts may change packets where their procedures do not say no.
    public let luaEdit: Bool
}

extension ScriptCall {
    /// What `call` says, with the parameters for what it leaves open.
    ///
    /// - Throws: A diagnostic where a limit is larger than the parameter: a procedure can only narrow them.
    init(_ call: Configuration.LuaCall, within parameters: Parameters) throws(Diagnostic) {
        func narrowed(
            _ limit: Configuration.Limit?, _ parameter: Parameter, _ value: Int
        ) throws(Diagnostic) -> Int {
            guard let limit else { return value }
            guard limit.value <= value else {
                throw Diagnostic(
                    at: limit.location,
                    "\(limit.value) is more than `set \(parameter.rawValue)` allows, which is \(value); raise that first"
                )
            }
            return limit.value
        }
        function = call.function
        file = call.file ?? "\(call.function).lua"
        errorPolicy = call.errorPolicy ?? (parameters.failOpen ? .pass : .block)
        allowsEdits = call.allowsEdits ?? parameters.luaEdit
        guard parameters.luaEdit || !allowsEdits else {
            throw Diagnostic(at: call.location, "`edit on` is more than `set lua.edit off` allows; change that first")
        }
        instructions = try narrowed(call.instructions, .luaInstructions, parameters.luaInstructions)
        memory = try narrowed(call.memory, .luaMemory, parameters.luaMemory)
        milliseconds = try narrowed(call.milliseconds, .luaTime, parameters.luaMilliseconds)
        location = call.location
    }
}

extension Parameters {
    /// What `settings` say, the later before the earlier, and the default values.
    init(_ settings: [Configuration.Setting]) {
        func value(_ parameter: Parameter) -> Int {
            settings.last { $0.parameter == parameter }?.value ?? parameter.defaultValue
        }
        failOpen = value(.fail) == 1
        queueNumber = UInt16(value(.queueNumber))
        queueLength = UInt32(value(.queueLength))
        luaInstructions = value(.luaInstructions)
        luaMemory = value(.luaMemory)
        luaMilliseconds = value(.luaTime)
        luaEdit = value(.luaEdit) == 1
    }
}
