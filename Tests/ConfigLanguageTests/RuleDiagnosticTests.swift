import Testing

/// What the parser says to what is wrong in a rule.
struct RuleDiagnosticTests {
    /// A line of the default group with COLUMN: MESSAGE.
    @Test(arguments: ruleCases)
    func rules(_ rule: String, _ expected: String) {
        #expect(message("group default {\n\(rule)\n}") == "f:2:\(expected)")
    }

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
        (
            "pass all apply \"x\"",
            "16: the procedure `\"x\"` is not defined before this; `procedure \"x\" { … }` defines it"
        ),
        (
            "pass in out all",
            "9: `out` is out of place: a rule says its action, `stateful`, `in` or `out`, "
                + "`final`, `on`, `family`, `proto`, `all` or `from` and `to`, `lua-filter` and `apply`, in this order and "
                + "each once"
        ),
        ("pass on all", "9: `all` is a word of the language; as a name it needs quotes"),
        ("pass on $x all", "9: the variable `$x` is not defined before this; `$x = …` defines it"),
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
        (
            "pass from $nope",
            "11: the variable `$nope` is not defined before this; `$nope = …` defines it"
        ),
        ("pass from 5", "11: expected an address after `from`, not `5`"),
        ("pass from example.com", "11: expected an address, not `example.com`; names of hosts are not resolved"),
        ("pass from localhost", "11: expected an address, not `localhost`; names of hosts are not resolved"),
        ("pass to port 53", "9: expected an address before `port`; `any port …` takes those of every address"),
        (
            "pass from <t>",
            "11: the table `<t>` is not defined before this; `table <t> type ipset` defines it"
        ),
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
        (
            "pass to any port $nope",
            "18: the variable `$nope` is not defined before this; `$nope = …` defines it"
        ),
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
}
