import ConfigLanguage
import Testing

/// What the parser says to what is wrong: the place and what would be right.
struct DiagnosticTests {
    private func message(_ text: String) -> String {
        do throws(ConfigurationErrors) {
            _ = try Configuration(parsing: Array(text.utf8), file: "f")
            return "no error"
        } catch {
            return error.diagnostics.map(\.description).joined(separator: "\n")
        }
    }

    /// The text of a file with LINE:COLUMN: MESSAGE.
    @Test(arguments: fileCases)
    func files(_ text: String, _ expected: String) {
        #expect(message(text) == "f:\(expected)")
    }

    /// A line of the default group with COLUMN: MESSAGE.
    @Test(arguments: ruleCases)
    func rules(_ rule: String, _ expected: String) {
        #expect(message("group default {\n\(rule)\n}") == "f:2:\(expected)")
    }

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
        ("include \"x\"", "1:9: `x` cannot be read: there are no other files here"),
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
        ("$a = { $b }", "1:8: the variable `$b` is not defined before this"),
        ("$a = 1 - x", "1:10: expected a number after `-`, not `x`"),
        ("$a = 1\n$a = $a", "2:6: `$a` is a part of itself"),
        ("$a = 1\n$b = { $a }\n$a = { 2, $b }", "2:8: `$a` is a part of itself"),
        ("$a = <t>", "1:6: the table `<t>` is not defined before this"),
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
            "1:22: expected `call`, `file`, `error`, `edit`, `instructions`, `memory`, `time` after `:`, not `cal`; "
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

