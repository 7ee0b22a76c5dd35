import ConfigLanguage
import Packet
import Ruleset
import Testing

struct DynamicRulesTests {
    private let text = """
        table <t> type ipset
        group "a" in on eth0 { ruleset "x" ; pass final proto udp all }
        group default { pass from 10.0.0.9; ruleset "y" out; pass all }
        """

    private func decision(_ ruleset: CompiledRuleset, _ source: String, interface: String = "eth0") -> String {
        let id = ruleset.interfaceNames.firstIndex(of: interface).map { UInt16($0 + 1) } ?? 0
        let headers = packet(.udp, source, "192.0.2.1", ports: (1, 53))
        let match = ruleset.evaluate(headers, interface: id, direction: .in)
        return "\(match.entry) \(match.dynamicRule) \(match.blocks ? "block" : "pass")"
    }

    @Test func rulesComeAndGoWhileTheRestStays() throws {
        let empty = try compile(text)
        #expect(decision(empty, "10.0.0.1") == "3 -1 pass")
        #expect(empty.rules.map(\.kind) == [.noMatch, .group, .ruleset, .rule, .group, .rule, .ruleset, .rule])
        let (one, first) = try empty.adding(rule: "block from 10.0.0.0/8", to: "x")
        let (two, second) = try one.adding(rule: "pass  from 10.0.0.1", to: "x")
        #expect(decision(one, "10.0.0.1") == "2 0 block")
        #expect(decision(two, "10.0.0.1") == "2 1 pass", "the last rule that matches decides")
        #expect(decision(two, "10.0.0.2") == "2 0 block")
        #expect(decision(two, "11.0.0.1") == "3 -1 pass", "none matches: the walk goes on")
        #expect(decision(two, "10.0.0.1", interface: "eth1") == "7 -1 pass", "a ruleset has its group's interface")
        #expect(decision(empty, "10.0.0.1") == "3 -1 pass", "the ruleset before is as it was")
        #expect(try two.dynamicRules(of: "x").map(\.text) == ["block from 10.0.0.0/8", "pass from 10.0.0.1"])
        #expect(try two.dynamicRules(of: "x").map(\.id) == [first, second])
        #expect(decision(try two.removing(id: first, from: "x"), "10.0.0.2") == "3 -1 pass")
        #expect(decision(try two.removing(rule: "pass from   10.0.0.1/32", from: "x"), "10.0.0.1") == "2 0 block")
        #expect(try two.flushing("x").dynamicRules(of: "x").isEmpty)
        let (final, _) = try empty.adding(rule: "block final from 10.0.0.1", to: "x")
        #expect(decision(try final.adding(rule: "pass all", to: "x").ruleset, "10.0.0.1") == "2 0 block")
    }

    @Test func aRulesetIsABarrier() throws {
        var ruleset = try compile(text)
        ruleset = try ruleset.adding(rule: "block all", to: "y").ruleset
        let headers = packet(.tcp, "10.0.0.9", "192.0.2.1")
        let match = ruleset.evaluate(headers, interface: 0, direction: .out)
        #expect(match.entry == 5 && match.dynamicRule == -1 && !match.blocks)
        let other = ruleset.evaluate(packet(.tcp, "10.0.0.1", "::1"), interface: 0, direction: .out)
        #expect(other.entry == 6 && other.dynamicRule == 0 && other.blocks)
    }

    @Test func idsAreStableAndDiffer() throws {
        let empty = try compile(text)
        let (one, first) = try empty.adding(rule: "block from 10.0.0.1", to: "x")
        let (two, second) = try one.adding(rule: "block from 10.0.0.1", to: "x")
        #expect(first != second)
        #expect(try empty.adding(rule: "block  from  10.0.0.1", to: "y").id == first, "the same for the same rule")
        #expect(first == 0x90c9_52e7_2564_a8a6, "FNV-1a of the canonical text")
        let left = try two.removing(rule: "block from 10.0.0.1", from: "x")
        #expect(try left.dynamicRules(of: "x").map(\.id) == [first], "the last of several goes")
        #expect(try left.adding(rule: "block from 10.0.0.1", to: "x").id == second)
    }

