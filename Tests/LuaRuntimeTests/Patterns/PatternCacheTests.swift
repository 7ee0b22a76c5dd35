import LuaRuntime
import Testing

@Suite("Pattern cache")
struct PatternCacheTests {
    private func state(_ source: String) throws -> LuaState {
        var state = try LuaState(limits: .unhurried(instructions: 1 << 40))
        try state.load(Array(source.utf8), chunkName: "test.lua")
        state.collectGarbage()
        return state
    }

    @Test("compiles a pattern once")
    func reuse() throws {
        // The longest is no interned string.
        let script = """
            local s = 'key = value 123'
            local long = '%f[%w]' .. ('%w'):rep(30) .. 'x?'
            function round(n)
              for i = 1, n do
                assert(s:find('%d+') and s:find('=', 1, true) and not s:match('[%z\\128-\\255]') and not s:find(long))
              end
            end
            round(1)
            """
        var state = try state(script)
        let memory = state.memoryInUse
        let allocations = state.allocations
        try state.load(Array("round(250000)".utf8), chunkName: "test.lua")
        // Those of compiling the line above.
        #expect(state.allocations - allocations < 200)
        state.collectGarbage()
        #expect(state.memoryInUse == memory)
    }

    @Test(
        "keeps a bounded amount of programs",
        arguments: [
            "s:find('%d' .. i)", "s:match('(' .. i .. ')')", "for _ in s:gmatch('x' .. i) do end",
            "s:gsub('x' .. i, '')", "s:find('x' .. i, 1, true)", "s:find(('%d'):rep(40) .. i)",
            "if i % 100 == 0 then s:find(('[ab]'):rep(10000) .. i) end",
            "if i % 100 == 0 then s:find(('b'):rep(60000) .. i) end",
        ])
    func bound(use: String) throws {
        var state = try state("local s = 'abc 123' function round(n) for i = 1, n do \(use) end end round(100)")
        let memory = state.memoryInUse
        try state.load(Array("round(20000)".utf8), chunkName: "test.lua")
        state.collectGarbage()
        // 64 programs of at most 4 KiB, patterns included.
        #expect(state.memoryInUse < memory + 64 * 4096)
    }

    @Test("keeps the program that gsub and gmatch run while others are compiled")
    func eviction() throws {
        var state = try state("")
        try state.load(
            Array(
                """
                local function churn() for i = 1, 300 do ('x'):find('[abc]%d' .. i) end end
                local count = 0
                local function replace(a, b) churn() count = count + 1 return b .. a end
                assert(('a1b2c3'):gsub('(%a)(%d)', replace) == '1a2b3c' and count == 3)
                assert(('a1b2'):gsub('(%a)%d', setmetatable({}, { __index = function(_, k) churn() return k end })) == 'ab')
                for a, b in ('a1b2c3'):gmatch('(%a)(%d)') do churn() count = count + tonumber(b) end
                assert(count == 9)
                """.utf8), chunkName: "test.lua")
    }
}
