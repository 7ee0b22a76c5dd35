import CLua
import CLuaShim

/// What a Lua state reaches of its host.
///
/// The state's callbacks point to it, so it lives as long as the state.
final class ScriptHost: Sendable {
    let modules: ScriptDirectory?
    let loaded: LoadedModules?
    let print: (@Sendable ([UInt8]) -> Void)?

    init(modules: ScriptDirectory?, loaded: LoadedModules?, print: (@Sendable ([UInt8]) -> Void)?) {
        self.modules = modules
        self.loaded = loaded
        self.print = print
    }

    /// Gives its callbacks to a state.
    func serve(_ shim: OpaquePointer) {
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        if print != nil { unsafe ls_set_print(shim, printText, context) }
        if modules != nil { unsafe ls_set_loader(shim, loadModule, context) }
    }
}

private func host(_ context: UnsafeMutableRawPointer?) -> ScriptHost? {
    unsafe context.map { unsafe Unmanaged<ScriptHost>.fromOpaque($0).takeUnretainedValue() }
}

/// The bytes of the string that is a callback's first argument.
private func stringArgument(_ lua: OpaquePointer?) -> [UInt8] {
    var length = 0
    let text = unsafe lua_tolstring(lua, 1, &length)
    return unsafe Array(UnsafeRawBufferPointer(start: text, count: length))
}

/// An `ls_callback` for `print`.
@c private func printText(_ lua: OpaquePointer?, _ context: UnsafeMutableRawPointer?) -> CInt {
    unsafe host(context)?.print?(stringArgument(lua))
    return 0
}

/// An `ls_callback` for `require`: pushes the compiled module, or the reason why there is none.
@c private func loadModule(_ lua: OpaquePointer?, _ context: UnsafeMutableRawPointer?) -> CInt {
    let name = unsafe String(decoding: stringArgument(lua), as: UTF8.self)
    guard let host = unsafe host(context), let modules = host.modules,
        let file = ScriptDirectory.fileName(ofModule: name)
    else {
        unsafe lua_pushstring(lua, "module '\(name)' not found: its name must be words between dots")
        return -1
    }
    do throws(ScriptError) {
        let text = try modules.script(file)
        host.loaded?.note(file, text)
        let status = unsafe text.withUnsafeBytes {
            unsafe ls_compile(lua, $0.baseAddress, $0.count, "@\(file)")
        }
        return status == LUA_OK ? 1 : -1
    } catch {
        unsafe lua_pushstring(lua, "module '\(name)' not found: \(error.message)")
        return -1
    }
}
