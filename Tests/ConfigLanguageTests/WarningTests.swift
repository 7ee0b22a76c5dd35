import ConfigLanguage
import Testing

struct WarningTests {
    private func warnings(_ text: String) throws -> [String] {
        try Configuration.parse(Array(text.utf8), file: "f") { _ in [] }.warnings
            .map { "\($0.line):\($0.column): \($0.message)" }
    }

    /// What is odd, with what is said about it.
    @Test(arguments: [
        ("$a = 1\n$b = $a\n$c = 2\ngroup default { pass to any port $b }", ["3:1: nothing uses the variable `$c`"]),
        ("table <t> type lpm\ngroup default { pass all }", ["1:7: no rule looks into the table `<t>`"]),
        ("procedure \"p\" { lua: }\ngroup default { pass all }", ["1:11: no rule applies the procedure `\"p\"`"]),
        ("procedure \"p\" { }\ngroup default { pass all apply \"p\" }", ["1:11: the procedure `\"p\"` does nothing"]),
        (
            "procedure \"p\" { log: x; lua: }\ngroup default { pass in all; pass out all; block from 10.0.0.1 apply \"p\" }",
            [
                "2:44: the packet is blocked whatever the script of `\"p\"` says: scripts turn a pass into a block, never the "
                    + "reverse"
            ]
        ),
        (
            "table <a> type hash\ntable <b> type tree dynamic\ntable <c> type cdb file \"f\"\n"
                + "group default { pass from { <a>, <b>, <c> } }",
            [
                "1:16: `hash` is called `ipset` today", "2:16: `tree` is called `lpm` today",
                "2:21: `dynamic` says nothing: each table without `file` is filled while it is used",
                "3:16: `cdb` is called `const` today",
            ]
        ),
        (
            "set bpf.jit off\ngroup default { pass all }",
            ["1:5: `bpf.jit` says nothing here: rules are always compiled"]
        ),
        (
            "set ip4.reassembly on\ngroup default { pass all }",
            [
                "1:5: `ip4.reassembly` says nothing here: the kernel puts fragments together before it hands packets over"
            ]
        ),
        (
            "group default { pass all; block stateful from 10.0.0.1 }",
            ["1:33: a packet that is blocked makes no state"]
        ),
        (
            "group \"a\" in { pass out all; pass in all; group \"b\" out { pass all } }\ngroup default { pass out all }",
            [
                "1:16: no packet comes to this rule: it is about `out`, its group about `in`",
                "1:43: no packet comes to this group: it is about `out`, its group about `in`",
            ]
        ),
        (
            "group \"a\" on eth0 { pass on eth1 all; ruleset \"r\" on eth1 }\ngroup default { pass all }",
            [
                "1:21: no packet comes to this rule: it is about `eth1`, its group about `eth0`",
                "1:39: no packet comes to this ruleset: it is about `eth1`, its group about `eth0`",
            ]
        ),
        // As in NPF, which makes no criterion of them.
        (
            "group default { pass from 0.0.0.0/0; pass to { ::/0 } port 22 }",
            [
                "1:27: `0.0.0.0/0` is `any` as in NPF, of both families; say `family inet4` for this one alone",
                "1:46: `::/0` is `any` as in NPF, of both families; say `family inet6` for this one alone",
            ]
        ),
        // Decided after, decided before.
        (
            "group default {\nblock proto tcp to 10.0.0.1 port 22\npass all\n}",
            ["2:1: this rule never decides: the rule at f:3 takes all its packets after it"]
        ),
        (
            "group default {\npass final from 10.0.0.0/8\nblock in from 10.1.0.0/16\n}",
            ["3:1: this rule never decides: the rule at f:2 takes all its packets before"]
        ),
        (
            "group default {\npass all\ngroup \"x\" { block all }\nblock from 10.0.0.1\n}",
            [
                "3:1: no packet comes to this group: the rule at f:2 decides about them all",
                "4:1: this rule never decides: the rule at f:2 takes all its packets before",
            ]
        ),
        (
            "group \"a\" { pass all }\ngroup default { block all }",
            ["2:1: no packet comes to this group: the rule at f:1 decides about them all"]
        ),
        (
            "group default { pass in all; block out all }",
            ["1:1: nothing passes out: all rules that pass packets are about others, or there are none"]
        ),
        (
            "group default { }",
            ["1:1: nothing passes: all rules that pass packets are about others, or there are none"]
        ),
    ])
    func odd(_ text: String, _ expected: [String]) throws {
        #expect(try warnings(text) == expected, "\(text)")
    }

    /// What resembles the odd and is not.
    @Test(arguments: [
        "group default { pass all; block proto tcp to 10.0.0.1 port 22 }",
        "group default { pass all; block family inet6 to ::/0 port 22; block from 0.0.0.0/0 to 10.0.0.1 }",
        "group default { pass stateful out all; block in all }",
        "group default { block in all; pass out all; ruleset \"x\" in }",
        "group default { block proto tcp flags S/SA all; pass proto tcp flags S/S all; pass in all; pass out final to 1.1.1.1 }",
        "group default { block to any port 22; pass proto tcp all; pass proto udp to any port 1-21; pass in from 1.1.1.1 }",
        "group default { pass to any port 22; block proto 47 all }",
        "group default { pass from 10.0.0.0/8; block from ! 10.0.0.1; pass in from 10.0.0.0/16; block from fe80::/10 }",
        "group default { block proto tcp all; pass stateful all }",
        "group default { block all lua-filter \"x\"; pass proto tcp all; pass proto udp all lua-filter \"y\" }",
        "group default { block proto tcp all; pass all lua-filter \"x\"; pass pcap-filter \"tcp\" }",
        "group \"a\" in on eth0 { pass all }\ngroup \"b\" in on eth1 { pass all }\ngroup default { pass out all }",
        "group default { pass in all; group \"x\" out { pass all }; block out from 10.0.0.1 }",
        "group default { block proto icmp icmp-type 8 code 0 all; pass proto icmp icmp-type 3 all; pass in from 1.1.1.1 }",
    ])
    func sensible(_ text: String) throws {
        #expect(try warnings(text) == [], "\(text)")
    }
}
