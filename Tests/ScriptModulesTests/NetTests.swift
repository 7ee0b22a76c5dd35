import ConfigLanguage
import LuaRuntime
import Packet
import TestSupport
import Testing

@Suite struct NetTests {
    @Test(
        arguments: [
            ("net.parse('192.0.2.1')", "3221225985"), ("net.parse('0.0.0.0')", "0"),
            ("net.parse('255.255.255.255')", "4294967295"), ("math.type(net.parse('1.2.3.4'))", "integer"),
            ("net.parse('2001:db8::1')", "\u{20}\u{1}\u{d}\u{FFFD}\0\0\0\0\0\0\0\0\0\0\0\u{1}"),
            ("#net.parse('::')", "16"), ("net.parse('::1') == ('\\0'):rep(15) .. '\\1'", "true"),
            ("net.parse('::ffff:192.0.2.1') == net.parse('192.0.2.1')", "false"),
            ("net.parse('10.0.0.0/8')", "nil\t'10.0.0.0/8' is no IPv4 or IPv6 address"),
            ("net.parse('')", "nil\t'' is no IPv4 or IPv6 address"), ("(net.parse('10.1'))", "nil"),
            ("(net.parse('010.0.0.1'))", "nil"), ("(net.parse('fe80::1%eth0'))", "nil"), ("(net.parse(' ::1'))", "nil"),
            ("(net.parse('192.0.2.1\\0'))", "nil"), ("(net.parse(5))", "nil"), ("(net.parse(('1'):rep(1000)))", "nil"),
            ("#select(2, net.parse(('1'):rep(1000000)))", "93"),
        ] as [(String, String)])
    func parseReadsAddresses(expression: String, printed: String) throws {
        #expect(try Script.evaluate(expression) == printed)
    }

    @Test(
        arguments: [
            ("net.format(3221225985)", "192.0.2.1"), ("net.format(0)", "0.0.0.0"),
            ("net.format(4294967295)", "255.255.255.255"), ("net.format(1.0)", "0.0.0.1"),
            ("net.format(net.parse('2001:DB8:0:0:0::1'))", "2001:db8::1"),
            ("net.format(('\\0'):rep(16))", "::"),
            ("net.format(('\\255'):rep(16))", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("net.format(net.parse('::ffff:255.255.255.255'))", "::ffff:255.255.255.255"),
            ("net.format('2001:db8::abcd:1')", "3230:3031:3a64:6238:3a3a:6162:6364:3a31"),
        ] as [(String, String)])
    func formatWritesAddresses(expression: String, printed: String) throws {
        #expect(try Script.evaluate(expression) == printed)
    }

    private static let setup = """
        local set = net.set{ '10.0.0.0/8', '10.1.0.0/16', ['10.1.2.0/24'] = false, ['10.255.255.255'] = 'last',
          '255.0.0.0/8', '::/0', '2001:db8::/32', ['2001:db8::1'] = 7, 'ffff::/16', '::ffff:10.0.0.0/104' }
        local function match(text) return set:match(net.parse(text)) end
        """

    @Test(
        arguments: [
            ("match('9.255.255.255')", "nil"), ("match('10.0.0.0')", "10.0.0.0/8"),
            ("match('10.0.255.255')", "10.0.0.0/8"),
            ("match('10.1.0.0')", "10.1.0.0/16"), ("match('10.1.1.255')", "10.1.0.0/16"),
            ("match('10.1.2.0')", "false"),
            ("match('10.1.2.255')", "false"), ("match('10.1.3.0')", "10.1.0.0/16"),
            ("match('10.1.255.255')", "10.1.0.0/16"),
            ("match('10.2.0.0')", "10.0.0.0/8"), ("match('10.255.255.254')", "10.0.0.0/8"),
            ("match('10.255.255.255')", "last"), ("match('11.0.0.0')", "nil"), ("match('0.0.0.0')", "nil"),
            ("match('255.255.255.255')", "255.0.0.0/8"), ("match('254.255.255.255')", "nil"), ("match('::')", "::/0"),
            ("match('2001:db8::')", "2001:db8::/32"), ("match('2001:db8::1')", "7"),
            ("match('2001:db8::2')", "2001:db8::/32"),
            ("match('2001:db8:ffff:ffff:ffff:ffff:ffff:ffff')", "2001:db8::/32"),
            ("match('2001:db9::')", "::/0"), ("match('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')", "ffff::/16"),
            ("match('fffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff')", "::/0"),
            ("match('::ffff:10.1.2.3')", "::ffff:10.0.0.0/104"), ("set:match(0x0a000001)", "10.0.0.0/8"),
            ("#set", "10"),
            ("type(set)", "userdata"), ("tostring(set):match('^net.set: ') ~= nil", "true"),
            ("getmetatable(set)", "false"),
        ] as [(String, String)])
    func setFindsTheLongestNetwork(expression: String, printed: String) throws {
        #expect(try Script.evaluate(expression, setup: Self.setup) == printed)
    }

    @Test(
        arguments: [
            ("#net.set{}", "0"), ("net.set{}:match(0)", "nil"), ("net.set{}:match(('x'):rep(16))", "nil"),
            ("net.set{'0.0.0.0/0'}:match(4294967295)", "0.0.0.0/0"),
            ("net.set{'0.0.0.0/0'}:match(('x'):rep(16))", "nil"),
            // Host bits are cleared, the value stays as it was written.
            ("net.set{'10.9.8.7/8'}:match(0x0a000000)", "10.9.8.7/8"),
            // A list may say the same more than once; a network with a value of its own goes before.
            ("#net.set{'10.0.0.0/8', '10.1.1.1/8', '10.0.0.0/8'}", "1"),
            ("net.set{'10.0.0.0/8', '10.1.1.1/8'}:match(0x0a000000)", "10.0.0.0/8"),
            ("net.set{'10.0.0.0/8', ['10.0.0.1/8'] = 5}:match(0x0a000000)", "5"),
            ("net.set{['10.0.0.0/8'] = math}:match(0x0a000000) == math", "true"),
            ("net.set{nil, '10.0.0.0/8'}:match(0x0a000000)", "10.0.0.0/8"),
            ("net.set(setmetatable({}, {__index = error, __pairs = error, __len = error})):match(1)", "nil"),
            ("pcall(function() net.set{}.x = 1 end)", "false\ttest.lua:1: attempt to index a net.set value"),
        ] as [(String, String)])
    func setsAreMadeOfListsAndValues(expression: String, printed: String) throws {
        #expect(try Script.evaluate(expression) == printed)
    }

    @Test func setKeepsWhatItsTableHadThen() throws {
        #expect(
            try Script.evaluate(
                "set:match(0x0a000000), set:match(0x0b000000)",
                setup: "local t = {'10.0.0.0/8'} local set = net.set(t) t[1] = nil t[2] = '11.0.0.0/8'")
                == "10.0.0.0/8\tnil")
    }

