extension Parser {
    /// Parses `set PARAMETER VALUE`.
    mutating func parseSetting() throws(Diagnostic) {
        advance()
        rescanName()
        let location = token.location
        guard case .word(let name) = token.kind else { throw unexpected("a parameter's name") }
        guard let parameter = Parameter(rawValue: name) else {
            let near = closest(to: name, among: Parameter.allCases.map(\.rawValue))
            throw Diagnostic(
                at: location,
                "the parameter `\(name)` is unknown; \(near.map { "did you mean `\($0)`?" } ?? "npf.conf(5) lists them")"
            )
        }
        advance()
        let value =
            switch parameter.form {
            case .number: try parseNumber(of: parameter)
            case .flag: try parseFlag()
            case .policy: try parseChoice([("open", 1), ("closed", 0)])
            case .mask: try parseMask(of: parameter)
            }
        if let note = parameter.note { warn(at: location, note) }
        configuration.settings.append(Configuration.Setting(parameter: parameter, value: value, location: location))
    }

    /// Parses `alg "NAME"`.
    mutating func parseAlgorithm() throws(Diagnostic) {
        advance()
        let location = token.location
        let name = try parseQuotedName("the name of a gateway")
        guard let kind = Configuration.ApplicationGateway.Kind(rawValue: name) else {
            throw Diagnostic(
                at: location,
                "`alg \"\(name)\"`: there is `alg \"icmp\"` alone; for other protocols let the kernel's connection "
                    + "tracking pass what belongs together, with a `ct helper` of nftables")
        }
        guard !configuration.algorithms.contains(where: { $0.kind == kind }) else {
            throw Diagnostic(at: location, "`alg \"\(name)\"` stands here twice")
        }
        configuration.algorithms.append(Configuration.ApplicationGateway(kind: kind, location: location))
    }

    /// Parses `on` or `off`, for which upstream takes 1 and 0 too.
    mutating func parseFlag() throws(Diagnostic) -> Int {
        if case .number(let number) = token.kind, number <= 1 {
            advance()
            return Int(number)
        }
        return try parseChoice([("on", 1), ("off", 0)])
    }

    private mutating func parseChoice(_ choices: [(word: String, value: Int)]) throws(Diagnostic) -> Int {
        guard let choice = choices.first(where: { $0.word == text }) else {
            let words = choices.map(\.word)
            throw unexpected(words.map { "`\($0)`" }.joined(separator: " or "), words: words)
        }
        advance()
        return choice.value
    }

    /// Parses a number whose bits stand together: two or more, or none.
    private mutating func parseMask(of parameter: Parameter) throws(Diagnostic) -> Int {
        guard case .number(let number) = token.kind else { throw unexpected("a mask, such as `0xc0000000`") }
        let bits = number >> UInt64(min(number.trailingZeroBitCount, 63))
        guard let mask = UInt32(exactly: number), mask == 0 || bits > 1 && bits & (bits + 1) == 0 else {
            throw Diagnostic(
                at: token.location,
                "`\(parameter.rawValue)` is two or more bits of 32 that stand together, such as `0xc0000000`, or 0")
        }
        advance()
        return Int(mask)
    }

    /// Parses a number in the unit and the range of `parameter`, with or without a suffix.
    mutating func parseNumber(of parameter: Parameter) throws(Diagnostic) -> Int {
        let token = token
        let value = try parseNumber(of: parameter.rawValue, in: parameter.range, kilo: parameter.kilo)
        let least = parameter.leastBesideZero
        guard value == 0 || value >= least else {
            throw Diagnostic(
                at: token.location,
                "`\(parameter.rawValue)` is 0, or from \(least) to \(parameter.range.upperBound), which \(token.quoted) is not"
            )
        }
        return value
    }

    /// Parses a number of `range`, with or without a suffix, of which `k` stands for `kilo`.
    mutating func parseNumber(
        of name: String, in range: ClosedRange<Int>, kilo: UInt64 = 1000
    ) throws(Diagnostic) -> Int {
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
            let (product, overflow) = value.multipliedReportingOverflow(by: kilo)
            value = overflow ? .max : product
        }
        guard let number = Int(exactly: value), range.contains(number) else {
            throw Diagnostic(
                at: token.location,
                "`\(name)` is from \(range.lowerBound) to \(range.upperBound), which \(token.quoted) is not")
        }
        advance()
        return number
    }
}
