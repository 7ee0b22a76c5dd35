import Engine
import Foundation
import LuaRuntime
import Luadata
import ScriptModules
import SystemSupport
import Testing

@Suite struct DocumentationTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The scripts of the API's page, each with what the page says it prints.
    static let examples: [(script: String, output: String)] = {
        let page = (try? String(contentsOf: root.appending(path: "docs/lua-api.md"), encoding: .utf8)) ?? ""
        return page.components(separatedBy: "```lua\n").dropFirst().map { rest in
            let parts = rest.components(separatedBy: "```\n")
            // Between the two blocks stands nothing.
            return (parts[0], parts.count > 2 ? parts[2] : "")
        }
    }()

    private final class Printed: @unchecked Sendable {
        var text = ""
    }

    @Test func everyExampleOfTheLuaPagePrintsWhatThePageSays() throws {
        #expect(Self.examples.count >= 12)
        for (script, output) in Self.examples {
            let printed = Printed()
            var state = try LuaState(modules: ScriptDirectory(path: "/nonexistent")) {
                printed.text += String(decoding: $0, as: UTF8.self) + "\n"
            }
            state.installLuadata()
            state.installPacketLayouts()
            state.installScriptModules()
            do {
                try state.load(Array(script.utf8), chunkName: "example.lua")
            } catch {
                Issue.record("\(script)\n\(error)")
            }
            #expect(printed.text == output, "\(script)")
        }
    }

    @Test func everyGlobalIsOnTheLuaPageAndNoOther() throws {
        let page = try String(contentsOf: Self.root.appending(path: "docs/lua-api.md"), encoding: .utf8)
        let printed = Printed()
        var state = try LuaState { printed.text += String(decoding: $0, as: UTF8.self) + " " }
        try state.load(Array("for name in pairs(_G) do print(name) end".utf8), chunkName: "globals.lua")
        let globals = Set(printed.text.split(separator: " ").map(String.init))
        let section = try #require(page.components(separatedBy: "## Globals").last)
        let lists = section.components(separatedBy: "`")
        let named = Set((lists[1] + " " + lists[3]).split(separator: " ").map(String.init))
        #expect(globals == named)
    }
}
