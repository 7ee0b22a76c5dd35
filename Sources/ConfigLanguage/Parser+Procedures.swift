extension Parser {
    /// A procedure makes at most as many calls as in NPF.
    private static let maximumCalls = 16

    /// Parses `procedure "NAME" { CALL … }`.
    mutating func parseProcedure() throws(Diagnostic) {
        advance()
        let location = token.location
        let name = try parseQuotedName("a procedure's name")
        guard !procedures.contains(name) else {
            throw Diagnostic(at: location, "there is a procedure `\"\(name)\"` already; give this one another name")
        }
        procedures.declare(name, at: location)
        guard accept("{") else {
            let error = unexpected("`{`")
            if skipToBlock() { skipBlock() }
            throw error
        }
        // So that a mistake in a call skips the others with it.
        openBrace()
        var calls: [Configuration.Call] = []
        while skipSeparators(), !isAt("}") {
            let place = token.location
            calls.append(try parseCall())
            guard calls.count <= Self.maximumCalls else {
                throw Diagnostic(at: place, "a procedure makes at most \(Self.maximumCalls) calls")
            }
            guard isAtSeparator || isAt("}") else { throw unexpected("`,` or the end of the line") }
        }
        closeBrace()
        advance()
        if calls.isEmpty { warn(at: location, "the procedure `\"\(name)\"` does nothing") }
        configuration.procedures.append(Configuration.Procedure(name: name, calls: calls, location: location))
    }

    private mutating func parseCall() throws(Diagnostic) -> Configuration.Call {
        let names = ["lua", "log", "normalize", "rndblock", "ratelimit"]
        guard case .word(let name) = token.kind, names.contains(name) else {
            throw unexpected(names.map { "`\($0):`" }.joined(separator: ", ") + " or `}`", words: names)
        }
        let location = token.location
        advance()
        try expect(":")
        switch name {
        case "lua": return .lua(try parseLuaCall(at: location))
        case "log": return .log(try parseLogCall(at: location))
        case "normalize": return .normalize(try parseNormalizeCall(at: location))
        case "rndblock": return .randomBlock(try parseRandomBlockCall(at: location))
        default: return .rateLimit(try parseRateLimitCall(at: location))
        }
    }

    /// Parses `KEY …, KEY …` with each key at most once; `value` parses what follows a key.
    private mutating func parseParameters(
        _ keys: [String], _ value: (inout Parser, String) throws(Diagnostic) -> Void
    ) throws(Diagnostic) {
        guard !isAtSeparator, !isAt("}") else { return }
        var seen: Set<String> = []
        repeat {
            rescanName()
            guard let key = text, keys.contains(key) else {
                throw unexpected(keys.map { "`\($0)`" }.joined(separator: ", "), words: keys)
            }
            guard seen.insert(key).inserted else {
                throw Diagnostic(at: token.location, "`\(key)` stands twice in this call")
            }
            advance()
            try value(&self, key)
        } while accept(",")
    }

    // MARK: lua

    private mutating func parseLuaCall(at location: SourceLocation) throws(Diagnostic) -> Configuration.LuaCall {
        var call = Configuration.LuaCall(location: location)
        let keys = ["call", "file", "error", "edit", "payload", "inspect", "instructions", "memory", "time"]
        try parseParameters(keys) { parser, key throws(Diagnostic) in
            switch key {
            case "call": call.function = try parser.parseFunction()
            case "file": call.file = try parser.parseFile()
            case "error": call.errorPolicy = try parser.parseErrorPolicy()
            case "edit":
                let place = parser.token.location
                call.edit = Configuration.Limit(value: try parser.parseFlag(), location: place)
            case "payload": call.payloadOnly = true
            case "inspect": call.inspection = try parser.parseInspectionLimit()
            case "instructions": call.instructions = try parser.parseLimit(.luaInstructions)
            case "memory": call.memory = try parser.parseLimit(.luaMemory)
            default: call.milliseconds = try parser.parseLimit(.luaTime)
            }
        }
        return call
    }

    /// Parses the name of a Lua function.
    mutating func parseFunction() throws(Diagnostic) -> String {
        guard let name = text else { throw unexpected("the name of a Lua function") }
        guard Lexer.isPlainWord(name), name.utf8.count <= 64 else {
            throw Diagnostic(at: token.location, "`\(name)` is no name of a Lua function, such as `filter`")
        }
        advance()
        return name
    }

    /// Parses a script's path in quotes.
    mutating func parseFile() throws(Diagnostic) -> String {
        let location = token.location
        let path = try parseQuotedName("a path")
        guard Self.isPlain(path) else {
            throw Diagnostic(
                at: location, "the script is a plain path within the script directory, such as `\"filter.lua\"`")
        }
        return path
    }

    private static func isPlain(_ path: String) -> Bool {
        path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { !["", ".", ".."].contains($0) }
    }

    private mutating func parseErrorPolicy() throws(Diagnostic) -> ErrorPolicy {
        guard let word = text, let policy = ErrorPolicy(rawValue: word) else {
            throw unexpected("`block` or `pass`", words: ["block", "pass"])
        }
        advance()
        return policy
    }

    /// Parses `N` or `N packets`.
    private mutating func parseInspectionLimit() throws(Diagnostic) -> Configuration.InspectionLimit {
        let amount = try parseNumber(of: "inspect", in: 1...1 << 30, kilo: 1024)
        return Configuration.InspectionLimit(amount: amount, unit: accept(word: "packets") ? .packets : .bytes)
    }

    private mutating func parseLimit(_ parameter: Parameter) throws(Diagnostic) -> Configuration.Limit {
        let location = token.location
        return Configuration.Limit(value: try parseNumber(of: parameter), location: location)
    }

    // MARK: log, normalize, rndblock, ratelimit

    private mutating func parseLogCall(at location: SourceLocation) throws(Diagnostic) -> Configuration.LogCall {
        if accept(word: "file") {
            let place = token.location
            let file = try parseQuotedName("a file's name")
            guard Self.isPlain(file) else {
                throw Diagnostic(
                    at: place, "the file is a plain path within the log directory, such as `\"blocked.pcapng\"`")
            }
            return Configuration.LogCall(file: file, location: location)
        }
        rescanName()
        let place = token.location
        guard let name = text else { throw unexpected("a name, such as `npflog0`, or `file`") }
        guard name != "nflog" else {
            throw Diagnostic(
                at: place, "only the kernel writes to groups of nflog; write `log: file \"blocked.pcapng\"`")
        }
        guard Self.isInterfaceName(name) else { throw notAnInterface(name) }
        advance()
        return Configuration.LogCall(file: "\(name).pcapng", location: location)
    }

    private mutating func parseNormalizeCall(
        at location: SourceLocation
    ) throws(Diagnostic) -> Configuration.NormalizeCall {
        var call = Configuration.NormalizeCall(location: location)
        try parseParameters(["random-id", "no-df", "min-ttl", "max-mss"]) { parser, key throws(Diagnostic) in
            switch key {
            case "random-id": call.randomizesIdentification = true
            case "no-df": call.clearsDontFragment = true
            case "min-ttl": call.minimumTTL = UInt8(try parser.parseNumber(of: key, in: 0...255))
            default: call.maximumSegmentSize = UInt16(try parser.parseNumber(of: key, in: 0...65_535))
            }
        }
        guard call != Configuration.NormalizeCall(location: location) else {
            throw unexpected("`random-id`, `no-df`, `min-ttl` or `max-mss`")
        }
        return call
    }

    private mutating func parseRandomBlockCall(
        at location: SourceLocation
    ) throws(Diagnostic) -> Configuration.RandomBlockCall {
        var choice: Configuration.RandomBlockCall.Choice?
        try parseParameters(["mod", "percentage"]) { parser, key throws(Diagnostic) in
            guard choice == nil else { throw parser.unexpected("one of `mod` and `percentage`") }
            choice =
                key == "mod"
                ? .every(try parser.parseNumber(of: key, in: 1...Int.max))
                : .share(hundredths: try parser.parsePercentage())
        }
        guard let choice else { throw unexpected("`mod` or `percentage`") }
        return Configuration.RandomBlockCall(choice: choice, location: location)
    }

    /// Parses a percentage with at most two decimals, in hundredths.
    private mutating func parsePercentage() throws(Diagnostic) -> Int {
        let written: String
        switch token.kind {
        case .number(let number): written = String(number)
        case .address(let text): written = text
        default: throw unexpected("a percentage")
        }
        let parts = written.split(separator: ".", omittingEmptySubsequences: false)
        let decimals = parts.count == 2 ? parts[1] : "0"
        guard parts.count <= 2, 1...2 ~= decimals.utf8.count, let whole = Int(parts[0]), whole < 100,
            let part = UInt8(decimals),
            case let hundredths = whole * 100 + Int(part) * (decimals.utf8.count == 1 ? 10 : 1), hundredths > 0
        else {
            throw Diagnostic(
                at: token.location, "`percentage` is from 0.01 to 99.99, with two decimals, which `\(written)` is not")
        }
        advance()
        return hundredths
    }

    private mutating func parseRateLimitCall(
        at location: SourceLocation
    ) throws(Diagnostic) -> Configuration.RateLimitCall {
        var call = Configuration.RateLimitCall(bitrate: 0, location: location)
        let range = 1...1_000_000_000_000_000
        try parseParameters(["bitrate", "normal-burst", "extended-burst"]) { parser, key throws(Diagnostic) in
            switch key {
            case "bitrate": call.bitrate = try parser.parseNumber(of: key, in: range)
            case "normal-burst": call.normalBurst = try parser.parseNumber(of: key, in: range)
            default: call.extendedBurst = try parser.parseNumber(of: key, in: range)
            }
        }
        guard call.bitrate > 0 else { throw unexpected("`bitrate`") }
        return call
    }
}
