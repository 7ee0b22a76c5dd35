import CLuaShim
import Testing

/// What every script below begins with: `same(f, …)` calls a function with both libraries and compares.
private let comparison = #"""
    local function call(f, ...) return table.pack(pcall(f, ...)) end
    local function show(results)
        local t = {}
        for i = 1, results.n do t[i] = stock.format('%q', results[i]) end
        return table.concat(t, ' ')
    end
    local function same(f, ...)
        local ours, theirs = call(f, string, ...), call(f, stock, ...)
        local equal = ours.n == theirs.n
        for i = 1, theirs.n do equal = equal and rawequal(ours[i], theirs[i]) end
        if not equal then
            error(show(table.pack(...)) .. '\n  ours:   ' .. show(ours) .. '\n  theirs: ' .. show(theirs), 0)
        end
    end

    """#

@Suite("String library")
struct StringLibraryTests {
    private func expectSuccess(_ script: String, _ comment: Comment? = nil) {
        let (status, message) = StringLibraryState().run(comparison + script)
        #expect(status == LS_OK, comment)
        #expect(message == "", comment)
    }

    @Test("finds, matches and replaces like Lua's on random patterns and subjects", arguments: 1...4)
    func differential(seed: Int) {
        expectSuccess(
            "local seed = \(seed)\n" + #"""
                local function random(n)          -- SplitMix64
                    seed = seed + 0x9E3779B97F4A7C15
                    local z = seed
                    z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
                    z = (z ~ (z >> 27)) * 0x94D049BB133111EB
                    return ((z ~ (z >> 31)) >> 1) % n + 1
                end
                local function pick(t) return t[random(#t)] end
                local letters = { 'a', 'b', 'a', 'b', 'c', '1', '0', ' ', '-', '.', '(', ')', '%', ']', '\0', '\xE9' }
                local classes = { 'a', 'A', 'd', 'D', 's', 'S', 'w', 'W', 'x', 'p', 'u', 'l', 'c', 'g', 'z', '.', '%', ']', '-' }
                local signs = { '*', '+', '-', '?' }
                local inner = { '-', '^', ']', '%', 'a-b', 'a-', '0-9', '%a-c', '%]' }

                local function set()
                    local t = { '[' }
                    if random(4) == 1 then t[2] = '^' end
                    for _ = 1, random(4) do
                        t[#t + 1] = random(2) == 1 and pick(letters) or random(2) == 1 and '%' .. pick(classes) or pick(inner)
                    end
                    if random(20) > 1 then t[#t + 1] = ']' end
                    return table.concat(t)
                end
                local function pattern()
                    local t, repeated = {}, 0
                    if random(6) == 1 then t[1] = '^' end
                    for _ = 1, random(8) - 1 do
                        local kind, item = random(24), nil
                        if kind <= 7 then item = pick(letters)
                        elseif kind <= 10 then item = '%' .. pick(classes)
                        elseif kind <= 13 then item = set()
                        elseif kind <= 15 then item = '.'
                        elseif kind == 16 then t[#t + 1] = pick { '(', '()', '(' }
                        elseif kind <= 18 then t[#t + 1] = ')'
                        elseif kind == 19 then t[#t + 1] = '%' .. (random(4) - 1)
                        elseif kind == 20 then t[#t + 1] = '%b' .. pick { '()', 'ab', 'aa', 'a', '' }
                        elseif kind == 21 then t[#t + 1] = '%f' .. set()
                        elseif kind == 22 then t[#t + 1] = pick { '$', '%', '[', '^', '*' }
                        else t[#t + 1] = '(' .. pick(letters) .. pick(signs) .. ')' repeated = repeated + 1 end
                        if item then
                            t[#t + 1] = item
                            if repeated < 4 and random(2) == 1 then t[#t + 1] = pick(signs) repeated = repeated + 1 end
                        end
                    end
                    if random(6) == 1 then t[#t + 1] = '$' end
                    return table.concat(t)
                end
                local function subject()
                    local t = {}
                    for i = 1, random(20) - 1 do t[i] = pick(letters) end
                    return table.concat(t)
                end

                local function find(S, s, p, init) return S.find(s, p, init) end
                local function plain(S, s, p, init) return S.find(s, p, init, true) end
                local function match(S, s, p, init) return S.match(s, p, init) end
                local function gmatch(S, s, p, init)
                    local t = {}
                    for a, b, c in S.gmatch(s, p, init) do t[#t + 1] = tostring(a) .. ',' .. tostring(b) .. ',' .. tostring(c) end
                    return table.concat(t, ';')
                end
                local function gsub(S, s, p, r, n) return S.gsub(s, p, r, n) end
                local function replace(a, b) return b or a ~= 'a' and '<' .. a .. '>' end
                for _, item in ipairs { 'x?', 'x-', 'x*', 'y*', '()', '(x)', '(x?)', 'x?()' } do
                    for _, n in ipairs { 15, 16, 17, 31, 32, 33, 100, 198, 199, 200, 201 } do
                        same(find, ('x'):rep(300), item:rep(n))
                        same(find, ('x'):rep(300), item:rep(n) .. 'x*x-x?x$')
                    end
                end
                local replacements = { '', 'x', '%0%0', '%1', '<%1|%2>', '%%', '%', '%x', 7 }
                local by_name = { a = 'A', b = false, ab = 12, [1] = 'one', [2] = true }

                for _ = 1, 50000 do
                    local p, s = pattern(), subject()
                    local init = random(3) > 1 and 1 or random(30) - 15
                    same(find, s, p, init)
                    same(plain, s, p, init)
                    same(match, s, p, init)
                    same(gmatch, s, p, init)
                    same(gsub, s, p, pick(replacements), random(4) == 1 and random(5) - 2 or nil)
                    same(gsub, s, p, by_name)
                    same(gsub, s, p, replace)
                end
                """#, "seed \(seed)")
    }

    @Test("answers mistakes in Lua's words")
    func messages() {
        // Each is a function of the library, called by name, so that messages name it.
        let calls = [
            "S.find()", "S.find(nil, 'a')", "S.find('a')", "S.find('a', {})", "S.find('a', 'a', 'x')",
            "S.match()", "S.match('a', 'a', {})", "S.gmatch('a')", "S.gmatch('a', 'a', 1.5)",
            "S.gsub('a')", "S.gsub('a', 'a')", "S.gsub('a', 'a', true)", "S.gsub('a', 'a', nil)",
            "S.gsub('a', 'a', 'b', 'c')", "S.gsub('a', 'a', true, 'c')",
            "S.gsub('a', 'a', '%')", "S.gsub('a', 'a', '%a')", "S.gsub('a', 'a', '%2')", "S.gsub('a', '(a', '%1')",
            "S.gsub('a', 'a', function() return {} end)", "S.gsub('a', 'a', { a = print })",
            "S.gsub('a', 'a', function() error('inside', 0) end)",
            "S.find('a', '[')", "S.find('a', '%')", "S.find('a', '%1')", "S.match('a', '(')",
            "S.find(('x'):rep(300), ('x?'):rep(200))", "S.find('', ('()'):rep(33))",
            "S.rep('x', -1)", "S.rep('x', 3, ',')", "S.rep('x')", "S.rep('x', 1 << 62, 'yy')", "S.rep('xx', 1 << 62)",
            "S.rep('', 10)", "S.rep('x', 1.5)", "S.rep({}, 1)",
            "S.format()", "S.format('%d', 'x')", "S.format('%d', 1.5)", "S.format('%100d', 1)", "S.format('%y', 1)",
            "S.format('%s')", "S.format('%s|%5.1f|%-5d|%05d|%q|%x|%g|%i|%c', 'a', 2.25, 3, 4, 'a\\n', 255, 0.1, 7, 65)",
            "S.format('%s', setmetatable({}, { __tostring = function() return 'T' end }))",
            "S.format('%s', setmetatable({}, { __tostring = function() return 1 end }))",
            "S.format('%.20s|%.3s', 'abc', 'abcdef')", "S.format('%99.99f', 1e300)", "S.format('%.123d', 1)",
            "S.byte('abc', 1, -1)", "S.byte('abc', 10)", "S.byte()", "S.char(1, 2, 300)", "S.char(72, 105)",
            "S.len('a\\0b')", "S.len()", "S.lower('AbC')", "S.upper('AbC')", "S.reverse('abc')", "S.reverse({})",
            "S.sub('hello', 2, -2)", "S.sub('hello')", "S.sub('hello', -100, 100)",
            "S.pack('>I2z', 258, 'x')", "S.pack('i17', 1)", "S.unpack('<i4', '\\1\\2\\3\\4')", "S.unpack('z', 'x')",
            "S.packsize('!8i1i8')", "S.packsize('s')", "S.unpack('i4', 'ab')",
        ]
        for call in calls {
            // The library itself is the method's name in "bad argument #1 to 'find'".
            expectSuccess(
                "same(function(S) local results = table.pack(\(call)) return table.unpack(results) end)", "\(call)")
        }
    }

    @Test("gives the methods of strings and protects their metatable")
    func metatable() {
        expectSuccess(
            """
            assert(('abc'):find('b') == 2 and ('x'):rep(3) == 'xxx' and #('abc'):upper() == 3)
            assert(getmetatable('') == false)
            assert(not pcall(setmetatable, '', {}))
            assert('10' + 1 == 11 and '3' * '4' == 12)
            assert(string.dump == nil and ('').dump == nil)
            for name in pairs(stock) do assert(name == 'dump' or string[name], name) end
            for name in pairs(string) do assert(stock[name], name) end
            """)
    }

    @Test("lets a replacement function match in its turn")
    func reentrancy() {
        expectSuccess(
            """
            local function nest(depth)
                return (('a1b2'):gsub('%a(%d)', function(digit)
                    return depth > 0 and nest(depth - 1) or '<' .. digit .. '>'
                end))
            end
            assert(nest(0) == '<1><2>' and nest(1) == '<1><2><1><2>' and #nest(8) == 2 ^ 9 * 3)
            local words = {}
            for word in ('one two'):gmatch('%a+') do
                for letter in word:gmatch('.') do words[#words + 1] = letter end
            end
            assert(table.concat(words) == 'onetwo')
            """)
    }

    @Test(
        "stops within the instruction budget",
        arguments: [
            "('a'):rep(30):find(('a?'):rep(30) .. ('[a]'):rep(30) .. '[b]')",
            "('a'):rep(1000):match('.-.-.-.-[bc]')",
            "('a'):rep(1000):gsub('.-.-.-.-[bc]', '')",
            "for _ in ('a'):rep(1000):gmatch('.-.-.-.-[bc]') do end",
            "('('):rep(10000):find('%b()')",
            "local s = '[' .. ('a'):rep(10000) .. ']' for i = 1, 1000 do ('x'):find(s) end",
            "('x'):rep(1 << 40)",
            "(''):rep(1 << 40)",
            "('x'):rep(1, ('y'):rep(1000)):rep(1 << 40)",
            "local s = ('a'):rep(100000) while true do s:gsub('a', '%0%0', 1) end",
            "local s = ('a'):rep(100000) for i = 1, 1000 do s:upper() s:reverse() s:sub(2) end",
            "local s = ('a'):rep(100000) for i = 1, 1000 do s:find('b', 1, true) end",
            "local s = ('a'):rep(400000) s:match(('('):rep(31) .. '.*' .. (')'):rep(31))",
            "local s = ('b'):rep(1000000) for i = 1, 20 do ('a'):match(s) end",
            "local s = ('b'):rep(100000) for i = 1, 1000 do string.packsize(s) end",
            "local s = ('a'):rep(100000) for i = 1, 1000 do ('%s%s%s'):format(s, s, s) end",
        ])
    func budget(script: String) {
        let state = StringLibraryState(instructions: 1_000_000)
        #expect(state.run(script).status == LS_INSTRUCTIONS, "\(script)")
    }

    @Test(
        "stops at the time limit",
        arguments: [
            "('a'):rep(5000):match('.-.-.-.-[bc]')",
            "('a'):rep(5000):gsub('.-.-.-.-[bc]', '')",
            "('a'):rep(50000000):gsub('a', 'b')",
            "('('):rep(100000):find('%b()')",
        ])
    func timeLimit(script: String) {
        let state = StringLibraryState(nanoseconds: 1_000_000)
        #expect(state.run(script).status == LS_TIME, "\(script)")
    }

    @Test("refuses what the memory limit does not hold")
    func memoryLimit() {
        #expect(StringLibraryState().run("('x'):rep(1 << 27):rep(4)").status == LS_MEMORY)
        #expect(StringLibraryState().run("('x'):rep(1 << 40)").message.contains("resulting string too large"))
    }

    @Test("leaves ordinary work within the budget")
    func frugality() {
        let (status, message) = StringLibraryState(instructions: 100_000).run(
            """
            local payload = 'SSH-2.0-OpenSSH_6.4 FreeBSD\\r\\n' .. ('x'):rep(1400)
            for i = 1, 100 do
                assert(payload:match('SSH%-[^-%G]+%-([^-%G]+)') == 'OpenSSH_6.4')
                assert(not payload:find('HTTP/1', 1, true) and not payload:find('HTTP/1.[01]'))
            end
            """)
        #expect(status == LS_OK, "\(message)")
    }
}
