import ConfigLanguage
import Testing

struct VariableTests {
    @Test(arguments: [
        ("$a = 10.0.0.1", "pass from $a", "pass from 10.0.0.1"),
        ("$a = 10.0.0.0/8", "pass from ! $a", "pass from ! 10.0.0.0/8"),
        ("$a = {\n 10.0.0.1, # one\n 10.0.0.2,\n}", "pass from $a", "pass from { 10.0.0.1, 10.0.0.2 }"),
        ("$a = 10.0.0.1\n$x = { $a, 10.0.0.5 }\n$a = 10.0.0.2", "pass from $x", "pass from { 10.0.0.2, 10.0.0.5 }"),
        (
            "$a = { 10.0.0.1, 10.0.0.2 }\n$b = { $a, 10.0.0.3 }", "pass from ! { $b, 10.0.0.4 }",
            "pass from ! { 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4 }"
        ),
        (
            "$p = { 22, http, 8000-8010, \"https\" }", "pass to any port { $p, 99 }",
            "pass to any port { 22, 80, 8000-8010, 443, 99 }"
        ),
        ("$p = http-alt", "pass to any port $p", "pass to any port 8080"),
        ("$p = 5-9", "pass to any port $p", "pass to any port 5-9"),
        ("$e = eth0.100", "pass on $e all", "pass on \"eth0.100\" all"),
        ("$e = { \"lo\" }", "pass on $e all", "pass on lo all"),
        ("$t = echo\n$c = 0", "pass proto icmp icmp-type $t code $c all", "pass proto icmp icmp-type 8 code 0 all"),
        ("$in = 10.0.0.1", "pass from $in", "pass from 10.0.0.1"),
        ("$a = 1\n$b = $a\n$a = 2\n$b = 3\n$a = $b", "pass to any port $a", "pass to any port 3"),
    ])
    func values(_ definitions: String, _ rule: String, _ expected: String) throws {
        #expect(try canonical(rule: rule, after: definitions) == expected)
    }

    @Test func expansionIsBounded() throws {
        // Each variable is twice the one before it: 2^40 addresses in forty lines.
        var text = "$v0 = { 10.0.0.1, 10.0.0.2 }\n"
        for index in 1..<40 { text += "$v\(index) = { $v\(index - 1), $v\(index - 1) }\n" }
        let error = #expect(throws: ConfigurationErrors.self) { try canonical(rule: "pass from $v39", after: text) }
        #expect(error?.diagnostics.first?.description == "npf.conf:43:11: `$v39` expands to more than 65536 values")
        #expect(throws: Never.self) { try canonical(rule: "pass from $v5", after: text) }
    }

    @Test func expansionOfTheWholeFileIsBounded() throws {
        var text = "$a = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }\n$b = { $a, $a, $a, $a, $a, $a, $a, $a, $a, $a }\n"
        text += "$c = { $b, $b, $b, $b, $b, $b, $b, $b, $b, $b }\ngroup default {\n"
        text += String(repeating: "pass to any port $c\n", count: 2_000) + "}\n"
        let error = #expect(throws: ConfigurationErrors.self) { try canonical(text) }
        #expect(error?.diagnostics.first?.message == "the variables of this file expand to more than 1048576 values")
    }

    @Test func longChainsExpandWithoutRecursion() throws {
        var text = "$v0 = 7\n"
        for index in 1..<50_000 { text += "$v\(index) = $v\(index - 1)\n" }
        #expect(try canonical(rule: "pass to any port $v49999", after: text) == "pass to any port 7")
    }
}
