import Glibc
import LuaRuntime
import Testing

/// A directory of scripts, for the time of a test.
private func withScripts(
    _ files: KeyValuePairs<String, String>, _ body: (ScriptDirectory) throws -> Void
) throws {
    var template = Array("/tmp/npflua-scripts-XXXXXX".utf8CString)
    let path = unsafe String(cString: mkdtemp(&template))
    for folder in ["", "/lib"] { unsafe mkdir(path + folder, 0o700) }
    defer {
        for (name, _) in files { unsafe unlink("\(path)/\(name)") }
        unsafe rmdir("\(path)/lib")
        unsafe rmdir(path)
    }
    for (name, text) in files {
        let file = unsafe fopen("\(path)/\(name)", "w")
        unsafe fputs(text, file)
        unsafe fclose(file)
    }
    try body(ScriptDirectory(path: path))
}

@Suite struct ModuleTests {
    @Test func modulesComeFromTheDirectoryOnce() throws {
        try withScripts([
            "util.lua": "print('loaded', ...) return {double = function(x) return 2 * x end}",
            "lib/deep.lua": "return require 'util'.double(4)",
            "nothing.lua": "x = (x or 0) + 1",
        ]) { (directory) throws in
            let console = Console()
            var state = try LuaState(limits: .unhurried(), modules: directory, print: console.print)
            let message = try run(
                """
                local util = require 'util'
                print(util.double(21), require 'util' == util, require 'lib.deep', require 'lib/deep')
                print(require 'nothing', require 'nothing', x)
                """, in: &state)
            #expect(message == nil)
            #expect(console.lines == ["loaded\tutil", "42\ttrue\t8\t8", "true\ttrue\t1"])
        }
    }

    @Test func whatCannotBeLoadedIsTold() throws {
        try withScripts([
            "broken.lua": "local x = = 1", "a.lua": "require 'b'", "b.lua": "require 'a'", "raises.lua": "error('oh')",
            "bytecode.lua": "\u{1b}Lua",
        ]) { (directory) throws in
            for (name, message) in [
                ("broken", "broken.lua:1: unexpected symbol near '='"),
                ("a", "b.lua:1: loop or previous error loading module 'a'"),
                ("raises", "raises.lua:1: oh"),
                ("bytecode", "attempt to load a binary chunk (mode is 't')"),
                ("absent", "module 'absent' not found: \(directory.path)/absent.lua: No such file or directory"),
                ("lib", "module 'lib' not found: \(directory.path)/lib.lua: No such file or directory"),
                ("../util", "module '../util' not found: its name must be words between dots"),
                ("/etc/passwd", "module '/etc/passwd' not found: its name must be words between dots"),
                ("a..b", "module 'a..b' not found: its name must be words between dots"),
                ("", "module '' not found: its name must be words between dots"),
                ("a b", "module 'a b' not found: its name must be words between dots"),
            ] {
                var state = try LuaState(limits: .unhurried(), modules: directory)
                #expect(
                    try run("require '\(name)'", in: &state)?.hasSuffix(message) == true,
                    "\(name): \(state.lastMessage)")
                #expect(try run("assert(not pcall(require, '\(name)'))", in: &state) == nil)
            }
        }
    }

    @Test func withoutADirectoryThereAreNoFiles() throws {
        var state = try LuaState(limits: .unhurried())
        #expect(try run("require 'util'", in: &state) == "test.lua:1: module 'util' not found")
    }

    @Test func longNamesAreRefused() throws {
        try withScripts([:]) { (directory) throws in
            var state = try LuaState(limits: .unhurried(), modules: directory)
            let message = try run("require(('a.'):rep(100000))", in: &state)
            #expect(message == "test.lua:1: bad argument #1 to 'require' (the name is too long)")
        }
    }

    @Test func scriptsAreReadByName() throws {
        try withScripts(["filter.lua": "-- filter"]) { (directory) throws in
            #expect(try directory.script("filter.lua") == Array("-- filter".utf8))
            #expect(try directory.script("\(directory.path)/filter.lua") == Array("-- filter".utf8))
            #expect(throws: ScriptError(.file, "\(directory.path)/no.lua: No such file or directory")) {
                try directory.script("no.lua")
            }
            #expect(throws: ScriptError(.file, "\(directory.path)/lib: not a file")) { try directory.script("lib") }
            unsafe truncate("\(directory.path)/filter.lua", ScriptDirectory.longestScript + 1)
            #expect(
                throws: ScriptError(
                    .file, "\(directory.path)/filter.lua: longer than the 1048576 bytes that a script may have")
            ) { try directory.script("filter.lua") }
        }
    }

    @Test func printGivesItsTextToTheHost() throws {
        let console = Console()
        var state = try LuaState(limits: .unhurried(), print: console.print)
        let message = try run(
            """
            print()
            print(1, 2.5, nil, true, 'x')
            print(setmetatable({}, {__tostring = function() return 'mine' end}))
            print(('x'):rep(5000), 'y')
            print(('x'):rep(4095), 'y', 'z')
            print(('x'):rep(4094), 'yz', 'z')
            """, in: &state)
        #expect(message == nil)
        let lines = console.lines
        try #require(lines.count == 6)
        #expect(lines[0...2] == ["", "1\t2.5\tnil\ttrue\tx", "mine"])
        #expect(lines[3] == String(repeating: "x", count: 4096))
        #expect(lines[4] == String(repeating: "x", count: 4095) + "\t")
        #expect(lines[5] == String(repeating: "x", count: 4094) + "\ty")
    }

    @Test func printWithoutAHostSaysNothing() throws {
        var state = try LuaState(limits: .unhurried())
        #expect(try run("print('x')", in: &state) == nil)
    }
}