    @Test(
        arguments: [
            // RFC 1071, section 3.
            ("net.checksum('\\x00\\x01\\xf2\\x03\\xf4\\xf5\\xf6\\xf7')", 0x220d), ("net.checksum('')", 0xffff),
            ("net.checksum('\\1')", 0xfeff), ("net.checksum('\\0\\1\\2')", 0xfdfe),
            ("net.checksum('\\0\\1', 1)", 0xfffd), ("net.checksum('', math.maxinteger)", 0x8000),
            ("net.checksum(data.new{0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7})", 0x220d),
            ("net.checksum(data.new{9, 0, 1, 9}:segment(1, 2))", 0xfffe),
            ("net.checksum('\\x00\\x01\\xf2\\x03\\xf4\\xf5\\xf6\\xf7\\x22\\x0d')", 0),
            ("net.checksum('\\xf4\\xf5\\xf6\\xf7', ~net.checksum('\\x00\\x01\\xf2\\x03') & 0xffff)", 0x220d),
            // The pseudo-header of RFC 793 for a UDP datagram of length 8 without data.
            (
                """
                net.checksum(string.pack('>I2I2I2I2', 1000, 2000, 8, 0),
                  ~net.checksum(string.pack('>I4I4I2I2', 0xc0000201, 0xc6336407, 17, 8)) & 0xffff)
                """, 2026
            ),
        ] as [(String, Int)])
    func checksumIsThatOfRFC1071(expression: String, value: Int) throws {
        #expect(try Script.evaluate(expression) == "\(value)")
    }

