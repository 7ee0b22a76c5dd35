import ConfigLanguage
import Testing

/// The errors of a text, a line each.
func message(_ text: String) -> String {
    do throws(ConfigurationErrors) {
        _ = try Configuration(parsing: Array(text.utf8), file: "f")
        return "no error"
    } catch {
        return error.diagnostics.map(\.description).joined(separator: "\n")
    }
}

/// What the parser says to what is wrong outside of rules: the place and what would be right.
struct DiagnosticTests {
    /// The text of a file with LINE:COLUMN: MESSAGE.
    @Test(arguments: fileCases)
    func files(_ text: String, _ expected: String) {
        #expect(message(text) == "f:\(expected)")
    }

    private static let notAMask =
        "`flow.mark` is two or more bits of 32 that stand together, such as `0xc0000000`, or 0"

    private static let fileCases: [(String, String)] = [
        ("", "1:1: there is no default group; end the file with `group default { block all }`"),
        (
            "group default { pass all",
            "1:25: the group of line 1 has no `}`, and here is the end of the file"
        ),
        (
            "group default {\npass all\ngroup \"a\" {\npass all\n}",
            "5:2: the group of line 1 has no `}`, and here is the end of the file"
        ),
        (
            "\u{FEFF}group default { }",
            "1:1: a byte order mark; save the file without it"
        ),
        ("group default { pass all }}", "1:27: expected the end of the line after `}`, not `}`"),
        ("group default { pass all } pass all", "1:28: expected the end of the line after `}`, not `pass`"),
        (
            "grup default { }",
            "1:1: expected `$variable =`, `set`, `alg`, `table`, `procedure`, `include` or `group`, not `grup`; did you mean `group`?"
        ),
        ("pass all", "1:1: a rule stands inside a group, as in `group default { … }`"),
        ("group x { }", "1:7: expected `default` or a name in quotes after `group`, not `x`"),
        (
            "group \"a\" { }\ngroup \"b\" { }",
            "2:14: there is no default group; end the file with `group default { block all }`"
        ),
        ("group default { }\ngroup default { }", "2:7: there is a default group already, and only one can be"),
        ("group \"x\" { group default { } }", "1:19: the default group stands at the top level, not inside a group"),
        ("group default on lo { }", "1:15: expected `{` after `default`, not `on`"),
        ("group default\n{ }", "1:14: expected `{` after `default`, not the end of the line"),
        ("group \"a\" on lo in { }", "1:17: expected `{` after `lo`, not `in`"),
        (
            "group \"a\" forw { }",
            "1:11: `forw`: a forwarded packet is decided `in` on one interface and `out` on another; write one of these"
        ),
        (
            "group \"a\" layer-2 { block ether all }",
            "1:11: `layer-2`: only IP packets come here; filter frames with a table of nftables for `bridge` or `netdev`"
        ),
        ("group \"a\tb\" { }", "1:7: a name is one line of text without control characters"),
        ("include \"x\"", "1:9: cannot read x: there are no other files here"),
        ("table <t> lpm", "1:11: expected `type` after `<t>`, not `lpm`"),
        ("table t type lpm", "1:7: expected a table's name, such as `<blocked>`, after `table`, not `t`"),
        ("table <1> type lpm", "1:7: expected a table's name, such as `<blocked>`, after `table`, not `<`"),
        ("table <t> type lmp", "1:16: expected `ipset`, `lpm` or `const` after `type`, not `lmp`; did you mean `lpm`?"),
        (
            "table <t> type const",
            "1:7: a constant table never changes, so it needs its contents: `file \"…\"`"
        ),
        (
            "table <t> type lpm\ntable <t> type lpm",
            "2:7: there is a table `<t>` already; give this one another name"
        ),
        ("alg icmp", "1:5: expected the name of a gateway in quotes after `alg`, not `icmp`"),
        ("alg \"icmp\"\nalg \"icmp\"", "2:5: `alg \"icmp\"` stands here twice"),
        (
            "alg \"pptp\"",
            "1:5: `alg \"pptp\"`: there is `alg \"icmp\"` alone; for other protocols let the kernel's connection tracking "
                + "pass what belongs together, with a `ct helper` of nftables"
        ),
        (
            "map eth0 dynamic 10.0.0.1 -> 10.0.0.2",
            "1:1: `map`: addresses are translated by the kernel, not here; use a nat chain of nftables, with "
                + "`masquerade`, `snat to` or `dnat to`"
        ),
        ("ruleset \"x\"", "1:1: a ruleset stands inside a group, as in `group default { … }`"),
        (
            "group default { ruleset \"x\"; ruleset \"x\" }",
            "1:38: there is a ruleset `\"x\"` already; give this one another name"
        ),
        (
            "group default { ruleset \"map:x\" }",
            "1:25: names that begin with `map:` are for rulesets of address translation, which the kernel does"
        ),
        ("group default { ruleset x }", "1:25: expected a ruleset's name in quotes after `ruleset`, not `x`"),
        ("$a 5", "1:4: expected `=` after `$a`, not `5`"),
        ("$ = 5", "1:1: expected the name of a variable after `$`"),
        ("$a = { }", "1:8: expected a value after `{`, not `}`"),
        ("$a = { 1, 2", "1:12: expected `,` or `}` after `2`, not the end of the file"),
        ("$a = { 1 2 }", "1:10: expected `,` or `}` after `1`, not `2`"),
        ("$a = { { 1 } }", "1:8: expected a value after `{`, not `{`"),
        ("$a = any", "1:6: `any` is a word of the language; as a name it needs quotes"),
        ("$a = 99999999999999999999", "1:6: the number `99999999999999999999` is too large"),
        ("$a = 10x", "1:6: `10x` is no number; put a name that begins with a digit in quotes"),
        ("$a = 0x", "1:6: `0x` is no hexadecimal number of at most 64 bits"),
        ("$a = \"abc", "1:6: a string without its closing `\"`"),
        ("$a = { $b }", "1:8: the variable `$b` is not defined before this; `$b = …` defines it"),
        ("$a = 1 - x", "1:10: expected a number after `-`, not `x`"),
        ("$a = 1\n$a = $a", "2:6: `$a` is a part of itself"),
        ("$a = 1\n$b = { $a }\n$a = { 2, $b }", "2:8: `$a` is a part of itself"),
        (
            "$a = <t>",
            "1:6: the table `<t>` is not defined before this; `table <t> type ipset` defines it"
        ),
        (
            "$a = 00:11:22:33:44:55",
            "1:6: `00:11:22:33:44:55`: only IP packets come here; filter frames with a table of nftables for `bridge` or "
                + "`netdev`"
        ),
        ("$a = inet4 lo", "1:12: expected `(` after `inet4`, not `lo`"),
        ("$a = @", "1:6: the character `@` has no meaning outside a string"),
        ("$a = é", "1:6: the character 0xc3 has no meaning outside a string"),
        ("set fail open\r\n", "1:14: a carriage return; save the file with Unix line ends"),
        ("$a = 1 \\ \n", "1:8: a `\\` continues a line only as its last character"),
        (
            "set x 5",
            "1:5: the parameter `x` is unknown; npf.conf(5) lists them"
        ),
        ("set lua.memry 5m", "1:5: the parameter `lua.memry` is unknown; did you mean `lua.memory`?"),
        ("set fail maybe", "1:10: expected `open` or `closed` after `fail`, not `maybe`"),
        ("set fail opne", "1:10: expected `open` or `closed` after `fail`, not `opne`; did you mean `open`?"),
        ("set queue.number 65536", "1:18: `queue.number` is from 0 to 65535, which `65536` is not"),
        ("set queue.length 0", "1:18: `queue.length` is from 1 to 1048576, which `0` is not"),
        ("set queue.workers 65", "1:19: `queue.workers` is from 0 to 64, which `65` is not"),
        ("set queue.bytes 255", "1:17: `queue.bytes` is 0, or from 256 to 65531, which `255` is not"),
        ("set queue.bytes 64k", "1:17: `queue.bytes` is from 0 to 65531, which `64k` is not"),
        ("set flow.mark on", "1:15: expected a mask, such as `0xc0000000` after `flow.mark`, not `on`"),
        ("set flow.mark 4k", "1:15: expected a mask, such as `0xc0000000` after `flow.mark`, not `4k`"),
        ("set flow.mark 0x8", "1:15: \(notAMask)"),
        ("set flow.mark 0x5", "1:15: \(notAMask)"),
        ("set flow.mark 0x180000001", "1:15: \(notAMask)"),
        ("set flow.mark 0x180000000", "1:15: \(notAMask)"),
        ("set flow.mark 0xffffffffffffffff", "1:15: \(notAMask)"),
        ("set kernel.rules 2", "1:18: expected `on` or `off` after `kernel.rules`, not `2`"),
        ("set lua.time on", "1:14: expected a number after `lua.time`, not `on`"),
        ("set bpf.jit 2", "1:13: expected `on` or `off` after `bpf.jit`, not `2`"),
        (
            "set lua.memory 99999999999t",
            "1:16: `lua.memory` is from 65536 to 4294967296, which `99999999999t` is not"
        ),
        ("set queue.number -1", "1:18: expected a number after `queue.number`, not `-`"),
        ("set \"fail\" open", "1:5: expected a parameter's name after `set`, not `\"fail\"`"),
        ("procedure x { lua: }", "1:11: expected a procedure's name in quotes after `procedure`, not `x`"),
        ("procedure \"x\" { log: }", "1:22: expected a name, such as `npflog0`, or `file` after `:`, not `}`"),
        (
            "procedure \"x\" { log: nflog 5 }",
            "1:22: only the kernel writes to groups of nflog; write `log: file \"blocked.pcapng\"`"
        ),
        (
            "procedure \"x\" { log: file \"../x\" }",
            "1:27: the file is a plain path within the log directory, such as `\"blocked.pcapng\"`"
        ),
        (
            "procedure \"x\" { normalize: }",
            "1:28: expected `random-id`, `no-df`, `min-ttl` or `max-mss` after `:`, not `}`"
        ),
        ("procedure \"x\" { normalize: \"min-ttl\" 256 }", "1:38: `min-ttl` is from 0 to 255, which `256` is not"),
        ("procedure \"x\" { normalize: \"max-mss\" 66k }", "1:38: `max-mss` is from 0 to 65535, which `66k` is not"),
        ("procedure \"x\" { rndblock: }", "1:27: expected `mod` or `percentage` after `:`, not `}`"),
        ("procedure \"x\" { rndblock: mod 0 }", "1:31: `mod` is from 1 to 9223372036854775807, which `0` is not"),
        (
            "procedure \"x\" { rndblock: percentage 100 }",
            "1:38: `percentage` is from 0.01 to 99.99, with two decimals, which `100` is not"
        ),
        (
            "procedure \"x\" { rndblock: percentage 0.001 }",
            "1:38: `percentage` is from 0.01 to 99.99, with two decimals, which `0.001` is not"
        ),
        (
            "procedure \"x\" { rndblock: percentage 0.00 }",
            "1:38: `percentage` is from 0.01 to 99.99, with two decimals, which `0.00` is not"
        ),
        (
            "procedure \"x\" { rndblock: mod 5, percentage 5 }",
            "1:45: expected one of `mod` and `percentage` after `percentage`, not `5`"
        ),
        ("procedure \"x\" { ratelimit: \"normal-burst\" 5 }", "1:45: expected `bitrate` after `5`, not `}`"),
        (
            "procedure \"x\" { ratelimit: bitrate 0 }",
            "1:36: `bitrate` is from 1 to 1000000000000000, which `0` is not"
        ),
        (
            "procedure \"x\" { lau: call f }",
            "1:17: expected `lua:`, `log:`, `normalize:`, `rndblock:`, `ratelimit:` or `}` after `{`, not `lau`; did you mean "
                + "`lua`?"
        ),
        (
            "procedure \"x\" { lua: cal f }",
            "1:22: expected `call`, `file`, `error`, `edit`, `payload`, `inspect`, `instructions`, `memory`, `time` after `:`, not `cal`; "
                + "did you mean `call`?"
        ),
        ("procedure \"x\" { lua: call f, call g }", "1:30: `call` stands twice in this call"),
        ("procedure \"x\" { lua: call 5 }", "1:27: expected the name of a Lua function after `call`, not `5`"),
        ("procedure \"x\" { lua: call \"a b\" }", "1:27: `a b` is no name of a Lua function, such as `filter`"),
        (
            "procedure \"x\" { lua: file \"../x.lua\" }",
            "1:27: the script is a plain path within the script directory, such as `\"filter.lua\"`"
        ),
        (
            "procedure \"x\" { lua: file \"/x.lua\" }",
            "1:27: the script is a plain path within the script directory, such as `\"filter.lua\"`"
        ),
        (
            "procedure \"x\" { lua: file \"\" }",
            "1:27: the script is a plain path within the script directory, such as `\"filter.lua\"`"
        ),
        ("procedure \"x\" { lua: file x }", "1:27: expected a path in quotes after `file`, not `x`"),
        ("procedure \"x\" { lua: error drop }", "1:28: expected `block` or `pass` after `error`, not `drop`"),
        ("procedure \"x\" { lua: memory 1 }", "1:29: `lua.memory` is from 65536 to 4294967296, which `1` is not"),
        ("procedure \"x\" { lua: inspect 0 }", "1:30: `inspect` is from 1 to 1073741824, which `0` is not"),
        ("procedure \"x\" { lua: inspect 2g }", "1:30: `inspect` is from 1 to 1073741824, which `2g` is not"),
        ("procedure \"x\" { lua: inspect packets }", "1:30: expected a number after `inspect`, not `packets`"),
        (
            "procedure \"x\" { lua: inspect 5 bytes }",
            "1:32: expected `,` or the end of the line after `5`, not `bytes`"
        ),
        (
            "procedure \"x\" { lua: payload on }",
            "1:30: expected `,` or the end of the line after `payload`, not `on`"
        ),
        ("procedure \"x\" { lua: call f call g }", "1:29: expected `,` or the end of the line after `f`, not `call`"),
        (
            "procedure \"x\" { lua: }\nprocedure \"x\" { lua: }",
            "2:11: there is a procedure `\"x\"` already; give this one another name"
        ),
        ("procedure \"x\" { lua call f }", "1:21: expected `:` after `lua`, not `call`"),
        ("procedure \"x\"\n{ lua: }", "1:14: expected `{` after `\"x\"`, not the end of the line"),
        (
            "group default {\npass all }\n}",
            "3:1: expected `$variable =`, `set`, `alg`, `table`, `procedure`, `include` or `group`, not `}`"
        ),
        ("$v = 10.0.0.1\ngroup default { pass to any port $v }", "2:34: `$v` holds something else than ports"),
        ("$v = 22\ngroup default { pass from $v }", "2:27: `$v` holds something else than addresses"),
        (
            "$v = { 1, 70000 }\ngroup default { pass to any port $v }",
            "1:11: 70000 is no port: they go from 0 to 65535"
        ),
        ("$v = { lo, eth0 }\ngroup default { pass on $v all }", "2:25: one interface stands here, which `$v` is not"),
        ("$v = 9-3\ngroup default { pass to any port $v }", "1:6: no port is in the range 9-3; write 3-9"),
        ("$v = 10.0.0.5/24", "1:6: `10.0.0.5/24` has bits behind its prefix; the network is `10.0.0.0/24`"),
        (
            "$port = 1\ngroup default { pass to any port $prt }",
            "2:34: the variable `$prt` is not defined before this; did you mean `$port`?"
        ),
        (
            "procedure \"filter\" { lua: }\ngroup default { pass all apply \"fliter\" }",
            "2:32: the procedure `\"fliter\"` is not defined before this; did you mean `\"filter\"`?"
        ),
        (
            "$v = 300\ngroup default { pass proto icmp icmp-type $v all }",
            "2:43: 300 is not an ICMP type: these go from 0 to 255"
        ),
        (
            "$v = { fe80::1 }\ngroup default { pass from { 10.0.0.1, $v } }",
            "2:39: `fe80::1` is IPv6, and the rule is about the other family; write a rule for each"
        ),
    ]

    @Test func bytesOutsideOfASCII() {
        let bytes = Array("group \"".utf8) + [0xff] + Array("\" { }".utf8)
        let error = #expect(throws: ConfigurationErrors.self) { try Configuration(parsing: bytes, file: "f") }
        #expect(error?.diagnostics.first?.description == "f:1:7: a string that is not UTF-8")
        #expect(throws: Never.self) { try canonical("group default { pass all } # caf\u{e9}") }
    }

    @Test func placesCountLinesInStringsAndContinuations() {
        #expect(
            message("# one\n$a = \"x\ny\" z") == "f:3:4: expected the end of the line after `\"x\u{fffd}y\"`, not `z`")
        #expect(message("$a = \\\n  %") == "f:2:3: the character `%` has no meaning outside a string")
    }
}
