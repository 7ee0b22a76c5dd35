public import ConfigLanguage

/// A rule procedure: what a rule's `apply` runs on the packets that the rule decides about.
public struct Procedure: Sendable, Hashable {
    /// A call of a procedure.
    public enum Call: Sendable, Hashable {
        /// A function of a Lua script.
        case script(ScriptCall)
        /// The packet is written down.
        case log(Configuration.LogCall)
        /// The packet is made ordinary.
        case normalize(Configuration.NormalizeCall)
        /// The packet is blocked at random.
        case randomBlock(Configuration.RandomBlockCall)
        /// The packet is blocked where its kind takes more than its share.
        case rateLimit(Configuration.RateLimitCall)
    }

    /// The name that `apply` refers to.
    public let name: String
    /// The calls in their order, at least one.
    public let calls: [Call]
    /// The calls in canonical form, one on each line.
    public let text: String

    /// The calls of scripts among the calls.
    public var scripts: [ScriptCall] {
        calls.compactMap { if case .script(let call) = $0 { call } else { nil } }
    }
}

/// A table that rules look into; an entry has its index.
public struct RulesetTable: Sendable, Hashable {
    /// Where its addresses come from.
    public enum Contents: Sendable, Hashable {
        /// From its file, from `npfctl table` and from scripts.
        case declared(Configuration.Table)
        /// They are those that the interface of this name has at the moment, of both families.
        case interfaceAddresses(String)
    }

    /// Where its addresses come from.
    public let contents: Contents

    /// The table's name; of an interface's addresses, as in NPF, `.ifnet-` and the interface's name.
    public var name: String {
        switch contents {
        case .declared(let table): table.name
        case .interfaceAddresses(let interface): ".ifnet-\(interface)"
        }
    }
}

/// The call of a script's function with all its limits.
public struct ScriptCall: Sendable, Hashable {
    /// The function's global name.
    public let function: String
    /// The script's path, relative to the script directory and within it.
    public let file: String
    /// What an error of the script does to the packet.
    public let errorPolicy: ErrorPolicy
    /// Whether the script may change the packet.
    public let mayEdit: Bool
    /// Whether the script is called with packets alone that have payload of layer 4.
    public let payloadOnly: Bool
    /// How much of a flow the script looks at; nil for all of it.
    public let inspection: Configuration.InspectionLimit?
    /// The instructions that a call may take.
    public let instructions: Int
    /// The bytes that the Lua state may take.
    public let memory: Int
    /// The milliseconds that a call may take.
    public let milliseconds: Int
    /// The place of the call in the configuration.
    public private(set) var location: SourceLocation

    /// Whether another call does the same, wherever it stands.
    public func doesTheSame(as other: ScriptCall) -> Bool {
        var moved = other
        moved.location = location
        return self == moved
    }
}

/// The `set` parameters of a configuration.
public struct Parameters: Sendable, Hashable {
    private var values: [Parameter: Int] = [:]

    /// What `settings` say, the later before the earlier; what they do not say has its default value.
    init(_ settings: [Configuration.Setting]) {
        for setting in settings { values[setting.parameter] = setting.value }
    }

    /// The value of a parameter, in its unit.
    public subscript(parameter: Parameter) -> Int { values[parameter] ?? parameter.defaultValue }

    /// Whether packets that cannot be judged pass (`set fail open`).
    public var failOpen: Bool { self[.fail] == 1 }
    /// The first NFQUEUE number.
    public var queueNumber: UInt16 { UInt16(self[.queueNumber]) }
    /// The packets that wait in a queue at most.
    public var queueLength: UInt32 { UInt32(self[.queueLength]) }
    /// The instructions that a script call may take where its procedure does not say less.
    public var luaInstructions: Int { self[.luaInstructions] }
    /// The bytes that a Lua state may take where its procedure does not say less.
    public var luaMemory: Int { self[.luaMemory] }
    /// The milliseconds that a script call may take where its procedure does not say less.
    public var luaMilliseconds: Int { self[.luaTime] }
}

extension Procedure {
    init(_ procedure: Configuration.Procedure, within parameters: Parameters) throws(Diagnostic) {
        name = procedure.name
        text = procedure.calls.map(\.text).joined(separator: "\n")
        calls = try procedure.calls.map { call throws(Diagnostic) in
            switch call {
            case .lua(let call): .script(try ScriptCall(call, within: parameters))
            case .log(let call): .log(call)
            case .normalize(let call): .normalize(call)
            case .randomBlock(let call): .randomBlock(call)
            case .rateLimit(let call): .rateLimit(call)
            }
        }
    }
}

extension ScriptCall {
    /// What `call` says, with the parameters for what it leaves open.
    ///
    /// - Throws: A diagnostic where a limit is larger than the parameter: a procedure can only narrow them.
    init(_ call: Configuration.LuaCall, within parameters: Parameters) throws(Diagnostic) {
        func narrowed(_ limit: Configuration.Limit?, _ parameter: Parameter) throws(Diagnostic) -> Int {
            let value = parameters[parameter]
            guard let limit else { return value }
            guard limit.value <= value else {
                throw Diagnostic(
                    at: limit.location,
                    parameter.form == .flag
                        ? "`set \(parameter.rawValue) off` forbids it; set that to `on` first"
                        : "\(limit.value) is more than `set \(parameter.rawValue)` allows, which is \(value); "
                            + "raise that first")
            }
            return limit.value
        }
        function = call.function
        file = call.file ?? "\(call.function).lua"
        errorPolicy = call.errorPolicy ?? (parameters.failOpen ? .pass : .block)
        mayEdit = try narrowed(call.edit, .luaEdit) == 1
        payloadOnly = call.payloadOnly
        inspection = call.inspection
        instructions = try narrowed(call.instructions, .luaInstructions)
        memory = try narrowed(call.memory, .luaMemory)
        milliseconds = try narrowed(call.milliseconds, .luaTime)
        location = call.location
    }

    /// A script that a rule asks whether it matches: it has the parameters' limits and changes nothing.
    init(_ filter: Configuration.ScriptFilter, within parameters: Parameters) {
        function = filter.function
        file = filter.file
        errorPolicy = parameters.failOpen ? .pass : .block
        mayEdit = false
        payloadOnly = false
        inspection = nil
        instructions = parameters.luaInstructions
        memory = parameters.luaMemory
        milliseconds = parameters.luaMilliseconds
        location = filter.location
    }
}
