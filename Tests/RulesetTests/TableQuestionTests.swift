import Ruleset
import Testing

struct TableQuestionTests {
    /// The questions in short: `from a`, `to b`.
    private func questions(_ ruleset: CompiledRuleset) -> [String] {
        let questions = ruleset.tableQuestions
        return (0..<questions.count).map { index in
            let name = ruleset.tables[Int(questions[index].table)].name
            return "\(questions[index].isAboutSource ? "from" : "to") \(name)"
        }
    }

    private let text = """
        table <a> type lpm
        table <b> type ipset
        table <c> type lpm
        table <d> type const file "/dev/null"
        group "g" in on eth0 { ruleset "x"; block from <b> to <a> }
        group default {
            pass all
            block in from { 10.0.0.0/8, <a>, <b> } port 80
            pass from ! <c> to <a>
            block to 192.0.2.1
            pass from <b>
        }
        """

    @Test func eachIsListedOnceInTheOrderOfTheRules() throws {
        #expect(questions(.empty) == [])
        #expect(questions(try compile("group default { pass from 10.0.0.0/8 to any port { 1, 2 } }")) == [])
        #expect(questions(try compile(text)) == ["from b", "to a", "from a", "from c"])
    }

    @Test func dynamicRulesAskToo() throws {
        let ruleset = try compile(text)
        let dynamic = try ruleset.adding(rule: "block from { <c>, <d> } to <d>", to: "x").ruleset
        #expect(questions(dynamic) == ["from b", "to a", "from a", "from c", "from d", "to d"])
        #expect(questions(try dynamic.flushing("x")) == questions(ruleset))
    }

    @Test func theFirstEightAreKnown() throws {
        let tables = (0..<6).map { "table <t\($0)> type lpm\n" }.joined()
        let rules = (0..<6).map { "pass from <t\($0)> to <t\(5 - $0)>\n" }.joined()
        #expect(
            questions(try compile("\(tables)group default {\n\(rules)}\n")) == [
                "from t0", "to t5", "from t1", "to t4", "from t2", "to t3", "from t3", "to t2",
            ])
    }
}
