import Luadata

/// A script that tries to get around the sandbox or its limits.
struct HostileScript: Sendable, CustomStringConvertible {
    let name: String
    /// What the script does when it is loaded.
    let load: String
    /// What its function does with the hostile packet: `hdr` and `pld` are its views, `data` is Luadata.
    let body: String
    /// How the call may end.
    let outcomes: Set<FilterAnswer>

    init(_ name: String, load: String = "", _ body: String, _ outcomes: Set<FilterAnswer>) {
        self.name = name
        self.load = load
        self.body = body
        self.outcomes = outcomes
    }

    var description: String { name }
}

extension Set<FilterAnswer> {
    /// Nothing came of it: the script goes on as if it had not tried.
    static let fine: Self = [.keep]
    /// An ordinary error.
    static let error: Self = [.failedError]
    static let instructions: Self = [.failedInstructions]
    static let memory: Self = [.failedMemory]
    /// Whichever of instructions and time is reached first on the machine at hand.
    static let steps: Self = [.failedInstructions, .failedTime]
    /// Any limit: the script runs into several at once.
    static let limit: Self = [.failedInstructions, .failedMemory, .failedTime]
    static let errorOrLimit: Self = [.failedError, .failedInstructions, .failedMemory, .failedTime]
    static let fineOrLimit: Self = [.keep, .failedInstructions, .failedMemory, .failedTime]
}

extension HostileScript {
    static let all = loops + swallowers + hogs + libraries + metamethods + escapes + views

    private static let loops = [
        HostileScript("while", "while true do end", .steps),
        HostileScript("goto", "::a:: goto a", .steps),
        HostileScript("repeat", "repeat until false", .steps),
        HostileScript("numeric for", "for i = 1, math.maxinteger do end", .steps),
        HostileScript("float for", "for i = 1, math.huge do end", .steps),
        HostileScript("iterator", "for _ in function() return 1 end do end", .steps),
        HostileScript("tail calls", "local function f() return f() end f()", .steps),
        HostileScript("recursion", "local function f() return 1 + f() end f()", .errorOrLimit),
        HostileScript(
            "mutual recursion through pcall", "local f function f() return pcall(f) end f()", .fineOrLimit),
        HostileScript("select of ever more", "local function f(...) return f(select('#', ...), ...) end f()", .limit),
    ]

    private static let swallowers = [
        HostileScript("loop in pcall", "while true do pcall(function() while true do end end) end", .steps),
        HostileScript("loop in xpcall", "while true do xpcall(function() while true do end end, print) end", .steps),
        HostileScript("handler that loops", "xpcall(error, function() while true do end end)", .steps),
        HostileScript(
            "handler that loops after a limit",
            "xpcall(function() while true do end end, function() while true do end end)", .steps),
        HostileScript("handler that raises", "xpcall(error, function() error('again') end)", .fine),
        HostileScript(
            "handler that is xpcall", "local function h(e) xpcall(error, h, e) error(e) end xpcall(error, h)",
            .fineOrLimit),
        HostileScript(
            "handler that allocates", "xpcall(error, function() local t = {} while true do t = {t} end end)", .limit),
        HostileScript("error of error", "error(error)", .error),
        HostileScript(
            "error object that words itself",
            "error(setmetatable({}, {__tostring = function() while true do end end}))", .error),
        HostileScript(
            "error with a numeral", "local n = ('0'):rep(400000) while true do pcall(error, 'x', n) end", .limit),
        HostileScript(
            "memory in pcall", "while true do pcall(function() local t = {} while true do t = {t} end end) end", .limit),
        HostileScript("close", "local t = setmetatable({}, {__close = print}) local x <close> = t", .error),
        HostileScript(
            "close added later",
            "local m = {} local t = setmetatable({}, m) m.__close = function() while true do end end local x <close> = t",
            .error),
    ]

    private static let hogs = [
        HostileScript("tables", "local t = {} while true do t = {t} end", .memory),
        HostileScript("array", "local t = {} for i = 1, math.huge do t[i] = i end", .limit),
        HostileScript("string", "local s = 'x' while true do s = s .. s end", .memory),
        HostileScript("rep", "return ('x'):rep(1 << 40)", .errorOrLimit),
        HostileScript("rep of rep", "local s = ('x'):rep(1000) s = s:rep(1000) s = s:rep(1000)", .limit),
        HostileScript("rep with a separator", "return (''):rep(1 << 30, ('x'):rep(1000))", .errorOrLimit),
        HostileScript(
            "concat", "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(10000) end return table.concat(t)", .limit),
        HostileScript("closures", "local f while true do local g = f f = function() return g end end", .limit),
        HostileScript("varargs", "local function f(...) return f(1, ...) end f()", .errorOrLimit),
        HostileScript("memory of data", "local t = {} while true do t[#t + 1] = data.new(10000) end", .memory),
        HostileScript("one huge data", "data.new(1 << 40)", .memory),
        HostileScript("segments", "local t = {} while true do t[#t + 1] = pld:segment(0, 1) end", .limit),
        HostileScript(
            "keys that collide", load: "local seen = {} for i = 1, 16384 do seen[i * 32767] = true end",
            "seen[-1] = true", .instructions),
        HostileScript(
            "floats that collide", "local t = {} for i = 1, 16384 do t[2.0 ^ -30 * (2 ^ 52 + i)] = true end", .limit),
    ]

