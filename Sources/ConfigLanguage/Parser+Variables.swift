/// A value in a variable's definition.
struct VariableElement {
    enum Value {
        /// An interface, a port or an ICMP type by its name.
        case name(String)
        case number(UInt64)
        case range(UInt64, UInt64)
        case prefix(AddressPrefix)
        /// Another variable, which stands for what it holds when a rule uses it.
        case variable(String)
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
        try advance()
        try expect("=")
        var elements: [VariableElement] = []
        try parseList { parser throws(Diagnostic) in elements.append(try parser.parseVariableElement()) }
        let isNew = variables.updateValue(elements, forKey: name) == nil
        // A new variable stands for older ones; only another value for an old one can close a circle.
        if !isNew { _ = try expand(name, at: location) }
    }

    private mutating func parseVariableElement() throws(Diagnostic) -> VariableElement {
        rescanName()
        let location = token.location
        func element(_ value: VariableElement.Value) -> VariableElement {
            VariableElement(value: value, location: location)
        }
        switch token.kind {
        case .word(let word):
            try refuseInterfaceAddresses()
            try refuseKeyword()
            try advance()
            return element(.name(word))
        case .string(let text):
            try advance()
            return element(.name(text))
        case .number(let first):
            try advance()
            guard try accept("-") else { return element(.number(first)) }
            guard case .number(let last) = token.kind else { throw unexpected("a number") }
            try advance()
            return element(.range(first, last))
        case .variable(let name):
            guard variables[name] != nil else { throw undefined(name, at: location) }
            try advance()
            return element(.variable(name))
        case .address, .table:
            return element(.prefix(try parsePrefix()))
        default:
            throw unexpected("a value")
        }
    }

    /// The values of the variable `name`, those of variables in it included.
    mutating func expand(_ name: String, at location: SourceLocation) throws(Diagnostic) -> [VariableElement] {
        guard let elements = variables[name] else { throw undefined(name, at: location) }
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
            guard case .variable(let inner) = element.value else {
                values.append(element)
                continue
            }
            guard open.insert(inner).inserted else {
                throw Diagnostic(at: element.location, "`$\(inner)` is a part of itself")
            }
            guard let elements = variables[inner] else { throw undefined(inner, at: element.location) }
            path.append((inner, elements[...]))
        }
        return values
    }

    func undefined(_ name: String, at location: SourceLocation) -> Diagnostic {
        let near = closest(to: name, among: Array(variables.keys).sorted()).map { "; did you mean `$\($0)`?" }
        return Diagnostic(at: location, "the variable `$\(name)` is not defined before this\(near ?? "")")
    }
}
