import ConfigLanguage
import Engine
import Foundation
import Packet
import TestSupport
import Testing

/// What of the decisions about flows outlives a reload.
@Suite struct FlowReloadTests {
    private static let first = """
        procedure "p" { lua: call filter, payload }
        procedure "q" { lua: call other, inspect 3 }
        group "g" in {
        \tpass proto udp to any port 53 apply "p"
        \tpass proto tcp to any port 22 apply "q"
        }
        group default {
        \tpass all
        }

        """
    private static let files = [
        "filter.lua": "local util = require 'lib'\n"
            + FlowBox.script.replacing("function filter", with: "function filter"),
        "other.lua": FlowBox.script.replacing("function filter", with: "function other"),
        "lib.lua": "return 1",
    ]

    @Test func markOfNewConnectionsIsTakenBackWhereItMeansSomethingElse() throws {
        let one = "procedure \"p\" { lua: call filter, payload }\ngroup default {\n\tpass all apply \"p\"\n}\n"
        let box = try FlowBox(one)
        #expect(box.configuration.flowMarks.opened == 0xc000_0000)
        #expect(try box.use(box.folder.load(one + "\n")) == [])
        #expect(try box.use(box.folder.load("procedure \"q\" { log: x }\n\(one)")) == [])
        #expect(try box.use(box.folder.load("\(one)procedure \"q\" { lua: call filter }\n")) == [0xc000_0000])
        #expect(box.configuration.flowMarks.opened == nil)
    }

    /// What changes, and of which procedures flows are looked at anew and marks are taken back; blocks are of `p`.
    private struct Change {
        var name: String
        var from: (String, String)?
        var file: (String, String)?
        var forgets: Set<Character>
        var marks: [UInt32]
    }

    private static let (blocked, p, q): (UInt32, UInt32, UInt32) = (0x4000_0000, 0x8000_0000, 0xc000_0000)
    private static let changes = [
        Change(name: "nothing", forgets: [], marks: []),
        Change(
            name: "another procedure",
            from: ("group default {", "procedure \"z\" { lua: call filter }\ngroup default {"),
            forgets: [], marks: []),
        Change(name: "another rule", from: ("pass all", "pass all\n\tblock proto 47 all"), forgets: [], marks: []),
        Change(name: "its place", from: ("procedure", "\n\nprocedure"), forgets: [], marks: []),
        Change(name: "its text", from: (", payload", ", time 5"), forgets: ["p"], marks: [blocked, p]),
        Change(
            name: "a limit", from: ("procedure \"p\"", "set lua.time 3\nprocedure \"p\""), forgets: ["p", "q"],
            marks: [blocked, p, q]),
        Change(name: "its rule", from: ("port 53", "port 50-60"), forgets: ["p"], marks: [blocked, p]),
        Change(
            name: "the group of its rule", from: ("\"g\" in", "\"g\""), forgets: ["p", "q"], marks: [blocked, p, q]),
        Change(
            name: "one more rule of it", from: ("pass all", "pass all\n\tpass proto 47 all apply \"q\""),
            forgets: ["q"],
            marks: [blocked, q]),
        Change(
            name: "its script",
            file: ("other.lua", FlowBox.script.replacing("function filter", with: "function other") + " "),
            forgets: ["q"], marks: [blocked, q]),
        Change(name: "its module", file: ("lib.lua", "return 2"), forgets: ["p"], marks: [blocked, p]),
        Change(name: "another file", file: ("more.lua", "return 2"), forgets: [], marks: []),
        Change(
            name: "the mask", from: ("procedure \"p\"", "set flow.mark 0x3\nprocedure \"p\""), forgets: [],
            marks: [blocked, p, q]),
        Change(
            name: "no mask", from: ("procedure \"p\"", "set flow.mark 0\nprocedure \"p\""), forgets: [],
            marks: [blocked, p, q]),
        Change(
            name: "its value", from: ("procedure \"p\"", "procedure \"a\" { lua: call filter }\nprocedure \"p\""),
            forgets: [], marks: [p, q]),
    ]

    @Test func decisionsHoldAsLongAsWhatTheyFollowFrom() throws {
        for change in Self.changes {
            let box = try FlowBox(Self.first, files: Self.files)
            _ = box.decide(datagram("pass"))
            _ = box.decide(datagram("shut", ipv6: true))
            _ = box.decide(forth("abc"))
            #expect(!box.isLookedAt(datagram("x")) && !box.isLookedAt(forth("x")), "\(change.name)")

            var rules = Self.first
            if let (old, new) = change.from {
                let range = try #require(rules.range(of: old), "\(change.name)")
                rules.replaceSubrange(range, with: new)
            }
            if let (file, text) = change.file { try box.folder.write(text, to: file) }
            let next = try box.folder.load(rules, after: box.configuration)
            #expect(try box.use(next) == change.marks, "\(change.name)")
            #expect(box.isLookedAt(datagram("x")) == change.forgets.contains("p"), "\(change.name)")
            #expect(box.isLookedAt(forth("x")) == change.forgets.contains("q"), "\(change.name)")
            let verdict = box.decide(datagram("x", ipv6: true)).verdict
            #expect(verdict == (change.forgets.contains("p") ? .pass : .block), "\(change.name)")
        }
    }

    @Test func aScriptThatIsLoadedAloneTakesItsDecisionsBack() throws {
        let box = try FlowBox(Self.first, files: Self.files)
        _ = box.decide(datagram("pass"))
        _ = box.decide(forth("abc"))
        let same = try #require(
            try box.configuration.replacingScript(named: "other.lua", with: Array(Self.files["other.lua"]!.utf8)))
        #expect(try box.use(same) == [])
        #expect(!box.isLookedAt(forth("x")))
        let changed = try #require(
            try box.configuration.replacingScript(named: "other.lua", with: Array("function other(pkt) end".utf8)))
        #expect(try box.use(changed) == [Self.blocked, Self.q])
        #expect(box.isLookedAt(forth("x")))
        #expect(!box.isLookedAt(datagram("x")))
    }

    @Test func flushTakesAllBack() throws {
        let box = try FlowBox(Self.first, files: Self.files)
        _ = box.decide(datagram("shut"))
        #expect(try box.use(LoadedConfiguration.empty(keeping: box.configuration)) == [Self.blocked, Self.p, Self.q])
        #expect(box.decide(datagram("x")).verdict == .pass)
    }

    @Test func whatWasSeenOfAFlowIsNotForgotten() throws {
        let box = try FlowBox(procedure(", inspect 4", "pass proto tcp to any port 22 apply \"p\""))
        _ = box.decide(forth("abc"))
        let next = try box.folder.load(
            "procedure \"a\" { lua: call filter }\n"
                + procedure(", inspect 4", "pass proto tcp to any port 22 apply \"p\""), after: box.configuration)
        _ = try box.use(next)
        #expect(box.isLookedAt(forth("d")))
        #expect(!box.isLookedAt(forth("e")))
    }
}
