import CLua
import CLuaShim
import Engine
import Foundation
import LuaRuntime
import Luadata
import ScriptModules
import Synchronization
import TestSupport
import Testing

/// The language server's definition files, held to what scripts really have.
@Suite struct DefinitionTests {
    /// What a definition file declares.
    private struct Definitions {
        struct Function {
            /// As it is written: `string.rep`, `object:layout`.
            var name: String
            var parameters: [String]
            /// The names of its `@param` lines.
            var documented: [String]
        }

        var text: String
        var functions: [Function] = []
        /// Other assignments to names, with the types of their values.
        var values: [String: String] = [:]
        /// The fields of the classes, by the class.
        var fields: [String: [String]] = [:]
        /// The classes of local variables.
        var classes: [String: String] = [:]

        init(_ file: String) throws {
            let path = DocumentationTests.root.appending(path: "share/lua-language-server/\(file)")
            text = try String(contentsOf: path, encoding: .utf8)
            var documented: [String] = []
            var lastClass: String?
            for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
                if let match = line.wholeMatch(of: /---@param ([\w.]+)\??( .*)?/) { documented.append(String(match.1)) }
                if let match = line.wholeMatch(of: /---@class ([\w.]+)(:.*)?/) {
                    lastClass = String(match.1)
                    fields[String(match.1)] = []
                }
                if let match = line.wholeMatch(of: /---@field (\w+)\??( .*)/), let lastClass {
                    fields[lastClass]?.append(String(match.1))
                }
                if let match = line.wholeMatch(of: /local (\w+) = {}/) { classes[String(match.1)] = lastClass }
                if let match = line.wholeMatch(of: /function ([\w.:]+)\((.*)\) end/) {
                    let parameters = match.2.split(separator: ",").map { $0.trimmingPrefix(" ") }.map(String.init)
                    functions.append(
                        Function(name: String(match.1), parameters: parameters, documented: documented))
                }
                if let match = line.wholeMatch(of: /([\w.]+) = (.)(.*)/) {
                    values[String(match.1)] = ["{": "table", "'": "string"][String(match.2)] ?? "number"
                }
                if !line.hasPrefix("---") {
                    documented = []
                    if line.isEmpty { lastClass = nil }
                }
            }
        }

