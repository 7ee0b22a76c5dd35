/// A value in a variable's definition.
struct VariableElement {
    enum Value {
        /// An interface, a port or an ICMP type by its name.
        case name(String)
        case number(UInt64)
        case range(UInt64, UInt64)
        case prefix(AddressPrefix)
        case table(String)
        /// The addresses of an interface.
        case interface(String, family: Configuration.Family?)
        /// Another variable, which stands for what it holds when a rule uses it.
        case variable(String)
        /// What a definition with a mistake would say; its place is that of the mistake.
        case unknown
    }

    let value: Value
    let location: SourceLocation
}

extension Parser {
    /// The elements that one use of a variable may expand to.
    private static let maximumExpansion = 65_536

    /// Parses `$NAME = ELEMENT` or `$NAME = { ELEMENT, … }`.
    mutating func parseVariable(_ name: String) throws(Diagnostic) {
        let location = token.location
        advance()
        var elements: [VariableElement] = []
        do throws(Diagnostic) {
            try expect("=")
            try parseList { parser throws(Diagnostic) in elements.append(try parser.parseVariableElement()) }
        } catch {
            variables[name] = [VariableElement(value: .unknown, location: error.location)]
            variableUses.declare(name, at: location)
            throw error
        }
        let isNew = variables.updateValue(elements, forKey: name) == nil
        variableUses.declare(name, at: location)
        // A new variable stands for older ones; only another value for an old one can close a circle.
        if !isNew { _ = try expand(name, at: location, isUse: false) }
    }

    private mutating func parseVariableElement() throws(Diagnostic) -> VariableElement {
        rescanName()
        let location = token.location
        func element(_ value: VariableElement.Value) -> VariableElement {
            VariableElement(value: value, location: location)
        }
        switch token.kind {
        case .word where isAtInterfaceFunction:
            let (name, family) = try parseInterfaceFunction()
            return element(.interface(name, family: family))
        case .word(let word):
            try throwIfKeyword()
            advance()
            return element(.name(word))
        case .string(let text):
            advance()
            return element(.name(text))
        case .number(let first):
            advance()
            guard accept("-") else { return element(.number(first)) }
            guard case .number(let last) = token.kind else { throw unexpected("a number") }
            advance()
            return element(.range(first, last))
        case .variable(let name):
            guard variables[name] != nil else { throw undefined(name, at: location) }
            advance()
            return element(.variable(name))
        case .table(let name):
            try use(table: name, at: location)
            advance()
            return element(.table(name))
        case .address:
            return element(.prefix(try parsePrefix()))
        default:
            throw unexpected("a value")
        }
    }

    /// The values of the variable `name`, those of variables in it included.
    mutating func expand(
        _ name: String, at location: SourceLocation, isUse: Bool = true
    ) throws(Diagnostic) -> [VariableElement] {
        guard let elements = variables[name] else { throw undefined(name, at: location) }
        if isUse { variableUses.use(name) }
        var values: [VariableElement] = []
        var path: [(name: String, rest: ArraySlice<VariableElement>)] = [(name, elements[...])]
        var open: Set<String> = [name]
        var steps = 0
        while let last = path.indices.last {
            guard let element = path[last].rest.popFirst() else {
                open.remove(path.removeLast().name)
                continue
            }
            steps += 1
            expansionBudget -= 1
            guard steps <= Self.maximumExpansion else {
                throw Diagnostic(at: location, "`$\(name)` expands to more than \(Self.maximumExpansion) values")
            }
            guard expansionBudget >= 0 else {
                throw Diagnostic(at: location, "the variables of this file expand to more than 1048576 values")
            }
            switch element.value {
            case .variable(let inner):
                guard open.insert(inner).inserted else {
                    throw Diagnostic(at: element.location, "`$\(inner)` is a part of itself")
                }
                guard let elements = variables[inner] else { throw undefined(inner, at: element.location) }
                if isUse { variableUses.use(inner) }
                path.append((inner, elements[...]))
            case .unknown:
                // There is an error at that place, which this one gives way to.
                throw Diagnostic(at: element.location, "`$\(name)` holds something that is not known")
            default:
                values.append(element)
            }
        }
        return values
    }

    func undefined(_ name: String, at location: SourceLocation) -> Diagnostic {
        undefined("variable", name, among: variables.keys, written: { "$\($0)" }, by: "$\(name) = …", at: location)
    }

    /// What to say where a name is used that nothing has defined.
    ///
    /// - Parameters:
    ///   - known: the names that there are of its kind.
    ///   - written: such a name as it stands in rules.
    ///   - definition: what would define it.
    func undefined(
        _ kind: String, _ name: String, among known: some Sequence<String>, written: (String) -> String,
        by definition: String, at location: SourceLocation
    ) -> Diagnostic {
        let advice =
            closest(to: name, among: known.sorted()).map { "did you mean `\(written($0))`?" }
            ?? "`\(definition)` defines it"
        return Diagnostic(at: location, "the \(kind) `\(written(name))` is not defined before this; \(advice)")
    }
}
