import CLua
import CLuaShim
import Glibc
import LuaRuntime
import Testing

/// Alive for as long as the frame that made it; a longjmp over that frame would leave it behind.
@safe private final class Canary {
    let count: UnsafeMutablePointer<Int>

    init(_ count: UnsafeMutablePointer<Int>) {
        unsafe self.count = unsafe count
        unsafe count.pointee += 1
    }

    deinit { unsafe count.pointee -= 1 }
}

@safe private struct CallbackContext {
    var canaries = 0
    var calls = 0
    var shim: OpaquePointer?
}

/// What the callback of a test does, by the string that it is given.
@c private func callback(_ lua: OpaquePointer?, _ context: UnsafeMutableRawPointer?) -> CInt {
    let context = unsafe context!.assumingMemoryBound(to: CallbackContext.self)
    let canary = unsafe Canary(&context.pointee.canaries)
    return withExtendedLifetime(canary) {
        unsafe context.pointee.calls += 1
        let buffer = [UInt8](repeating: 7, count: 8 << 20)
        switch unsafe String(cString: lua_tolstring(lua, 1, nil)) {
        case "keep":
            unsafe buffer.withUnsafeBytes { _ = unsafe lua_pushlstring(lua, $0.baseAddress, $0.count) }
            return 1
        case "drop":
            unsafe buffer.withUnsafeBytes { _ = unsafe lua_pushlstring(lua, $0.baseAddress, $0.count) }
            unsafe lua_settop(lua, -2)
            return 0
        case "throw":
            unsafe lua_pushstring(lua, "thrown by the host")
            return -1
        case "call":
            unsafe lua_pushvalue(lua, 2)
            return unsafe ls_call(context.pointee.shim, 0, 0) == LS_OK ? 0 : failNested(lua)
        default:
            return 0
        }
    }
}

private func failNested(_ lua: OpaquePointer?) -> CInt {
    unsafe lua_pushstring(lua, "the nested call failed")
    return -1
}

@Suite(.timeLimit(.minutes(2))) struct BoundaryTests {
    /// Runs a script whose global `host` is the callback above, under a cap of 1 MiB.
    private func run(_ source: String, instructions: Int = 1_000_000) -> (
        status: ls_status, message: String, canaries: Int, calls: Int, used: Int
    ) {
        var limits = ls_limits(instructions: Int64(instructions), memory: 1 << 20, nanoseconds: 600_000_000_000)
        LuaStrings.register()
        let shim = unsafe ls_open(&limits)
        let context = UnsafeMutablePointer<CallbackContext>.allocate(capacity: 1)
        unsafe context.initialize(to: CallbackContext(shim: shim))
        let lua = unsafe ls_lua(shim)
        unsafe ls_push_callback(lua, callback, context)
        unsafe lua_setglobal(lua, "host")
        let status = unsafe source.withCString { unsafe ls_load(shim, $0, strlen($0), "@test.lua") }
        var length = 0
        let text = unsafe ls_message(shim, &length)
        let message = unsafe String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
        unsafe ls_collect(shim)
        let used = unsafe ls_memory_in_use(shim)
        let (canaries, calls) = unsafe (context.pointee.canaries, context.pointee.calls)
        unsafe ls_close(shim)
        unsafe context.deallocate()
        return (status, message, canaries, calls, used)
    }

    @Test func noErrorSkipsASwiftFrame() {
        let cases: [(source: String, status: ls_status, message: String, calls: Int)] = [
            ("host('nothing')", LS_OK, "", 1),
            ("host('keep')", LS_MEMORY, "test.lua:1: not enough memory", 1),
            ("pcall(host, 'keep')", LS_MEMORY, "test.lua:1: not enough memory", 1),
            ("for i = 1, 20 do host('drop') end", LS_OK, "", 20),
            ("host('throw')", LS_ERROR, "thrown by the host", 1),
            ("assert(select(2, pcall(host, 'throw')) == 'thrown by the host')", LS_OK, "", 1),
            ("host('call', function() host('nothing') end)", LS_OK, "", 2),
            ("host('call', function() error('inside') end)", LS_ERROR, "the nested call failed", 1),
            ("host('call', function() host('throw') end)", LS_ERROR, "the nested call failed", 2),
            ("host('call', function() host('keep') end)", LS_MEMORY, "test.lua:1: not enough memory", 2),
            ("host('call', function() while true do end end)", LS_INSTRUCTIONS, "test.lua:1: instruction limit", 1),
            (
                "while true do pcall(host, 'call', function() while true do end end) end", LS_INSTRUCTIONS,
                "test.lua:1", 1
            ),
            (
                "host('call', function() local t = {} while true do t = {t} end end)", LS_MEMORY,
                "test.lua:1: not enough memory", 1
            ),
            ("local t = {} while true do t[#t + 1] = host('nothing') or {} end", LS_MEMORY, "test.lua:1", -1),
            ("local function f(n) if n > 0 then host('call', function() f(n - 1) end) end end f(15)", LS_OK, "", 15),
            (
                "setmetatable({}, {__index = host}).throw = 1 return setmetatable({}, {__newindex = function() host('throw') end}).x",
                LS_OK, "", 0
            ),
        ]
        for (source, status, message, calls) in cases {
            let result = run(source)
            #expect(result.status == status, "\(source): \(result.message)")
            #expect(status == LS_OK || result.message.hasPrefix(message), "\(source): \(result.message)")
            #expect(result.canaries == 0, "\(source)")
            #expect(calls < 0 || result.calls == calls, "\(source): \(result.calls)")
            #expect(result.used < 200_000, "\(source)")
        }
    }

    @Test func endlessNestingEnds() {
        let result = run("local function f() host('call', f) end f()")
        #expect(result.status != LS_OK)
        #expect(result.canaries == 0)
    }

    /// A Lua error raised from Swift would skip Swift frames, so Swift may not even name what can raise one.
    @Test func swiftNamesNoFunctionThatRaises() throws {
        let forbidden = [
            "lua_error", "luaL_error", "luaL_check", "luaL_opt", "luaL_arg", "lua_getfield", "lua_setfield",
            "lua_gettable",
            "lua_settable", "lua_geti", "lua_seti", "lua_call", "lua_callk", "lua_concat", "lua_arith", "lua_compare",
            "lua_next", "lua_len", "luaL_len", "luaL_tolstring", "lua_getglobal", "lua_setglobal", "lua_resume",
            "lua_yield", "luaL_requiref", "luaL_traceback", "lua_pcall",
        ]
        let root = unsafe String(cString: #filePath.withCString { unsafe dirname(strdup($0)) })
        var files = 0
        for module in ["LuaRuntime", "Luadata", "ScriptModules"] {
            for path in swiftFiles(below: "\(root)/../../Sources/\(module)") {
                files += 1
                let text = String(decoding: try ScriptDirectory(path: "/").script(path), as: UTF8.self)
                for name in forbidden {
                    #expect(!text.contains("\(name)("), "\(path) calls \(name)")
                }
            }
        }
        #expect(files >= 8)
    }

    private func swiftFiles(below path: String) -> [String] {
        guard let directory = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(directory) }
        var files: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(".") { continue }
            if name.hasSuffix(".swift") {
                files.append("\(path)/\(name)")
            } else {
                files += swiftFiles(below: "\(path)/\(name)")
            }
        }
        return files
    }
}
