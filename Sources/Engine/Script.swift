import ConfigLanguage
import LuaRuntime
import Luadata
import Packet
import Ruleset
import ScriptModules

/// What a rule calls: a Lua state of its own, and the function in it.
struct Script: ~Copyable {
    /// What a script's function is called with.
    enum Arity: Int {
        /// The whole packet.
        case packet = 1
        /// The headers of layers 3 and 4, and what follows them.
        case headerAndPayload
        /// The same, and the context.
        case headerPayloadAndContext
    }

    private var state: LuaState
    private let function: FunctionReference
    private let arity: Arity
    private let allowsEdits: Bool
    private var views = PacketViews()
    let errorPolicy: ErrorPolicy
    private let log: ScriptLogEntry
    private let tables: ScriptTables

    /// - Parameters:
    ///   - log: where the state's messages go.
    ///   - tables: what its scripts find by `npf.table`.
    init(
        state: consuming LuaState, function: FunctionReference, arity: Arity, call: ScriptCall,
        log: consuming ScriptLogEntry, tables: consuming ScriptTables
    ) {
        self.state = state
        self.function = function
        self.arity = arity
        allowsEdits = call.mayEdit
        errorPolicy = call.errorPolicy
        self.log = log
        self.tables = tables
    }

    /// Bytes that the state holds.
    var memoryInUse: Int { state.memoryInUse }

    /// Blocks that the state has asked the system for.
    var allocations: UInt64 { state.allocations }

    /// Calls the function on a packet.
    ///
    /// When it returns, whatever the script has kept of the packet is empty.
    @inline(__always)
    mutating func call(
        _ packet: UnsafeMutableRawBufferPointer, headers: PacketHeaders, origin: PacketOrigin,
        rule: UnsafePointer<CChar>
    ) -> FilterResult {
        state.setTime(nanoseconds: unsafe origin.time)
        log.setClock(unsafe origin.clock)
        tables.setClock(unsafe origin.clock)
        let whole = unsafe UnsafeMutableRawBufferPointer(rebasing: packet[..<headers.length])
        let layout = views.layout(headers, in: &state)
        var header = unsafe Region(
            whole, isWritable: allowsEdits, layout: layout, marks: PacketViews.marks(headers))
        guard arity != .packet else { return unsafe state.filter(function, header) }
        unsafe header.bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: whole[..<headers.payloadOffset])
        let payload = unsafe Region(.init(rebasing: whole[headers.payloadOffset...]), isWritable: allowsEdits)
        guard arity == .headerPayloadAndContext else {
            return unsafe state.filter(function, header, payload)
        }
        let context = unsafe FilterContext(
            interface: origin.interfaceName, direction: origin.directionName, rule: rule,
            nanoseconds: origin.time, mark: origin.mark, length: max(origin.originalLength, packet.count))
        return unsafe state.filter(function, header, payload, context: context)
    }

    /// Whether the last call, which answered `keep`, returned `true` and not nothing.
    var isAffirmed: Bool { state.isAffirmed }

    /// Copies what the last failed call said, cut to the buffer.
    ///
    /// Returns how many bytes.
    func copyMessage(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        unsafe state.copyLastMessage(into: buffer)
    }
}