    /// A rule with what is said to it.
    @Test(arguments: [
        ("pass", "rule:1:5: a rule needs `all`, `from` or `to` before the end of the file; `all` takes every packet"),
        ("permit all", "rule:1:1: expected `pass` or `block`, not `permit`"),
        ("", "rule:1:1: expected `pass` or `block`, not the end of the file"),
        ("pass all; pass all", "rule:1:9: expected the end of the rule after `all`, not `;`"),
        ("pass all }", "rule:1:10: expected the end of the rule after `all`, not `}`"),
        ("pass all\n", "rule:1:9: expected the end of the rule after `all`, not the end of the line"),
        ("pass all apply \"p\"", "rule:1:10: `apply`: a rule of a dynamic ruleset has no scripts and procedures"),
        (
            "pass all lua-filter \"x\"",
            "rule:1:10: `lua-filter`: a rule of a dynamic ruleset has no scripts and procedures"
        ),
        (
            "pass from $a",
            "rule:1:11: the variable `$a` is not defined before this; `$a = …` defines it"
        ),
        (
            "pass from <u>",
            "rule:1:11: the table `<u>` is not defined before this; `table <u> type ipset` defines it"
        ),
        ("pass from ifaddrs(lo)", "rule:1:11: `ifaddrs`: a rule of a dynamic ruleset names addresses or a table"),
        ("group \"x\" { }", "rule:1:1: expected `pass` or `block`, not `group`"),
    ])
    func mistakes(_ rule: String, _ expected: String) throws {
        let ruleset = try compile(text)
        let error = #expect(throws: DynamicRulesetError.self) { try ruleset.adding(rule: rule, to: "x") }
        guard case .refused(let errors)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(errors.diagnostics.first?.description == expected)
    }

    @Test func errorsAreInUpstreamsWords() throws {
        let ruleset = try compile(text)
        #expect(throws: DynamicRulesetError.rulesetNotFound("z")) { try ruleset.adding(rule: "pass all", to: "z") }
        #expect(throws: DynamicRulesetError.rulesetNotFound("z")) { try ruleset.flushing("z") }
        #expect(throws: DynamicRulesetError.rulesetNotFound("z")) { try ruleset.dynamicRules(of: "z") }
        #expect(throws: DynamicRulesetError.ruleNotFound) { try ruleset.removing(id: 5, from: "x") }
        #expect(throws: DynamicRulesetError.ruleNotFound) { try ruleset.removing(rule: "pass all", from: "x") }
        #expect("\(DynamicRulesetError.rulesetNotFound("z"))" == "ruleset \"z\" not found")
        #expect("\(DynamicRulesetError.ruleNotFound)" == "rule was not found")
        let long = "pass from { \(Array(repeating: "10.0.0.1", count: 200).joined(separator: ", ")) }"
        #expect(throws: DynamicRulesetError.self) { try ruleset.adding(rule: long, to: "x") }
    }

    @Test func reloadsKeepTheRulesOfRulesetsOfTheSameName() throws {
        var former = try compile(text)
        former = try former.adding(rule: "block on eth5 from <t>", to: "x").ruleset
        former = try former.adding(rule: "block from 10.0.0.1", to: "x").ruleset
        former = try former.adding(rule: "block all", to: "y").ruleset
        #expect(former.interfaceNames == ["eth0", "eth5"])
        let (same, lost) = try compile(text).adoptingDynamicRules(from: former)
        #expect(lost.isEmpty)
        #expect(try same.dynamicRules(of: "x") == former.dynamicRules(of: "x"))
        #expect(decision(same, "10.0.0.1") == "2 1 block")
        let (less, gone) = try compile("group default { ruleset \"x\" }").adoptingDynamicRules(from: former)
        #expect(gone.map(\.text) == ["block on eth5 from <t>"], "its table is gone")
        #expect(try less.dynamicRules(of: "x").map(\.text) == ["block from 10.0.0.1"])
    }
}