    @Test(
        arguments: [
            ("net.hton16(0x1234)", "\((0x1234 as UInt16).bigEndian)"),
            ("net.ntoh16(0x11234)", "\((0x1234 as UInt16).bigEndian)"),
            ("net.hton32(1)", "\((1 as UInt32).bigEndian)"), ("net.ntoh32(-1)", "4294967295"),
            ("net.hton64(1)", "\((1 as Int64).bigEndian)"), ("net.ntoh64(net.hton64(math.mininteger))", "\(Int64.min)"),
            ("net.ntoh16(net.hton16(0xabcd))", "\(0xabcd)"), ("net.ntoh32(net.hton32(0xabcdef01))", "\(0xabcd_ef01)"),
            ("net.hton16(4.0)", "1024"),
        ] as [(String, String)])
    func byteOrderIsSwapped(expression: String, printed: String) throws {
        #expect(try Script.evaluate(expression) == printed)
    }

    @Test(
        arguments: [
            ("net.service('ssh')", "22"), ("net.service(22)", "ssh"), ("net.service('www')", "80"),
            ("net.service(80)", "http"), ("net.service(514)", "syslog"), ("net.service('shell')", "514"),
            ("net.service(443.0)", "https"), ("net.service('nope')", "nil"), ("net.service('')", "nil"),
            ("net.service('ssh\\0')", "nil"), ("net.service('SSH')", "nil"), ("net.service('22')", "nil"),
            ("net.service(1)", "nil"), ("net.service(-1)", "nil"), ("net.service(65536 + 22)", "nil"),
            ("net.service(22.5)", "nil"), ("net.service(0 / 0)", "nil"), ("net.service(('x'):rep(1000000))", "nil"),
        ] as [(String, String)])
    func servicesHaveTheNamesOfTheLanguage(expression: String, printed: String) throws {
        #expect(try Script.evaluate(expression) == printed)
    }

    @Test func everyServiceIsKnownBothWays() throws {
        for (name, port) in WellKnown.services {
            #expect(try Script.evaluate("net.service('\(name)')") == "\(port)")
            let first = WellKnown.services.first { $0.value == port }!.key
            #expect(try Script.evaluate("net.service(\(port))") == first)
        }
    }

    @Test(
        arguments: [
            ("net.parse()", "bad argument #1 to 'parse' (string expected, got no value)"),
            ("net.parse({})", "bad argument #1 to 'parse' (string expected, got table)"),
            ("net.format()", "bad argument #1 to 'format' (address expected, got no value)"),
            ("net.format({})", "bad argument #1 to 'format' (address expected, got table)"),
            ("net.format(-1)", "bad argument #1 to 'format' (an IPv4 address is an integer from 0 to 4294967295)"),
            ("net.format(1 << 32)", "bad argument #1 to 'format' (an IPv4 address is an integer from 0 to 4294967295)"),
            ("net.format(0.5)", "bad argument #1 to 'format' (an IPv4 address is an integer from 0 to 4294967295)"),
            (
                "net.format('192.0.2.1')",
                "bad argument #1 to 'format' (an IPv6 address is a string of 16 bytes; net.parse reads text)"
            ),
            (
                "net.set{}:match('10.0.0.1')",
                "bad argument #1 to 'match' (an IPv6 address is a string of 16 bytes; net.parse reads text)"
            ),
            ("net.set{}:match(nil)", "bad argument #1 to 'match' (address expected, got nil)"),
            ("net.set{}.match({}, 1)", "bad argument #1 to 'match' (net.set expected, got table)"),
            ("net.set{}.match(data.new(100), 1)", "bad argument #1 to 'match' (net.set expected, got data)"),
            ("net.set()", "bad argument #1 to 'set' (table expected, got no value)"),
            ("net.set('10.0.0.0/8')", "bad argument #1 to 'set' (table expected, got string)"),
            ("net.set{7}", "net.set: expected networks like '192.0.2.0/24' as a list, not a number"),
            ("net.set{{}}", "net.set: expected networks like '192.0.2.0/24' as a list, not a table"),
            ("net.set{[true] = 1}", "net.set: expected networks like '192.0.2.0/24' as keys, not a boolean"),
            ("net.set{[1.5] = {}}", "net.set: expected networks like '192.0.2.0/24' as a list, not a table"),
            (
                "net.set{'10.0.0.0/8', '10.0.0.0/33'}",
                "net.set: '10.0.0.0/33' is no address or network, like '192.0.2.1' or '2001:db8::/32'"
            ),
            (
                "net.set{[('x'):rep(1000)] = 1}",
                "net.set: '\(String(repeating: "x", count: 64))' is no address or network, like '192.0.2.1' or '2001:db8::/32'"
            ),
            ("net.checksum()", "bad argument #1 to 'checksum' (string or data expected, got no value)"),
            ("net.checksum(5)", "bad argument #1 to 'checksum' (string or data expected, got number)"),
            ("net.checksum(net.set{})", "bad argument #1 to 'checksum' (string or data expected, got net.set)"),
            ("net.checksum('', -1)", "bad argument #2 to 'checksum' (a sum is not negative)"),
            ("net.checksum('', '1')", "bad argument #2 to 'checksum' (number expected, got string)"),
            ("net.checksum('', 0.5)", "bad argument #2 to 'checksum' (number has no integer representation)"),
            ("net.hton16('1')", "bad argument #1 to 'hton16' (number expected, got string)"),
            ("net.ntoh64(0.5)", "bad argument #1 to 'ntoh64' (number has no integer representation)"),
            ("net.service()", "bad argument #1 to 'service' (name or port of a service expected, got no value)"),
        ] as [(String, String)])
    func wrongArgumentsAreTold(expression: String, message: String) throws {
        let printed = try Script.evaluate("select(2, pcall(function() \(expression) end))")
        #expect(printed.hasSuffix(message), "\(expression): \(printed)")
        #expect(printed.hasPrefix("test.lua:1: "))
    }

