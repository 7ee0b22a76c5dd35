extension Configuration.Table {
    /// Whether a table can have this name: a word, in which `-` may stand behind the first letter.
    public static func isName(_ name: String) -> Bool {
        var lexer = Lexer(SourceFile(name: "table", text: Array("<\(name)>".utf8)))
        return lexer.next().kind == .table(name)
    }
}

extension Configuration.TableType {
    /// Names that NPF had for the types.
    private static let formerNames: [String: Configuration.TableType] = ["hash": .ipset, "tree": .lpm, "cdb": .const]

    /// The type of a name, be it one of today or of former days; nil where there is none.
    public init?(name: String) {
        guard let type = Configuration.TableType(rawValue: name) ?? Self.formerNames[name] else { return nil }
        self = type
    }
}

extension Configuration {
    /// The same configuration, in which the table `name` has another name and type.
    public func replacingTable(_ name: String, with newName: String, _ type: TableType) -> Configuration {
        var replaced = self
        for index in tables.indices where tables[index].name == name {
            replaced.tables[index].name = newName
            replaced.tables[index].type = type
        }
        for index in groups.indices { replaced.groups[index].renameTable(name, to: newName) }
        return replaced
    }
}

extension Configuration.Group {
    /// Recurses into groups, which nest 16 levels.
    fileprivate mutating func renameTable(_ name: String, to newName: String) {
        for index in items.indices {
            switch items[index] {
            case .rule(let rule): items[index] = .rule(rule.renamingTable(name, to: newName))
            case .group(var group):
                group.renameTable(name, to: newName)
                items[index] = .group(group)
            case .ruleset: break
            }
        }
    }
}

extension Configuration.Rule {
    /// The same rule, which looks into the table `newName` where it looked into `name`.
    public func renamingTable(_ name: String, to newName: String) -> Configuration.Rule {
        func renamed(_ endpoint: Configuration.Endpoint) -> Configuration.Endpoint {
            var endpoint = endpoint
            endpoint.addresses = endpoint.addresses.map { $0 == .table(name) ? .table(newName) : $0 }
            return endpoint
        }
        var rule = self
        (rule.source, rule.destination) = (renamed(source), renamed(destination))
        return rule
    }
}
