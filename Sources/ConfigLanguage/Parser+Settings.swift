extension Parser {
    /// How the names of NPF's parameters begin.
    private static let foreignParameters = ["bpf.jit", "gc.", "ip4.", "ip6.", "portmap.", "state."]

    /// Parses `set PARAMETER VALUE`.
    mutating func parseSetting() throws(Diagnostic) -> Configuration.Setting {
        try advance()
        rescanName()
        let location = token.location
        guard case .word(let name) = token.kind else { throw unexpected("a parameter's name") }
        guard let parameter = Parameter(rawValue: name) else {
            if Self.foreignParameters.contains(where: name.hasPrefix) { throw notInThisVersion }
            let names = Parameter.allCases.map(\.rawValue)
            let hint =
                closest(to: name, among: names).map { "did you mean `\($0)`?" }
                ?? "there are \(names.map { "`\($0)`" }.joined(separator: ", "))"
            throw Diagnostic(at: location, "the parameter `\(name)` is unknown; \(hint)")
        }
        try advance()
        let value =
            if let words = parameter.words { try parseWord(of: words) } else { try parseNumber(of: parameter) }
        return Configuration.Setting(parameter: parameter, value: value, location: location)
    }

    /// Parses one of the words, which is its index.
    mutating func parseWord(of words: [String]) throws(Diagnostic) -> Int {
        guard let word = text, let value = words.firstIndex(of: word) else {
            throw unexpected(words.map { "`\($0)`" }.joined(separator: " or "), words: words)
        }
        try advance()
        return value
    }

    /// Parses a number in the unit and the range of `parameter`, with or without a suffix.
    mutating func parseNumber(of parameter: Parameter) throws(Diagnostic) -> Int {
        var (value, power): (UInt64, Int)
        switch token.kind {
        case .number(let number): (value, power) = (number, 0)
        case .scaledNumber(let number, UInt8(ascii: "k")): (value, power) = (number, 1)
        case .scaledNumber(let number, UInt8(ascii: "m")): (value, power) = (number, 2)
        case .scaledNumber(let number, UInt8(ascii: "g")): (value, power) = (number, 3)
        case .scaledNumber(let number, _): (value, power) = (number, 4)
        default: throw unexpected("a number")
        }
        for _ in 0..<power {
            let (product, overflow) = value.multipliedReportingOverflow(by: parameter.kilo)
            value = overflow ? .max : product
        }
        guard let number = Int(exactly: value), parameter.range.contains(number) else {
            let range = parameter.range
            throw Diagnostic(
                at: token.location,
                "`\(parameter.rawValue)` is from \(range.lowerBound) to \(range.upperBound), which \(token.quoted) is not"
            )
        }
        try advance()
        return number
    }
}