    private static let libraries = [
        HostileScript("pattern", "(('a'):rep(40) .. 'bx'):match(('a-'):rep(20) .. 'b[^x]')", .steps),
        HostileScript(
            "pattern over memory", load: "local data = require 'data' local d = data.new(('a'):rep(40) .. 'bx')",
            "d:match(('a-'):rep(20) .. 'b[^x]')", .steps),
        HostileScript("pattern in gsub", "(('a'):rep(4000) .. 'bx'):gsub('.-.-.-b[^x]', '')", .steps),
        HostileScript("callback of gsub", "('x'):gsub('x', function() while true do end end)", .steps),
        HostileScript("gsub in gsub", "local function f(s) return s:gsub('.', f) end f('x')", .error),
        HostileScript("format width", "('%99999d'):format(1)", .error),
        HostileScript(
            "format of an object", "('%s'):format(setmetatable({}, {__tostring = function() while true do end end}))",
            .steps),
        HostileScript(
            "format of floats", "local f = ('%99.99f'):rep(100) while true do f:format(1e308) end", .errorOrLimit
        ),
        HostileScript("pack", "('!16i16'):rep(10000):pack(1)", .error),
        HostileScript("unpack of 1e8", "return table.unpack({}, 1, 1e8)", .error),
        HostileScript("unpack of all", "return table.unpack({}, math.mininteger, math.maxinteger)", .error),
        HostileScript("codepoint of all", "return utf8.codepoint(('x'):rep(1000000), 1, -1)", .errorOrLimit),
        HostileScript("byte of all", "return ('x'):rep(1000000):byte(1, -1)", .errorOrLimit),
        HostileScript(
            "codes over continuation bytes",
            "local next, s = utf8.codes(''), 'a' .. ('\\x80'):rep(300000) while true do pcall(next, s, 1) end", .steps),
        HostileScript(
            "numeral for select", "local n = ('0'):rep(400000) while true do pcall(select, n, 1) end", .limit),
        HostileScript(
            "numeral for insert", "local n = ('0'):rep(400000) while true do pcall(table.insert, {}, n, 1) end", .limit),
        HostileScript("numeral in arithmetic", "local n = ('0'):rep(400000) while true do local x = n + 1 end", .steps),
        HostileScript(
            "comparison of long strings",
            "local a, b = ('\\0'):rep(400000), ('\\0'):rep(400000) .. 'x' while true do local x = a < b end", .steps),
        HostileScript(
            "comparator without order",
            "local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() return true end)", .fine),
        HostileScript("comparator that loops", "table.sort({1, 2, 3}, function() while true do end end)", .steps),
        HostileScript(
            "comparator that empties",
            "local t = {3, 2, 1, 5, 4} table.sort(t, function(a, b) t[1] = nil return a < b end)", .error),
        HostileScript(
            "insert by a lying length", "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 0)",
            .steps),
        HostileScript(
            "concat by a lying length",
            "table.concat(setmetatable({}, {__len = function() return 1 << 60 end, __index = function() return '' end}))",
            .limit),
        HostileScript("move", "table.move({}, 1, 1 << 60, 2)", .steps),
        HostileScript("random", "while true do math.random(0) end", .steps),
        HostileScript("print of much", "while true do print(('x'):rep(4000)) end", .limit),
    ]