        /// The functions of a table, or the methods with a `:`, by their names alone.
        func members(of table: String, _ separator: Character = ".") -> Set<String> {
            let prefix = "\(table)\(separator)"
            return Set(functions.map(\.name).filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) })
        }

        /// The methods of a class.
        func methods(of name: String) -> Set<String> {
            classes.first { $0.value == name }.map { members(of: $0.key, ":") } ?? []
        }
    }

    private static let files = ["globals", "data", "layouts", "net", "npf"]

    /// What a rule's script prints while it is loaded and decides a packet, a line an entry.
    private func printed(by script: String) throws -> Set<String> {
        let lines = Mutex<Set<String>>([])
        let folder = try ScriptFolder(["filter.lua": script])
        let configuration = try LoadedConfiguration(
            text: Array("procedure \"p\" { lua: call filter }\ngroup default { pass all apply \"p\" }\n".utf8),
            file: "npf.conf", scripts: ScriptDirectory(path: folder.path)
        ) { line in lines.withLock { _ = $0.insert(String(decoding: line, as: UTF8.self)) } }
        var filter = try Filter(configuration, seed: 1)
        var packet = datagram("x")
        _ = filter.decide(&packet, time: 0)
        return lines.withLock { $0 }
    }

    @Test(arguments: files)
    func everyFileIsLuaAndDocumentsItsParameters(file: String) throws {
        let definitions = try Definitions("\(file).lua")
        #expect(definitions.text.hasPrefix(file == "globals" ? "---@meta\n" : "---@meta \(file)\n"))
        var state = try LuaState()
        do {
            try state.load(Array(definitions.text.utf8), chunkName: "\(file).lua")
        } catch {
            Issue.record("\(error)")
        }
        for function in definitions.functions {
            #expect(function.parameters == function.documented, "\(function.name)")
        }
        let names = definitions.functions.map(\.name)
        #expect(Set(names).count == names.count)
        // Every other line that is not a comment has been understood.
        let code = definitions.text.split(separator: "\n").filter { !$0.hasPrefix("--") }
        let variables = definitions.classes.count + code.count { $0 == "local \(file) = {}" || $0 == "return \(file)" }
        let hasClass = definitions.classes[file] != nil
        #expect(code.count == names.count + definitions.values.count + variables - (hasClass ? 1 : 0), "\(file)")
    }

    @Test func globalsAreThoseOfARule() throws {
        let definitions = try Definitions("globals.lua")
        let declared = Set(
            definitions.functions.map { "\($0.name) function" } + definitions.values.map { "\($0) \($1)" })
        let real = try printed(
            by: """
                for name, value in pairs(_G) do
                  print(name .. ' ' .. type(value))
                  if type(value) == 'table' and value ~= _G then
                    for member, value in pairs(value) do print(name .. '.' .. member .. ' ' .. type(value)) end
                  end
                end
                function filter(hdr, pld) end
                """)
        #expect(declared.subtracting(real) == [], "not there")
        #expect(real.subtracting(declared) == [], "not declared")
    }

    @Test(arguments: files.dropFirst())
    func membersOfAModuleAreThoseOfARule(module: String) throws {
        let definitions = try Definitions("\(module).lua")
        // A layout is there once it has been asked for.
        let layouts = module == "layouts" ? PacketLayouts.all.map { "'\($0.name)'" }.joined(separator: ", ") : ""
        let real = try printed(
            by: """
                local found, module = pcall(require, '\(module)')
                if found then
                  print('found')
                  for _, name in ipairs{ \(layouts) } do assert(module[name]) end
                  for name, value in pairs(module) do
                    print(name)
                    if type(value) == 'table' then
                      for field in pairs(value) do
                        if type(field) == 'string' then print(name .. '.' .. field) end
                      end
                    end
                  end
                end
                function filter(hdr, pld) end
                """)
        guard real.contains("found") else {
            #expect(try !builtInModules().contains(module))
            return
        }
        var declared = definitions.members(of: module)
        for name in definitions.fields["npflua.\(module)"] ?? [] {
            declared.insert(name)
            for field in try #require(definitions.fields["npflua.\(name)"], "no class npflua.\(name)") {
                declared.insert("\(name).\(field)")
            }
        }
        #expect(declared.subtracting(real) == [], "not there")
        #expect(real.subtracting(declared) == ["found"], "not declared")
    }

    @Test func fieldsOfAPacketAreThoseOfItsViews() throws {
        let fields = try Definitions("layouts.lua").fields
        let classes = ["Header", "ipv4", "ipv6", "tcp", "udp", "icmp", "icmpv6"]
        let declared = try Set(classes.flatMap { try #require(fields["npflua.\($0)"]) })
        let real = Set(PacketViews.all.flatMap(\.fields).map(\.name))
        #expect(declared.subtracting(real) == [], "not there")
        #expect(real.subtracting(declared) == [], "not declared")
    }

    @Test func everyBuiltInModuleHasAFile() throws {
        #expect(try builtInModules().subtracting(Self.files) == [])
    }

    @Test(arguments: [
        ("npflua.Data", "data", "data.new(1)"), ("npflua.Set", "net", "net.set{}"),
        ("npflua.Table", "npf", "npf.table('t')"),
    ])
    func methodsAreThoseOfTheObjects(class name: String, module: String, object: String) throws {
        var state = try state()
        try state.load(
            Array("object = \(object.replacing(module, with: "require '\(module)'"))".utf8), chunkName: "x.lua")
        let lua = unsafe ls_lua(state.shim)
        unsafe lua_getglobal(lua, "object")
        #expect(unsafe lua_getmetatable(lua, -1) == 1)
        unsafe lua_pushstring(lua, "__index")
        if unsafe lua_rawget(lua, -2) == LUA_TFUNCTION {
            var upvalue: CInt = 1
            while unsafe lua_getupvalue(lua, -1, upvalue) != nil, unsafe lua_type(lua, -1) != LUA_TTABLE {
                upvalue += 1
            }
        }
        let real = unsafe names(in: lua)
        unsafe lua_settop(lua, 0)
        let declared = try Definitions("\(module).lua").methods(of: name)
        #expect(declared == real)
        #expect(!real.isEmpty)
    }

    @Test func fieldsOfTheContextAreThoseThatAScriptGets() throws {
        let real = try printed(by: "function filter(hdr, pld, ctx) for name in pairs(ctx) do print(name) end end")
        #expect(Set(try Definitions("npf.lua").fields["npflua.Context"] ?? []) == real)
    }

    private func state() throws -> LuaState {
        var state = try LuaState()
        state.installLuadata()
        state.installScriptModules()
        unsafe state.setTables(
            Self.tableNames,
            TableFunctions(
                add: { _, _, _, _, _, _ in 0 }, remove: { _, _, _, _, _ in 0 }, test: { _, _, _, _, _ in false }),
            context: nil)
        return state
    }

    /// One table, `t`; never freed.
    nonisolated(unsafe) private static let tableNames: UnsafeBufferPointer<UnsafePointer<CChar>?> = {
        let name = UnsafeMutableBufferPointer<CChar>.allocate(capacity: 2)
        _ = unsafe name.initialize(from: [CChar(UInt8(ascii: "t")), 0])
        let names = UnsafeMutableBufferPointer<UnsafePointer<CChar>?>.allocate(capacity: 1)
        unsafe names.initializeElement(at: 0, to: UnsafePointer(name.baseAddress))
        return UnsafeBufferPointer(names)
    }()

    /// The modules that `require` finds without a file: the registry's table that has `data`.
    private func builtInModules() throws -> Set<String> {
        let state = try state()
        let lua = unsafe ls_lua(state.shim)
        // LUA_REGISTRYINDEX is a macro that Swift does not see.
        unsafe lua_pushvalue(lua, -LUAI_MAXSTACK - 1000)
        unsafe lua_pushnil(lua)
        while unsafe lua_next(lua, 1) != 0 {
            if unsafe lua_type(lua, -1) == LUA_TTABLE {
                let names = unsafe names(in: lua)
                if names.contains("data") { return names }
            }
            unsafe lua_settop(lua, -2)
        }
        return []
    }

    /// The keys of the table on top of the stack that are strings.
    private func names(in lua: OpaquePointer?) -> Set<String> {
        var names: Set<String> = []
        unsafe lua_pushnil(lua)
        while unsafe lua_next(lua, -2) != 0 {
            unsafe lua_settop(lua, -2)
            if unsafe lua_type(lua, -1) == LUA_TSTRING {
                names.insert(unsafe String(cString: lua_tolstring(lua, -1, nil)))
            }
        }
        return names
    }
}
