import LuaRuntime
import Luadata
import ScriptModules

private let library = LayoutLibrary([
    Layout(
        name: "bits", fields: [.init("p", .number(offset: 3, width: 64)), .init("s", .string(offset: 1, length: 5))])
])

/// As a packet's headers have it: numbers and strings, counted from several marks.
private let header = Layout(
    name: "header",
    fields: [
        .init("ttl", .number(offset: 8, width: 12)), .init("p", mark: 1, .number(offset: 3, width: 64)),
        .init("s", mark: 2, .string(offset: 1, length: 5)), .init("rest", .rest(offset: 2, upTo: 3)),
    ])

nonisolated(unsafe) private let tableNames: UnsafePointer<UnsafePointer<CChar>?> = {
    let names = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: 2)
    let texts: [StaticString] = ["blocked", "networks"]
    for (place, text) in texts.enumerated() {
        unsafe names[place] = UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }
    return unsafe UnsafePointer(names)
}()

/// Tables that give each of their answers to some address, and hold scripts to what functions are called with.
nonisolated(unsafe) private let tableFunctions = unsafe TableFunctions(
    add: { _, table, high, low, isIPv6, nanoseconds in
        precondition(nanoseconds > 0)
        checkAddress(table, high, low, isIPv6)
        return TableAnswer.allCases[Int(low % 5)].rawValue
    },
    remove: { _, table, high, low, isIPv6 in
        checkAddress(table, high, low, isIPv6)
        return TableAnswer.allCases[Int(low % 5)].rawValue
    },
    test: { _, table, high, low, isIPv6 in
        checkAddress(table, high, low, isIPv6)
        return low & 1 == 0
    })

private func checkAddress(_ table: Int, _ high: UInt64, _ low: UInt64, _ isIPv6: Bool) {
    precondition(table == 0 || table == 1)
    precondition(isIPv6 || high == 0 && low <= UInt32.max)
}

/// Runs whole scripts: loads one, shows it packets, loads the next into the same state, and closes it.
///
/// The first byte chooses the limits, the rest writes the programs; after closing no byte may be left.
@c(LLVMFuzzerTestOneInput)
func fuzzScripts(_ input: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    var generator = unsafe ScriptGenerator(UnsafeBufferPointer(start: input, count: size))
    let limits = Limits(
        instructions: 20_000, memory: generator.byte() & 1 == 0 ? 60_000 : 400_000, nanoseconds: 100_000_000)
    do throws(ScriptError) {
        var state = try LuaState(limits: limits)
        state.installLuadata()
        state.installLayouts(library, module: "layouts")
        state.installScriptModules()
        unsafe state.setTables(UnsafeBufferPointer(start: tableNames, count: 2), tableFunctions, context: nil)
        let prepared = state.prepare(header)
        for _ in 1...2 {
            let program = generator.program()
            do throws(ScriptError) {
                try state.load(program, chunkName: "fuzz.lua")
            } catch {
                precondition(error.kind != .syntax || !error.message.isEmpty)
            }
            guard let function = state.function(named: "filter") else { continue }
            for length in [0, 1, 20, 100] { show(length, to: function, of: &state, with: prepared) }
            state.release(function)
        }
    } catch {
        precondition(error.kind == .memory)
    }
    precondition(LuaState.leaked == (0, 0), "a closed state has left memory behind")
    return 0
}

/// Shows memory of exactly that length, so that the address sanitizer sees a byte too many.
private func show(
    _ length: Int, to function: FunctionReference, of state: inout LuaState, with layout: PreparedLayout
) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8 + length, alignment: 1)
    defer { unsafe memory.deallocate() }
    let text = "SSH-2.0-OpenSSH_6.4 "
    for (index, byte) in zip(memory.indices, text.utf8) { unsafe memory[index] = byte }
    let result = unsafe state.filter(
        function,
        Region(
            UnsafeMutableRawBufferPointer(rebasing: memory[..<8]), isWritable: length != 1, layout: layout,
            marks: [0, 2, Int32(length % 12), 6]),
        Region(UnsafeMutableRawBufferPointer(rebasing: memory[8...]), isWritable: true))
    precondition(!result.answer.isFailure || !state.lastMessage.isEmpty)
}