    private static let ruleCases: [(String, String)] = [
        ("pass", "5: a rule needs `all`, `from` or `to` before the end of the line; `all` takes every packet"),
        ("pass in", "8: a rule needs `all`, `from` or `to` before the end of the line; `all` takes every packet"),
        (
            "pass proto tcp",
            "15: a rule needs `all`, `from` or `to` before the end of the line; `all` takes every packet"
        ),
        (
            "pas all",
            "1: expected `pass`, `block`, `group`, `ruleset`, `include` or `}`, not `pas`; did you mean `pass`?"
        ),
        ("pass return all", "6: `return` follows `block`"),
        (
            "pass in stateful all",
            "9: `stateful` is out of place: a rule says its action, `stateful`, `in` or `out`, "
                + "`final`, `on`, `family`, `proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and "
                + "each once"
        ),
        ("block fnal all", "7: expected `all`, `from` or `to` after `block`, not `fnal`; did you mean `final`?"),
        (
            "pass final in all",
            "12: `in` is out of place: a rule says its action, `stateful`, `in` or `out`, "
                + "`final`, `on`, `family`, `proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and "
                + "each once"
        ),
        (
            "pass all final",
            "10: `final` is out of place: a rule says its action, `stateful`, `in` or `out`, "
                + "`final`, `on`, `family`, `proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and "
                + "each once"
        ),
        (
            "pass on lo final all",
            "12: `final` is out of place: a rule says its action, `stateful`, `in` or `out`, "
                + "`final`, `on`, `family`, `proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and "
                + "each once"
        ),
        (
            "pass to any from any",
            "13: `from` is out of place: a rule says its action, `stateful`, `in` or `out`, "
                + "`final`, `on`, `family`, `proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and "
                + "each once"
        ),
        ("pass apply \"x\" all", "6: a rule needs `all`, `from` or `to` before `apply`; `all` takes every packet"),
        (
            "pass all all",
            "10: `all` is out of place: a rule says its action, `stateful`, `in` or `out`, "
                + "`final`, `on`, `family`, `proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and "
                + "each once"
        ),
        ("pass all apply x", "16: expected a procedure's name in quotes after `apply`, not `x`"),
        ("pass all apply \"x\"", "16: the procedure `\"x\"` is not defined before this"),
        (
            "pass in out all",
            "9: `out` is out of place: a rule says its action, `stateful`, `in` or `out`, "
                + "`final`, `on`, `family`, `proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and "
                + "each once"
        ),
        ("pass on all", "9: `all` is a word of the language; as a name it needs quotes"),
        ("pass on $x all", "9: the variable `$x` is not defined before this"),
        (
            "pass on abcdefghijklmnop all",
            "9: `abcdefghijklmnop` is no interface name: at most 15 bytes without blanks, quotes, `/` and `:`"
        ),
        ("pass on \"a/b\" all", "9: `a/b` is no interface name: at most 15 bytes without blanks, quotes, `/` and `:`"),
        ("pass on \"\" all", "9: `` is no interface name: at most 15 bytes without blanks, quotes, `/` and `:`"),
        ("pass on inet4 all", "15: expected `(` after `inet4`, not `all`"),
        ("pass on 5 all", "9: expected an interface after `on`, not `5`"),
        ("pass family inet all", "13: expected `inet4` or `inet6` after `family`, not `inet`; did you mean `inet4`?"),
        (
            "pass family inet6 from 10.0.0.1",
            "24: `10.0.0.1` is IPv4, and the rule is about the other family; write a rule for each"
        ),
        (
            "pass proto tcp pcap-filter \"tcp\"",
            "16: `pcap-filter` stands instead of `family` and `proto`, which its expression can say"
        ),
        (
            "pass pcap-filter tcp",
            "18: expected an expression of pcap-filter(7) in quotes after `pcap-filter`, not `tcp`"
        ),
        ("pass all lua-filter x", "21: expected a path in quotes after `lua-filter`, not `x`"),
        ("pass all lua-filter \"x\" call 5", "30: expected the name of a Lua function after `call`, not `5`"),
        (
            "pass ether all",
            "6: `ether`: only IP packets come here; filter frames with a table of nftables for `bridge` or `netdev`"
        ),
        (
            "pass all user root",
            "10: `user`: who owns a packet's socket is not known here; match it with `meta skuid` of nftables"
        ),
        (
            "pass all group wheel",
            "10: `group`: who owns a packet's socket is not known here; match it with `meta skgid` of nftables"
        ),
        (
            "pass proto tcp user root to any",
            "16: `user`: who owns a packet's socket is not known here; match it with `meta skuid` of nftables"
        ),
        (
            "block log all",
            "7: `log` is a procedure's call: write `procedure \"log\" { log: npflog0 }`, and `apply \"log\"` at the end"
        ),
        ("pass all keep state", "10: connections are kept by `stateful` behind `pass`"),
        ("pass proto tpc all", "12: the protocol `tpc` is unknown; did you mean `tcp`?"),
        ("pass proto icmp6 all", "12: the protocol `icmp6` is unknown; did you mean `ipv6-icmp`?"),
        ("pass proto 256 all", "12: protocol numbers go from 0 to 255"),
        ("pass proto { tcp, udp } flags S/SA all", "25: `flags` goes with `proto tcp` alone"),
        (
            "pass proto { tcp flags S/SA, udp } all",
            "18: a list of protocols cannot have options; write a rule for each protocol"
        ),
        ("pass proto udp flags S/SA all", "16: `flags` goes with `proto tcp` alone"),
        ("pass proto tcp icmp-type 8 all", "16: `icmp-type` goes with `proto icmp` or `proto ipv6-icmp` alone"),
        ("pass proto tcp flags S all", "24: expected `/` and a mask, as in `flags S/SAFR`, after `S`, not `all`"),
        ("pass proto tcp flags s/sa all", "22: `s` is no TCP flag; the flags are `FSRPAUEW`"),
        (
            "pass proto tcp flags SF/S all",
            "22: no packet matches these flags: those before `/` must be among those after it"
        ),
        ("pass proto icmp icmp-type 256 all", "27: 256 is not an ICMP type: these go from 0 to 255"),
        ("pass proto icmp icmp-type ecko all", "27: `ecko` is not an ICMP type; did you mean `echo`?"),
        (
            "pass proto icmp icmp-type 8 code port-unr all",
            "34: `port-unr` is not a code of ICMP type 8; write the number"
        ),
        ("pass proto $p all", "12: expected a protocol's name or number after `proto`, not `$p`"),
        ("pass flags S/SA all", "6: `flags` goes with `proto tcp` alone"),
        ("pass from", "10: expected an address after `from`, not the end of the line"),
        ("pass from ! any", "11: nothing matches `!` with all addresses; write `any` or other addresses"),
        ("pass to ! 0.0.0.0/0", "9: nothing matches `!` with all addresses; write `any` or other addresses"),
        ("pass from { any }", "13: expected an address after `{`, not `any`"),
        ("pass from { !10.0.0.1 }", "13: `!` stands before a whole list, not inside it"),
        ("pass from { }", "13: expected an address after `{`, not `}`"),
        ("pass from 10.0.0.1/33", "20: an IPv4 prefix has at most 32 bits, not 33"),
        ("pass from fe80::/129", "18: an IPv6 prefix has at most 128 bits, not 129"),
        (
            "pass from 10.0.0.0/255.0.255.0",
            "20: the mask `255.0.255.0` has gaps; write a prefix's length, such as `/24`"
        ),
        ("pass from 10.0.0.0/ffff::", "20: expected a prefix's length after `/`, not `ffff::`"),
        ("pass from 10.1.1.5/24", "11: `10.1.1.5/24` has bits behind its prefix; the network is `10.1.1.0/24`"),
        (
            "pass from 10.0.0.1/255.255.255.0",
            "11: `10.0.0.1/24` has bits behind its prefix; the network is `10.0.0.0/24`"
        ),
        (
            "pass from 2001:db8::1/64",
            "11: `2001:db8::1/64` has bits behind its prefix; the network is `2001:db8::/64`"
        ),
        ("pass from 10/8", "11: expected an address after `from`, not `10`"),
        ("pass from 10.0/8", "11: `10.0` is no address: it has four numbers up to 255 without leading zeros"),
        ("pass from 010.0.0.1", "11: `010.0.0.1` is no address: it has four numbers up to 255 without leading zeros"),
        (
            "pass from fe80::1::2",
            "11: `fe80::1::2` is no address: it has eight groups of hexadecimal digits, or `::` for the "
                + "groups of zeros"
        ),
        (
            "pass from { 10.0.0.1, fe80::1 }",
            "23: `fe80::1` is IPv6, and the rule is about the other family; write a rule for each"
        ),
        (
            "pass from 10.0.0.1 to fe80::1",
            "23: `fe80::1` is IPv6, and the rule is about the other family; write a rule for each"
        ),
        ("pass from $nope", "11: the variable `$nope` is not defined before this"),
        ("pass from 5", "11: expected an address after `from`, not `5`"),
        ("pass from example.com", "11: expected an address, not `example.com`; names of hosts are not resolved"),
        ("pass from localhost", "11: expected an address, not `localhost`; names of hosts are not resolved"),
        ("pass to port 53", "9: expected an address before `port`; `any port …` takes those of every address"),
        ("pass from <t>", "11: the table `<t>` is not defined before this"),
        (
            "pass family inet6 from inet4(lo)",
            "24: `inet4(lo)` is IPv4, and the rule is about the other family; write a rule for each"
        ),
        (
            "pass from 10.0.0.1 from any",
            "20: `from` is out of place: a rule says its action, `stateful`, `in` or `out`, "
                + "`final`, `on`, `family`, `proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and "
                + "each once"
        ),
        ("pass to any port 70000", "18: 70000 is no port: they go from 0 to 65535"),
        ("pass to any port 10-5", "18: no port is in the range 10-5; write 5-10"),
        ("pass to any port { 1, 10-5 }", "23: no port is in the range 10-5; write 5-10"),
        ("pass to any port $nope", "18: the variable `$nope` is not defined before this"),
        ("pass to any port htp", "18: the port name `htp` is unknown; did you mean `http`?"),
        (
            "pass to any port nosuchservice",
            "18: the port name `nosuchservice` is unknown; write its number, or quote a name with `-`"
        ),
        (
            "pass to any port ftp-data",
            "22: the port name `data` is unknown; write its number, or quote a name with `-`"
        ),
        ("pass to any port > 1024", "18: expected a port after `port`, not `>`"),
        ("pass to any ! port 22", "13: expected the end of the line after `any`, not `!`"),
        ("pass to any port ! 22", "18: `!` stands before addresses only, not before ports"),
        ("pass to any port 1-2-3", "21: expected the end of the line after `2`, not `-`"),
        (
            "pass proto icmp to any port 22",
            "24: `port` goes with `proto tcp`, `proto udp` or `proto { tcp, udp }`, not with protocol 1"
        ),
        (
            "pass proto { tcp, icmp } from any port 22",
            "35: `port` goes with `proto tcp`, `proto udp` or `proto { tcp, udp }`, not with protocol 1"
        ),
        (
            "pass proto 47 from any port 1 to any port 2",
            "24: `port` goes with `proto tcp`, `proto udp` or `proto { tcp, udp }`, not with protocol 47"
        ),
        ("pass port 22", "6: `port` follows an address, as in `to any port 22`"),
        ("pass to any port any", "18: the port name `any` is unknown; write its number, or quote a name with `-`"),
        ("set fail open", "1: `set` stands outside of groups"),
        ("stateful", "1: expected `pass`, `block`, `group`, `ruleset`, `include` or `}`, not `stateful`"),

        (
            "pass all log",
            "10: `log` is a procedure's call: write `procedure \"log\" { log: npflog0 }`, and `apply \"log\"` at the end"
        ),
        ("$x = 1", "1: `$x` stands outside of groups"),
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
