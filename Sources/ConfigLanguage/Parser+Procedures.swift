extension Parser {
    /// The calls of NPF's extensions.
    private static let foreignCalls = ["log", "normalize", "ratelimit", "rndblock"]

    /// Parses `procedure "NAME" { CALL }`.
    mutating func parseProcedure() throws(Diagnostic) -> Configuration.Procedure {
        try advance()
        let location = token.location
        guard case .string(let name) = token.kind else { throw unexpected("a procedure's name in quotes") }
        try refuseControlCharacters(in: name)
        guard !procedureNames.contains(name) else {
            throw Diagnostic(at: location, "there is a procedure \(token.quoted) already; give this one another name")
        }
        try advance()
        try expect("{")
        var call: Configuration.LuaCall?
        while try startStatement(), !isAt("}") {
            let next = try parseCall()
            guard call == nil else {
                throw Diagnostic(at: next.location, "a procedure makes one call in this version")
            }
            call = next
            guard isAtSeparator || isAt("}") else { throw unexpected("`,` or the end of the line") }
        }
        guard let call else {
            throw Diagnostic(at: location, "the procedure does nothing; write `lua: call filter` into its braces")
        }
        try advance()
        return Configuration.Procedure(name: name, call: call, location: location)
    }

    /// Parses `lua: [PARAMETER, …]`.
    private mutating func parseCall() throws(Diagnostic) -> Configuration.LuaCall {
        guard case .word(let name) = token.kind else { throw unexpected("`lua:` or `}`") }
        guard name == "lua" else {
            if Self.foreignCalls.contains(name) { throw notInThisVersion }
            throw unexpected("`lua:`", words: ["lua"])
        }
        var call = Configuration.LuaCall(location: token.location)
        try advance()
        try expect(":")
        guard !isAtSeparator, !isAt("}") else { return call }
        var seen: Set<String> = []
        repeat {
            try parseParameter(of: &call, seen: &seen)
        } while try accept(",")
        return call
    }

    private mutating func parseParameter(
        of call: inout Configuration.LuaCall, seen: inout Set<String>
    ) throws(Diagnostic) {
        let keys = ["call", "file", "error", "edit", "instructions", "memory", "time"]
        guard let key = text, keys.contains(key) else {
            throw unexpected(keys.map { "`\($0)`" }.joined(separator: ", "), words: keys)
        }
        guard seen.insert(key).inserted else {
            throw Diagnostic(at: token.location, "`\(key)` stands twice in this call")
        }
        try advance()
        switch key {
        case "call": call.function = try parseFunction()
        case "file": call.file = try parseFile()
        case "error": call.errorPolicy = try parseErrorPolicy()
        case "edit": call.allowsEdits = try parseWord(of: ["off", "on"]) == 1
        case "instructions": call.instructions = try parseLimit(.luaInstructions)
        case "memory": call.memory = try parseLimit(.luaMemory)
        default: call.milliseconds = try parseLimit(.luaTime)
        }
    }

    private mutating func parseFunction() throws(Diagnostic) -> String {
        guard let name = text else { throw unexpected("the name of a Lua function") }
        guard Lexer.isPlainWord(name), name.utf8.count <= 64 else {
            throw Diagnostic(at: token.location, "`\(name)` is no name of a Lua function, such as `filter`")
        }
        try advance()
        return name
    }

    private mutating func parseFile() throws(Diagnostic) -> String {
        guard case .string(let path) = token.kind else { throw unexpected("a path in quotes") }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        try refuseControlCharacters(in: path)
        guard parts.allSatisfy({ !["", ".", ".."].contains($0) }) else {
            throw Diagnostic(
                at: token.location, "the script is a plain path within the script directory, such as `\"filter.lua\"`")
        }
        try advance()
        return path
    }

    private mutating func parseErrorPolicy() throws(Diagnostic) -> ErrorPolicy {
        guard let word = text, let policy = ErrorPolicy(rawValue: word) else {
            throw unexpected("`block` or `pass`", words: ["block", "pass"])
        }
        try advance()
        return policy
    }

    private mutating func parseLimit(_ parameter: Parameter) throws(Diagnostic) -> Configuration.Limit {
        let location = token.location
        return Configuration.Limit(value: try parseNumber(of: parameter), location: location)
    }
}
