/// Patterns: ours against Lua's own, and on packet memory against on a string of it.
extension Row {
    static var patterns: [Row] { ssh + withoutLiteral + [onMemory] }

    private static let banner = "'SSH%-[^-%G]+%-([^-%G]+)'"

    /// `bytes` random bytes, the same each time.
    private static func random(_ bytes: Int) -> String {
        """
        local seed, t = 1, {}
        for i = 1, \(bytes) do
          seed = (seed * 6364136223846793005 + 1442695040888963407)
          t[i] = string.char(seed >> 33 & 255)
        end
        local s = table.concat(t)
        """
    }

    private static func against(_ name: String, _ most: Double, _ script: Script) -> Row {
        Row(name: name, most: most, ours: .sandboxed(script), baseline: .stock(script))
    }

    private static let ssh = [
        against(
            "SSH banner, 64 KiB of random bytes", 0.02,
            Script(setup: random(65536), body: "local x = s:match(\(banner))", calls: 300)),
        against(
            "SSH banner, 255 random bytes", 0.3,
            Script(setup: random(255), body: "local x = s:match(\(banner))", calls: 50_000)),
    ]

    private static let onMemory: Row = {
        let setup = random(1448) + "\nlocal pld = data.new(s)"
        return Row(
            name: "SSH banner on memory, against on tostring, 1448 bytes", most: 0.7,
            ours: .sandboxed(Script(setup: setup, body: "local x = pld:match(\(banner))", calls: 100_000)),
            baseline: .sandboxed(
                Script(setup: setup, body: "local x = tostring(pld):match(\(banner))", calls: 100_000)))
    }()
}

/// Patterns without a literal that a search could look for.
extension Row {
    private static let line = "  Host: www.example.org:8080 (key=value, list) at 10.0.12.254"
    private static let header = """
        GET /index.html?lang=en&page=12 HTTP/1.1
        Host: www.example.org
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0
        Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8
        From: webmaster@example.org
        """

    /// Short subjects have some 60 bytes, long ones about 1 KiB.
    private static let withoutLiteral: [Row] = [
        short("s:match('%d+%.%d+')"),
        short("s:match('^%s*(.-)%s*$')"),
        short("s:match('(%w+)=(%w+)')"),
        short("s:match('%b()')"),
        short("s:find('%f[%w]%w+')"),
        short("s:match('[%w_]+@[%w_]+')"),
        short("s:match('.-%s')"),
        short("s:match('(.-),')"),
        short("s:gsub('%s+', ' ')"),
        short("s:find('%d')"),
        short("s:match('^(%s*)(%a+)')"),
        short("s:match('(%d+)%.(%d+)%.(%d+)%.(%d+)')"),
        long("s:match('%d+%.%d+')"),
        long("s:match('^%s*(.-)%s*$')"),
        long("s:match('[%w_]+@[%w_]+')"),
        long("s:gsub('%s+', ' ')"),
        long("for word in s:gmatch('%a+') do end"),
        long("for k, v in s:gmatch('(%w+)=(%w+)') do end"),
        long("s:find('[^%g%s]')"),
        long("s:match('(%u%l+)[^%w]+(%u+)[^%w]+$')"),
    ]

    private static func short(_ body: String) -> Row {
        against("60 B: \(body)", 1.3, Script(setup: "local s = [[\(line)]]", body: body, calls: 20_000))
    }

    private static func long(_ body: String) -> Row {
        let setup = "local s = [[\(header)]] .. '\\n' s = s:rep(1024 // #s + 1):sub(1, 1024)"
        return against("1 KiB: \(body)", 1.3, Script(setup: setup, body: body, calls: 1000))
    }
}
