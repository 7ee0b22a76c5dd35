import ConfigLanguage
import Testing

/// Several mistakes are found in one run, each once, and none that follows from another.
struct RecoveryTests {
    /// A file with the lines and columns of its errors.
    @Test(arguments: [
        ("group default {\npas all\npass al\npass all\nblok all\n}", ["2:1", "3:6", "5:1"]),
        ("set x 1\nset y 2\ngroup default { }", ["1:5", "2:5"]),
        // What is defined by mistake is defined all the same.
        ("$a = { 10.0.0.1, % }\n$b = { $a, 10.0.0.2 }\ngroup default { pass from $a; pass from $b }", ["1:18"]),
        ("table <t> type lmp\ngroup default { pass from <t> }", ["1:16"]),
        ("procedure \"p\" { lua: cal f }\ngroup default { pass all apply \"p\" }", ["1:22"]),
        ("procedure \"p\" {\nlua: cal f\nlog: x\n}\ngroup default { pass apply \"p\" }", ["2:6", "5:22"]),
        // A group with a mistake in its header has members.
        ("group \"a\" onn eth0 {\npass al\n}\ngroup default { }", ["1:11", "2:6"]),
        ("group default\n{\npass al\n}\ngroup \"a\" { pas }", ["1:14", "3:6", "5:13"]),
        ("group \"x\" { group default { pass al } }\ngroup default { }", ["1:19", "1:34"]),
        // A list that is not closed ends where a statement begins.
        ("group default {\npass from { 10.0.0.1, 10.0.0.2\npass al\n}", ["3:1", "3:6"]),
        ("$a = { 1, 2\nset x 1\ngroup default { }", ["2:1", "2:5"]),
        ("group default {\npass from {\n10.0.0.1,\n%,\n10.0.0.2\n}\npass al\n}", ["4:1", "7:6"]),
        // What cannot be scanned takes the rest of its line with it, but no statement behind it.
        ("procedure \"p\" { ratelimit: bitrate 10x }\nmap x\ngroup default { }", ["1:36", "2:1"]),
        ("$a = { 10x\ninclude \"x\"\ngroup default { }", ["1:8", "2:9"]),
        // Strings, characters.
        ("group \"a {\n}\nset x 1\ngroup default { }", ["1:7", "3:5"]),
        ("group default {\npass % all\npass all \\ \n}", ["2:6", "3:10"]),
        // Braces.
        ("}\nset x 1\ngroup default { }", ["1:1", "2:5"]),
        ("grup \"a\" {\npass all\n}\nset x 1\ngroup default { }", ["1:1", "4:5"]),
        ("group \"a\" layer-2 {\nblock ether all\n}\nset x 1\ngroup default { }", ["1:11", "4:5"]),
        ("group default {\nset x 1\n$a = 1\npass al\n}", ["2:1", "3:1", "4:6"]),
        ("group default {\npass al", ["2:6", "2:8"]),
    ])
    func errors(_ text: String, _ places: [String]) {
        let error = #expect(throws: ConfigurationErrors.self) { try canonical(text) }
        #expect(error?.diagnostics.map { "\($0.line):\($0.column)" } == places, "\(text)")
    }

    @Test func theyAreAHundredAtMost() {
        let text = "group default {\n" + String(repeating: "pas\n", count: 1_000) + "}"
        let error = #expect(throws: ConfigurationErrors.self) { try canonical(text) }
        #expect(error?.diagnostics.count == 100)
    }

    @Test func aReportShowsTheLineAndThePlace() {
        let text = "group default {\n\tpass proto \u{e9}tcp all\n\tpass all %\n}"
        let error = #expect(throws: ConfigurationErrors.self) { try canonical(text) }
        #expect(
            error?.description == """
                npf.conf:2:13: the character 0xc3 has no meaning outside a string
                \t\tpass proto \u{e9}tcp all
                \t\t           ^
                npf.conf:3:11: the character `%` has no meaning outside a string
                \t\tpass all %
                \t\t         ^
                """)
        let place = SourceLocation(file: "x", line: 1, column: 1)
        #expect(Diagnostic(at: place, "wrong").report == "x:1:1: wrong", "no text, no line")
        #expect(Diagnostic(at: place, "odd", severity: .warning).description == "x:1:1: warning: odd")
    }
}