    private static let metamethods = [
        HostileScript("__index", "local x = setmetatable({}, {__index = function() while true do end end}).x", .steps),
        HostileScript("__index of itself", "local t = {} t.__index = t setmetatable(t, t) local x = t.x", .error),
        HostileScript(
            "__index that recurs",
            "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]", .error),
        HostileScript(
            "__newindex that recurs",
            "local t = setmetatable({}, {__newindex = function(t, k) t[k + 1] = 1 end}) t[1] = 1", .error),
        HostileScript(
            "__eq that recurs",
            "local m = {} m.__eq = function(a, b) return a == b end return setmetatable({}, m) == setmetatable({}, m)",
            .error),
        HostileScript(
            "__lt that recurs",
            "local m = {} m.__lt = function(a, b) return a < b end return setmetatable({}, m) < setmetatable({}, m)",
            .error),
        HostileScript(
            "__concat that recurs",
            "local m = {} m.__concat = function(a, b) return a .. b end return setmetatable({}, m) .. 'x'", .error),
        HostileScript("__call of itself", "local t = {} t.__call = t setmetatable(t, t) t()", .errorOrLimit),
        HostileScript(
            "__tostring that recurs",
            "local m = {} m.__tostring = function(t) return tostring(t) end tostring(setmetatable({}, m))", .error),
        HostileScript("__len of a view", "return rawlen(pld)", .error),
        HostileScript(
            "__pairs", "for _ in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end", .steps),
        HostileScript("finalizer", "setmetatable({}, {__gc = function() while true do end end})", .error),
        HostileScript(
            "finalizer added later",
            "for i = 1, 1000 do local m = {} setmetatable({}, m) m.__gc = function() while true do end end end", .fine),
        HostileScript("weak table", "setmetatable({}, {__mode = 'k'})", .error),
    ]

    private static let escapes = [
        HostileScript("strings' metatable", "getmetatable('').__index = nil", .error),
        HostileScript(
            "loaders", "assert(not (load or loadstring or dofile or loadfile or io or os or debug or package))", .fine),
        HostileScript("coroutines", "coroutine.wrap(function() while true do end end)()", .error),
        HostileScript("dump", "return string.dump(filter)", .error),
        HostileScript("collectgarbage", "collectgarbage('stop')", .error),
        HostileScript("_ENV without anything", "local _ENV = {} print(1)", .error),
        HostileScript(
            "_ENV of a metatable",
            "local g = _G local _ENV = setmetatable({}, {__index = g}) assert(not io and not load)", .fine),
        HostileScript("require of a path", "require '../../etc/passwd'", .error),
        HostileScript("require of dots", "require(('.'):rep(1000000))", .errorOrLimit),
        HostileScript("require for a packet", "require 'other'", .error),
        HostileScript("module that is written to", "require('data').new = nil assert(not data.new)", .fine),
        HostileScript(
            "globals that are cleared", load: "local pairs, rawset, all = pairs, rawset, _G",
            "for k in pairs(all) do rawset(all, k, nil) end", .fine),
        HostileScript(
            "string library that is replaced", "string.match = function() while true do end end ('x'):match('x')",
            .steps),
        HostileScript("function that is replaced", "filter = function() while true do end end", .fine),
        HostileScript(
            "answer that is no answer", "return setmetatable({}, {__eq = function() return true end})", [.failedAnswer]),
        HostileScript("answer of words", "return 'pass-flow\\0'", [.failedAnswer]),
    ]

    private static let views = [
        HostileScript("views' metatable", "getmetatable(pld).__index = nil", .error),
        HostileScript("setmetatable of a view", "setmetatable(pld, {})", .error),
        HostileScript(
            "a layout's metatable",
            "setmetatable(data.layout{a = {0, 8}}, {__index = function() while true do end end})", .fine),
        HostileScript("a layout of itself", "local l = {} l.l = l data.layout(l)", [.failedError, .keep]),
        HostileScript(
            "fields beyond all",
            "pld:layout{a = {math.maxinteger, 64}, b = {0, math.maxinteger, 's'}} assert(not pld.a and not pld.b) pld.a = 1",
            .fine),
        HostileScript(
            "huge segments",
            "assert(#pld:segment(0, math.maxinteger) == 8 and not pld:segment(math.maxinteger, math.maxinteger) and not pld:segment(-1))",
            .fine),
        HostileScript("methods on others", "pld.segment({}, 0, 1)", .error),
        HostileScript(
            "methods on a layout",
            "local l for _, v in next, data.layout{a = {0, 8}} do if type(v) == 'userdata' then l = v end end data.new(1).segment(l)",
            .error),
        HostileScript(
            "compiled layout elsewhere",
            "local t = {} for k, v in next, data.layout{a = {0, 8}} do t[k] = v end assert(pld:layout(t).a)", .fine),
        HostileScript(
            "layout that is changed",
            "local l = data.layout{a = {0, 8}} l.a = {1 << 40, 64} pld:layout(l) local x = pld.a", .fine),
        HostileScript(
            "a view that is kept", load: "local kept",
            "if kept then assert(#kept == 0) kept.a = 1 end kept = pld:layout{a = {0, 8}}", .fine),
        HostileScript("chain of segments", "local s = pld while true do s = s:segment(0) end", .limit),
        HostileScript("view as a key", "local t = {} for i = 1, 10 do t[pld:segment(0)] = i end t[pld] = 1", .fine),
    ]
}
