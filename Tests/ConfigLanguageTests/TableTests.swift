import ConfigLanguage
import Foundation
import Testing

struct TableTests {
    @Test func namesAreWordsWithDashes() {
        for name in ["a", "A_1", "_x", "black-list"] { #expect(Configuration.Table.isName(name), "\(name)") }
        for name in ["", "1a", "-a", "a b", "a>", "<a>", "a.b", "\u{e9}", "a> x <b"] {
            #expect(!Configuration.Table.isName(name), "\(name)")
        }
    }

    @Test func typesHaveFormerNames() {
        let names = ["ipset", "hash", "lpm", "tree", "const", "cdb", "lpmm"]
        #expect(names.map { Configuration.TableType(name: $0) } == [.ipset, .ipset, .lpm, .lpm, .const, .const, nil])
    }

    @Test func replacedTableIsRenamedWhereverRulesNameIt() throws {
        let text = """
            table <a> type ipset
            table <b> type ipset
            group "g" {
            \tblock from { <a>, 10.0.0.1 } to ! <b>
            \tgroup "inner" {
            \t\tblock to { <b>, <a> }
            \t}
            }
            group default {
            \tpass from ! <a>
            }

            """
        func parse(_ text: String) throws -> Configuration { try Configuration(parsing: Array(text.utf8), file: "f") }
        let configuration = try parse(text)
        let expected = text.replacingOccurrences(of: "<a> type ipset", with: "<new-a> type lpm")
            .replacingOccurrences(of: "<a>", with: "<new-a>")
        #expect(configuration.replacingTable("a", with: "new-a", .lpm).text() == (try parse(expected)).text())
        #expect(configuration.replacingTable("c", with: "d", .lpm) == configuration)
    }
}
