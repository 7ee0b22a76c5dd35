/// Writes Lua programs, mostly valid ones, as the bytes of a fuzzer's input decide.
///
/// Each byte chooses one production of a grammar over all that the sandbox offers, so a changed byte changes one place.
struct ScriptGenerator {
    private var bytes: Slice<UnsafeBufferPointer<UInt8>>
    private var text: [UInt8] = []
    private var depth = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        unsafe self.bytes = unsafe bytes[...]
    }

    /// The next program: a main chunk that defines `filter`.
    mutating func program() -> [UInt8] {
        text = []
        write(
            "local data, net, npf, layouts = require 'data', require 'net', require 'npf', require 'layouts' local a, b, c = {}, 'x', 1 local l = {p = {0, 8}, q = {3, 13}, s = {1, 3, 's'}} "
        )
        write("hdr, pld = data.new(20), data.new('SSH-2.0-x') ")
        block()
        write("\nfunction filter(hdr, pld) ")
        block()
        write(" return ")
        choose(["true", "false", "nil", "'return'", "'pass-flow'"])
        write(" end")
        return text
    }

    /// Whether there are bytes left to decide by.
    var hasMore: Bool { unsafe !bytes.isEmpty }

    /// The next byte, 0 when there is none left.
    mutating func byte() -> UInt8 {
        unsafe bytes.popFirst() ?? 0
    }

    /// Writes a production, and for each `$x` in it what that stands for.
    private mutating func write(_ production: StaticString) {
        var isNonterminal = false
        for byte in unsafe UnsafeBufferPointer(start: production.utf8Start, count: production.utf8CodeUnitCount) {
            if isNonterminal {
                expand(byte)
                isNonterminal = false
            } else if byte == UInt8(ascii: "$") {
                isNonterminal = true
            } else {
                text.append(byte)
            }
        }
    }

    private mutating func expand(_ nonterminal: UInt8) {
        switch Character(UnicodeScalar(nonterminal)) {
        case "b": block()
        case "c": call()
        case "e": expression()
        case "d": field()
        case "f": function()
        case "l": layout()
        case "y": library()
        case "m": metamethod()
        case "n": name()
        case "i": number()
        case "o": operation()
        case "p": pattern()
        case "t": choose(["'blocked'", "'networks'", "'none'", "b", "1"])
        case "a": address()
        case "x": choose([":add", ":remove", ":test", ":none", ".add"])
        case "u": unary()
        case "w": view()
        default: fatalError("no such nonterminal")
        }
    }

    private mutating func choose(_ choices: [StaticString]) {
        write(choices[Int(byte()) % choices.count])
    }

    private mutating func block() {
        depth += 1
        if depth < 6 {
            var count = byte() % 6
            while count > 0 && hasMore {
                statement()
                write("\n")
                count -= 1
            }
        }
        depth -= 1
    }

    private mutating func function() {
        write("function(")
        choose(["", "x", "x, y", "..."])
        write(") ")
        block()
        write(" end")
    }

    private mutating func statement() {
        switch byte() % 20 {
        case 0: write("local $n = $e")
        case 1: write("$n = $e")
        case 2, 3: write("$n[$e] = $e")
        case 4: write("if $e then $b else $b end")
        case 5: write("for i = 1, $i do $b end")
        case 6: write("for k, v in pairs($e) do $b end")
        case 7: write("while $e do $b end")
        case 8: write("pcall($f)")
        case 9: write("xpcall($f, $f)")
        case 10: write("setmetatable($n, {$m, $m})")
        case 11: write("error($e)")
        case 12: write("do if $e then goto done end $b ::done:: end")
        case 13: write("$w:layout($l)")
        case 14: write("$w.$d = $e")
        case 15: write("kept = $w")
        case 16: write("$y = $e")
        case 17: write("for k in string.gmatch($e, $p) do $b end")
        case 18: write("rawset(_G, $e, $e)")
        default: write("local _ = $c")
        }
    }

    private mutating func expression() {
        depth += 1
        defer { depth -= 1 }
        guard depth < 9 else { return name() }
        switch byte() % 19 {
        case 0, 1: name()
        case 2: number()
        case 3:
            choose(["''", "'x'", "'SSH-2.0-OpenSSH_6.4'", "('x'):rep(1000)", "('0'):rep(5000)", "'\\0\\255'", "'p'"])
        case 4: choose(["nil", "true", "false", "_G", "print", "kept", "0/0", "data", "string"])
        case 5: function()
        case 6: write("{$e, $e, k = $e}")
        case 7: write("($e .. $e)")
        case 8: write("($e$o$e)")
        case 9: write("($u$e)")
        case 10: write("($e)[$e]")
        case 11: write("setmetatable({}, {$m, $m})")
        case 12: view()
        case 13: write("$w.$d")
        case 14: write("tostring($e)")
        case 15: write("select(2, pcall($y, $e, $e))")
        case 16: write("data.new($e)")
        default: call()
        }
    }

    private mutating func call() {
        depth += 1
        defer { depth -= 1 }
        guard depth < 9 else { return write("nil") }
        switch byte() % 14 {
        case 12: write("npf.table($t):add($a, $e)")
        case 13: write("npf.table($t)$x($a)")
        case 6: write("$w:match($p, $i)")
        case 7: write("$w:find($p, $i, $e)")
        case 8: write("$w:gmatch($p, $i)()")
        case 9: write("net.set({'10.0.0.0/8', ['::/0'] = $e, $e, [$e] = $e}):match($e)")
        case 0: write("string.gsub($e, $p, $e)")
        case 1: write("string.find($e, $p, $i)")
        case 2: write("string.match($e, $p)")
        case 3: write("table.sort($e, $f)")
        default: write("$y($e, $e, $e)")
        }
    }

    private mutating func name() { choose(["a", "b", "c", "x", "i", "k", "v", "l", "hdr", "pld", "kept"]) }

    private mutating func field() {
        choose(["p", "q", "s", "none", "layout", "segment", "match", "gmatch", "ttl", "rest"])
    }

    private mutating func unary() { choose(["-", "#", "not ", "~"]) }

    private mutating func number() {
        choose([
            "0", "1", "2", "-1", "8", "100", "4096", "100000", "1 << 31", "1 << 40", "math.maxinteger",
            "math.mininteger",
            "0.5", "1e308", "math.huge", "'10'",
        ])
    }

    private mutating func operation() {
        choose([
            " + ", " - ", " * ", " / ", " // ", " % ", " ^ ", " & ", " | ", " << ", " >> ", " == ", " < ", " <= ",
            " and ", " or ",
        ])
    }

    private mutating func view() {
        switch byte() % 6 {
        case 0: write("hdr")
        case 1: write("pld")
        case 2: write("(kept or pld)")
        default: write("(pld:segment($i, $i) or pld)")
        }
    }

    private mutating func layout() {
        switch byte() % 5 {
        case 0: write("l")
        case 1: write("data.layout(l)")
        case 2: write("layouts.bits")
        default:
            write("{p = {$i, $i}, q = {offset = $i, length = 13, endian = 'little'}, s = {")
            write("$i, $i, 'string'}, [$e] = {1, 2}}")
        }
    }

    private mutating func metamethod() {
        choose([
            "__index = ", "__newindex = ", "__call = ", "__eq = ", "__lt = ", "__le = ", "__concat = ", "__len = ",
            "__tostring = ", "__name = ", "__pairs = ", "__metatable = ", "__gc = ", "__close = ", "__mode = ",
            "__add = ",
        ])
        expression()
    }

    private mutating func pattern() {
        choose([
            "'.'", "'.-x'", "'(a*)*'", "'%b()'", "'%f[%w]'", "'^SSH%-[^-%G]+%-([^-%G]+)'", "'[^%z-'", "'%'",
            "('.-'):rep(20)",
            "'(()())'", "'%1'", "''", "b",
        ])
    }

    private mutating func address() {
        choose([
            "1", "0xffffffff", "1 << 32", "-1", "net.parse('2001:db8::1')", "net.parse('192.0.2.1')", "'192.0.2.1'",
            "hdr",
        ])
    }

    private mutating func library() {
        choose([
            "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "print", "rawequal", "rawget",
            "rawlen",
            "rawset", "require", "select", "setmetatable", "tonumber", "tostring", "type", "xpcall", "math.floor",
            "math.fmod",
            "math.max", "math.random", "math.tointeger", "string.byte", "string.char", "string.find", "string.format",
            "string.gmatch", "string.gsub", "string.len", "string.lower", "string.match", "string.pack",
            "string.packsize",
            "string.rep", "string.reverse", "string.sub", "string.unpack", "string.upper", "table.concat",
            "table.insert",
            "table.move", "table.pack", "table.remove", "table.sort", "table.unpack", "utf8.char", "utf8.codepoint",
            "utf8.codes", "utf8.len", "utf8.offset", "data.new", "data.layout", "pld.segment", "pld.layout",
            "pld.match", "pld.find",
            "pld.gmatch", "net.parse", "net.format", "net.set", "net.checksum", "net.hton16", "net.ntoh64",
            "net.service", "npf.time", "npf.log", "npf.table",
        ])
    }
}
