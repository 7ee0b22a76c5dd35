extension Parser {
    /// Parses `table <NAME> type TYPE [file "FILE" | dynamic]`.
    mutating func parseTable() throws(Diagnostic) {
        advance()
        let location = token.location
        guard case .table(let name) = token.kind else { throw unexpected("a table's name, such as `<blocked>`,") }
        guard !tables.contains(name) else {
            throw Diagnostic(at: location, "there is a table `<\(name)>` already; give this one another name")
        }
        tables.declare(name, at: location)
        advance()
        guard accept(word: "type") else { throw unexpected("`type`", words: ["type"]) }
        let type = try parseTableType()
        var table = Configuration.Table(name: name, type: type, location: location)
        if accept(word: "file") {
            table.file = try parseQuotedName("a path")
        } else if isAt(word: "dynamic") {
            warn(at: token.location, "`dynamic` says nothing: each table without `file` is filled while it is used")
            advance()
        }
        guard table.file != nil || type != .const else {
            throw Diagnostic(at: location, "a constant table never changes, so it needs its contents: `file \"…\"`")
        }
        configuration.tables.append(table)
    }

    private mutating func parseTableType() throws(Diagnostic) -> Configuration.TableType {
        let types = ["ipset", "lpm", "const"]
        guard case .word(let word) = token.kind else { throw unexpected("`ipset`, `lpm` or `const`") }
        let location = token.location
        guard let type = Configuration.TableType(name: word) else {
            throw unexpected("`ipset`, `lpm` or `const`", words: types)
        }
        if word != type.rawValue { warn(at: location, "`\(word)` is called `\(type.rawValue)` today") }
        advance()
        return type
    }
}
