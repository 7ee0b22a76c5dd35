import CLua
import CLuaShim
import LuaRuntime

/// A sandboxed state that also has Lua's own `string` library, as the global `stock`.
@safe
struct StringLibraryState: ~Copyable {
    private let state: OpaquePointer

    init(instructions: Int64 = 1 << 60, nanoseconds: Int64 = 1 << 60) {
        LuaStrings.register()
        var limits = ls_limits(instructions: instructions, memory: 256 << 20, nanoseconds: nanoseconds)
        unsafe state = ls_open(&limits)!
        let lua = unsafe ls_lua(state)!
        unsafe lua_pushcclosure(lua, luaopen_string, 0)
        unsafe lua_callk(lua, 0, 1, 0, nil)
        unsafe lua_setglobal(lua, "stock")
        // The stock library has taken over the strings' methods.
        unsafe ls_register_string(lua)
        unsafe lua_setglobal(lua, "string")
    }

    deinit {
        unsafe ls_close(state)
    }

    /// Runs a script: how it ended, and its error message.
    func run(_ script: String) -> (status: ls_status, message: String) {
        let bytes = script.utf8CString
        let status = unsafe bytes.withUnsafeBufferPointer {
            unsafe ls_load(state, $0.baseAddress, $0.count - 1, "=test")
        }
        guard status != LS_OK else { return (status, "") }
        var length = 0
        let message = unsafe UnsafeRawPointer(ls_message(state, &length))
        return unsafe (status, String(decoding: UnsafeRawBufferPointer(start: message, count: length), as: UTF8.self))
    }

    /// Makes a string of the bytes a global.
    func set(_ name: String, to bytes: [UInt8]) {
        let lua = unsafe ls_lua(state)!
        _ = unsafe bytes.withUnsafeBytes {
            unsafe lua_pushlstring(lua, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
        unsafe lua_setglobal(lua, name)
    }

    /// The bytes of a global string, none if it is not one.
    func bytes(of name: String) -> [UInt8] {
        let lua = unsafe ls_lua(state)!
        unsafe lua_getglobal(lua, name)
        defer { unsafe lua_settop(lua, -2) }
        var length = 0
        let bytes = unsafe UnsafeRawPointer(lua_tolstring(lua, -1, &length))
        return unsafe [UInt8](UnsafeRawBufferPointer(start: bytes, count: length))
    }
}