    @Test func theSameNetworkWithTwoValuesIsRefused() throws {
        let printed = try Script.evaluate(
            "pcall(net.set, {['192.0.2.0/24'] = 1, ['10.0.0.0/8'] = 1, ['10.0.0.1/8'] = 2, '10.0.0.2/8'})")
        #expect(
            ["10.0.0.0/8", "10.0.0.1/8"].contains {
                printed == "false\tnet.set: the network of '\($0)' is there twice"
            },
            "\(printed)")
    }

    /// What takes long is paid for, whatever it is given: the instructions of these loops alone would not reach a limit.
    @Test(
        arguments: [
            ("local t = {} for i = 1, 5000 do t[i] = '10.0.0.1' end for i = 1, 10 do net.set(t) end", .instructions),
            ("local s = ('x'):rep(1 << 20) for i = 1, 100 do net.checksum(s) end", .instructions),
            ("local d = data.new(1 << 20) for i = 1, 100 do pcall(net.checksum, d) end", .instructions),
            ("for i = 1, 90000 do net.parse('2001:db8::1') end", .instructions),
            ("for i = 1, 90000 do net.format(1) end", .instructions),
            ("for i = 1, 60000 do net.service('nope') end", .instructions),
            ("local s = net.set{} for i = 1, 90000 do s:match(1) end", .instructions),
            ("for i = 1, 60000 do npf.log('info', i) end", .instructions),
            ("local s = {} while true do s[#s + 1] = net.set{'10.0.0.0/8'} end", .memory),
            ("local t = {} for i = 1, 40000 do t[i] = '10.0.0.1' end net.set(t)", .memory),
        ] as [(String, ScriptError.Kind)])
    func limitsHold(source: String, limit: ScriptError.Kind) throws {
        var script = try Script(
            limits: limit == .memory ? .unhurried(instructions: 100_000_000, memory: 2 << 20) : .unhurried())
        #expect(script.run(source)?.kind == limit)
        // The state then serves as before.
        #expect(script.run("assert(net.set{'10.0.0.0/8'}:match(0x0a000000))") == nil)
    }

    @Test func endlessWorkEndsInTimeToo() throws {
        var script = try Script(limits: Limits(instructions: .max, memory: 64 << 20, nanoseconds: 50_000_000))
        #expect(
            script.run("local t = {} for i = 1, 1000 do t[i] = '10.0.0.' .. i % 256 end while true do net.set(t) end")?
                .kind == .time)
    }

    /// As in a file of networks, within the limits that scripts usually have.
    @Test func tensOfThousandsOfNetworksFit() throws {
        let networks = (1...20_000).map { "'\($0 >> 16).\($0 >> 8 & 255).\($0 & 255).0/24'" }
        var script = try Script(limits: .unhurried())
        #expect(
            script.run(
                """
                kept = net.set{\(networks.joined(separator: ","))}
                assert(#kept == 20000 and kept:match(20000 << 8 | 7) == '0.78.32.0/24' and not kept:match(20001 << 8))
                """) == nil)
    }
}
