import ConfigLanguage
import Testing

/// The canonical form of `text`.
func canonical(_ text: String) throws -> String {
    try Configuration(parsing: Array(text.utf8), file: "npf.conf").text()
}

/// The canonical form of the only rule of a default group that holds `rule`, after the statements `before`.
func canonical(rule: String, after before: String = "") throws -> String {
    let text = "\(before)\ngroup default {\n\(rule)\n}\n"
    let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
    guard let group = configuration.groups.last, group.items.count == 1, case .rule(let parsed) = group.items[0] else {
        return "not one rule"
    }
    return parsed.text
}

struct LanguageTests {
    @Test(arguments: [
        ("pass all", "pass all"),
        ("block  in\tall", "block in all"),
        ("block return in final on eth0 all", "block return in final on eth0 all"),
        ("block return-rst quick all", "block return-rst final all"),
        ("block return-icmp out all", "block return-icmp out all"),
        ("pass on br-lan all", "pass on \"br-lan\" all"),
        ("pass on eth0.100 all", "pass on \"eth0.100\" all"),
        ("pass on veth0@if2 all", "pass on \"veth0@if2\" all"),
        ("pass on \"br-lan\" all", "pass on \"br-lan\" all"),
        ("pass on \"lo\" all", "pass on lo all"),
        ("pass on \"all\" all", "pass on \"all\" all"),
        ("pass on \"6to4\" all", "pass on \"6to4\" all"),
        ("pass family inet6 all", "pass family inet6 all"),
        ("pass proto tcp all", "pass proto tcp all"),
        ("pass proto 0x11 all", "pass proto udp all"),
        ("pass proto igmp all", "pass proto 2 all"),
        ("pass proto \"ipv6-icmp\" all", "pass proto ipv6-icmp all"),
        ("pass proto { icmp, ipv6-icmp, esp, 47 } all", "pass proto { icmp, ipv6-icmp, 50, 47 } all"),
        ("pass proto { tcp flags S/SA } all", "pass proto tcp flags S/SA all"),
        ("pass proto tcp flags S/SAFR all", "pass proto tcp flags S/FSRA all"),
        ("pass proto tcp flags EW/FSRPAUEW all", "pass proto tcp flags EW/FSRPAUEW all"),
        ("pass proto icmp icmp-type 8 code 0 all", "pass proto icmp icmp-type 8 code 0 all"),
        ("pass proto icmp icmp-type unreach code port-unr all", "pass proto icmp icmp-type 3 code 3 all"),
        ("pass proto ipv6-icmp icmp-type neighborsol all", "pass proto ipv6-icmp icmp-type 135 all"),
        ("pass from any to any", "pass all"),
        ("pass from 0.0.0.0/0", "pass all"),
        ("pass to ::/0", "pass all"),
        ("pass family inet4 from 0.0.0.0/0", "pass family inet4 all"),
        ("pass from { 10.0.0.1, 0.0.0.0/0 }", "pass all"),
        ("pass from 10.0.0.1", "pass from 10.0.0.1"),
        ("pass from 10.0.0.0/255.0.0.0", "pass from 10.0.0.0/8"),
        ("pass from 10.0.0.1/32", "pass from 10.0.0.1"),
        ("pass from ! 10.0.0.0/8 to ! { fe80::1 , }", nil),
        ("pass from ! fe80::/10 to { fe80::1 , }", "pass from ! fe80::/10 to fe80::1"),
        ("pass from 2001:DB8:0:0:0::1", "pass from 2001:db8::1"),
        ("pass from ::ffff:1.2.3.4", "pass from ::ffff:1.2.3.4"),
        ("pass from any port 53", "pass from any port 53"),
        ("pass to any port ssh", "pass to any port 22"),
        ("pass to any port \"ftp-data\"", "pass to any port 20"),
        ("pass to any port { 22, http, 8000-8010, }", "pass to any port { 22, 80, 8000-8010 }"),
        ("pass to any port http-443", "pass to any port 80-443"),
        ("pass to any port 0-65535", "pass to any port 0-65535"),
        ("pass from any port 1 to any port 2", "pass from any port 1 to any port 2"),
        ("pass from ! 10.0.0.1 port 22 to 10.0.0.2", "pass from ! 10.0.0.1 port 22 to 10.0.0.2"),
        ("pass proto { tcp, udp } from 10.0.0.1 port 53", "pass proto { tcp, udp } from 10.0.0.1 port 53"),
        ("pass in \\\n all", "pass in all"),
        ("pass from { # first\n\n10.0.0.1, # second\n 10.0.0.2,\n# none\n}", "pass from { 10.0.0.1, 10.0.0.2 }"),
        ("pass to any port {\n22\n,\n23\n}", "pass to any port { 22, 23 }"),
        ("pass proto {\ntcp,\nudp,\n} all", "pass proto { tcp, udp } all"),
    ])
    func rules(_ rule: String, _ expected: String?) throws {
        guard let expected else {
            #expect(throws: ConfigurationErrors.self) { try canonical(rule: rule) }
            return
        }
        let text = try canonical(rule: rule)
        #expect(text == expected)
        #expect(try canonical(rule: text) == expected, "printing is canonical")
    }

