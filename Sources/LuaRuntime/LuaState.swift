import CLuaShim

/// A sandboxed Lua state.
///
/// It may be made on one thread and used on another, by one at a time. Scripts run within the limits and see an
/// allow-list of globals: `assert error getmetatable ipairs next pairs pcall print rawequal rawget rawlen rawset require
/// select setmetatable tonumber tostring type xpcall`, and the libraries `math string table utf8`.
@safe public struct LuaState: ~Copyable, @unchecked Sendable {
    /// The state of the C shim.
    package let shim: OpaquePointer
    private let host: ScriptHost

    /// The limits of the calls that follow.
    public var limits: Limits {
        didSet {
            var limits = ls_limits(limits)
            unsafe ls_set_limits(shim, &limits)
        }
    }

    /// A new state.
    ///
    /// `require` finds modules below `modules`, if given, and `loaded` notes those that it has found; `print` gets the text of a script's `print` (at most 4096
    /// bytes), without it that text is dropped. Throws `.memory` if the limit is too small for the libraries alone.
    public init(
        limits: Limits = Limits(), modules: ScriptDirectory? = nil, noting loaded: LoadedModules? = nil,
        print: (@Sendable ([UInt8]) -> Void)? = nil
    ) throws(ScriptError) {
        LuaStrings.register()
        var limitsOfShim = ls_limits(limits)
        guard let shim = unsafe ls_open(&limitsOfShim) else {
            throw ScriptError(.memory, "a limit of \(limits.memory) bytes is too small for Lua's own libraries")
        }
        unsafe self.shim = unsafe shim
        self.limits = limits
        host = ScriptHost(modules: modules, loaded: loaded, print: print)
        unsafe host.serve(shim)
    }

    deinit {
        unsafe ls_close(shim)
    }

    /// Blocks that the state has asked the system for: all that running a script may allocate.
    package var allocations: UInt64 { unsafe ls_allocations(shim) }

    /// What all states that are gone have not given back; anything but 0 is a leak.
    package static var leaked: (bytes: Int, blocks: Int) {
        let leak = ls_leaked()
        return (Int(leak.bytes), Int(leak.blocks))
    }

    /// Bytes that the state holds.
    public var memoryInUse: Int { unsafe ls_memory_in_use(shim) }

    /// Compiles a text chunk and runs it within the limits; messages call it `chunkName`.
    ///
    /// Compiling, of the modules that it requires too, has a time of its own: 50 times that of a call.
    public mutating func load(_ source: [UInt8], chunkName: String) throws(ScriptError) {
        let status = unsafe source.withUnsafeBytes { unsafe ls_load(shim, $0.baseAddress, $0.count, "@\(chunkName)") }
        let kind: ScriptError.Kind
        switch status {
        case LS_OK: return
        case LS_SYNTAX: kind = .syntax
        case LS_INSTRUCTIONS: kind = .instructions
        case LS_MEMORY: kind = .memory
        case LS_TIME: kind = .time
        default: kind = .runtime
        }
        throw ScriptError(kind, lastMessage)
    }

    /// The global function of that name, or nil if there is none.
    ///
    /// It is held until it is released, whatever the global is later.
    public mutating func function(named name: String) -> FunctionReference? {
        var parameterCount: CInt = 0
        var isVariadic = false
        let reference = unsafe ls_function(shim, name, &parameterCount, &isVariadic)
        guard reference >= 0 else { return nil }
        return FunctionReference(
            reference: reference, parameterCount: Int(parameterCount), isVariadic: isVariadic)
    }

    /// Lets go of a function that will not be called again.
    public mutating func release(_ function: FunctionReference) {
        unsafe ls_release(shim, function.reference)
    }

    /// Collects all garbage.
    public mutating func collectGarbage() {
        unsafe ls_collect(shim)
    }

    /// The message of the last failed call, in Lua's memory; nothing is formatted or copied here.
    private var message: UnsafeRawBufferPointer {
        var length = 0
        let text = unsafe ls_message(shim, &length)
        return unsafe UnsafeRawBufferPointer(start: text, count: length)
    }

    /// Copies the message of the last failed call, cut to the size of the buffer; returns the number of bytes.
    public func copyLastMessage(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let text = unsafe message
        let count = min(text.count, buffer.count)
        unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: text[..<count]))
        return count
    }

    /// The message of the last failed call.
    public var lastMessage: String { unsafe String(decoding: message, as: UTF8.self) }
}

extension ls_limits {
    fileprivate init(_ limits: Limits) {
        self.init(
            instructions: Int64(limits.instructions), memory: max(0, limits.memory),
            nanoseconds: Int64(limits.nanoseconds))
    }
}