    @Test func wholeConfiguration() throws {
        let text = """
            # comment
            set fail open; set lua.memory 16m
            set queue.length 2k   # packets
            set queue.workers 4; set queue.bytes 2k
            set lua.instructions 0x100
            set flow.mark 0x00FF0000

            $if = "br-lan"
            procedure "ssh" { lua: file "ssh/filter.lua", call banner, time 5, error pass, memory 64k }
            procedure "plain" {
              lua:

            }
            procedure "banner" { lua: inspect 4k, payload; lua: inspect 3 packets, edit off }
            group default {
            }
            group "a" in on $if {
              pass all apply "ssh"; block all
              group "b" { }
            }

            """
        let expected = """
            set fail open
            set lua.memory 16777216
            set queue.length 2000
            set queue.workers 4
            set queue.bytes 2048
            set lua.instructions 256
            set flow.mark 0xff0000

            procedure "ssh" {
            \tlua: call banner, file "ssh/filter.lua", error pass, memory 65536, time 5
            }

            procedure "plain" {
            \tlua: call filter
            }

            procedure "banner" {
            \tlua: call filter, payload, inspect 4096
            \tlua: call filter, edit off, inspect 3 packets
            }

            group "a" in on "br-lan" {
            \tpass all apply "ssh"
            \tblock all
            \tgroup "b" {
            \t}
            }

            group default {
            }

            """
        #expect(try canonical(text) == expected)
        #expect(try canonical(expected) == expected)
    }

    @Test func annotationsAreCommentsOnTheLinesOfEntries() throws {
        let text = "group default { pass all }\ngroup \"a\" { block all; group \"b\" { pass all } }\n"
        let configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
        let shown = configuration.text { $0 == 3 ? "" : "entry \($0)" }
        #expect(
            shown == """
                group "a" {  # entry 1
                \tblock all  # entry 2
                \tgroup "b" {
                \t\tpass all  # entry 4
                \t}
                }

                group default {  # entry 5
                \tpass all  # entry 6
                }

                """)
        #expect(try canonical(shown) == configuration.text())
    }

    @Test func groupsNestSixteenLevels() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "group \"g\" { ", count: depth) + "pass all" + String(repeating: " }", count: depth)
                + "\ngroup default { }\n"
        }
        #expect(throws: Never.self) { try canonical(nested(16)) }
        #expect(throws: ConfigurationErrors.self) { try canonical(nested(17)) }
        #expect(throws: ConfigurationErrors.self) { try canonical(nested(100_000)) }
    }

    @Test(arguments: [
        ("0:0:0:0:0:0:0:0", "::"), ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("1:0:0:2::", "1:0:0:2::"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("::1.2.3.4", "::102:304"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ("ABCD::0001", "abcd::1"), ("255.255.255.255", "255.255.255.255"), ("0.0.0.0", "0.0.0.0"),
    ])
    func addressesPrintCanonically(_ written: String, _ expected: String) throws {
        #expect(try canonical(rule: "pass from \(written)") == "pass from \(expected)")
    }

    @Test(arguments: [
        "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1:2:3:4:5:6:7:8", ":::", "1:::2", "::12345", "1::2:",
        "::1.2.3",
        "::1.2.3.256", "1:2:3:4:5:6:7:1.2.3.4", "10.0.0", "10.0.0.256", "10.0.0.01", "010.0.0.1", "10..0.1",
        "1.2.3.4.5",
        "10.0.0.1a", "::1g", "1.2",
    ])
    func malformedAddressesAreRefused(_ written: String) {
        #expect(throws: ConfigurationErrors.self, "\(written)") { try canonical(rule: "pass from \(written)") }
    }
}
