extension Configuration {
    /// The configuration in canonical form: parsed again it is the same configuration.
    ///
    /// - Parameter annotation: Text to append as a comment to the line of a group's header or a rule, given its number
    ///   in the order of the walk, counted from 1; empty for none.
    public func text(annotation: (Int) -> String = { _ in "" }) -> String {
        var writer = Writer()
        for setting in settings { writer.line(setting.text) }
        if !settings.isEmpty { writer.line("") }
        for algorithm in algorithms { writer.line("alg \"\(algorithm.kind.rawValue)\"") }
        if !algorithms.isEmpty { writer.line("") }
        for table in tables { writer.line(table.text) }
        if !tables.isEmpty { writer.line("") }
        for procedure in procedures {
            writer.line("procedure \"\(procedure.name)\" {")
            for call in procedure.calls { writer.line("\t\(call.text)") }
            writer.line("}")
            writer.line("")
        }
        for group in groups {
            if writer.entry > 0 { writer.line("") }
            writer.write(group, depth: 0, annotation: annotation)
        }
        return writer.text
    }

    /// Collects the lines and counts the entries.
    private struct Writer {
        var text = ""
        var entry = 0

        mutating func line(_ line: String) {
            text += line
            text += "\n"
        }

        mutating func write(_ group: Group, depth: Int, annotation: (Int) -> String) {
            let indent = String(repeating: "\t", count: depth)
            entryLine("\(indent)\(group.headerText) {", annotation: annotation)
            for item in group.items {
                switch item {
                case .rule(let rule): entryLine("\(indent)\t\(rule.text)", annotation: annotation)
                case .group(let group): write(group, depth: depth + 1, annotation: annotation)
                case .ruleset(let ruleset): entryLine("\(indent)\t\(ruleset.text)", annotation: annotation)
                }
            }
            line("\(indent)}")
        }

        private mutating func entryLine(_ text: String, annotation: (Int) -> String) {
            entry += 1
            let comment = annotation(entry)
            line(comment.isEmpty ? text : "\(text)  # \(comment)")
        }
    }
}

extension Configuration.Setting {
    /// `set PARAMETER VALUE`.
    public var text: String { "set \(parameter.rawValue) \(parameter.text(value))" }
}

extension Configuration.Table {
    /// `table <NAME> type TYPE …`.
    public var text: String {
        let text = "table <\(name)> type \(type.rawValue)"
        return file.map { "\(text) file \"\($0)\"" } ?? text
    }
}

extension Configuration.Call {
    /// The call on one line, such as `log: npflog0`.
    public var text: String {
        switch self {
        case .lua(let call): call.text
        case .log(let call): "log: file \"\(call.file)\""
        case .normalize(let call): call.text
        case .randomBlock(let call): call.text
        case .rateLimit(let call): call.text
        }
    }
}

extension Configuration.NormalizeCall {
    fileprivate var text: String {
        var options: [String] = []
        if randomizesIdentification { options.append("\"random-id\"") }
        if clearsDontFragment { options.append("\"no-df\"") }
        if let minimumTTL { options.append("\"min-ttl\" \(minimumTTL)") }
        if let maximumSegmentSize { options.append("\"max-mss\" \(maximumSegmentSize)") }
        return "normalize: \(options.joined(separator: ", "))"
    }
}

extension Configuration.RandomBlockCall {
    fileprivate var text: String {
        switch choice {
        case .every(let number): return "rndblock: mod \(number)"
        case .share(let hundredths):
            let (percent, rest) = hundredths.quotientAndRemainder(dividingBy: 100)
            return "rndblock: percentage \(percent).\(rest < 10 ? "0" : "")\(rest)"
        }
    }
}

extension Configuration.RateLimitCall {
    fileprivate var text: String {
        var text = "ratelimit: bitrate \(bitrate)"
        if let normalBurst { text += ", \"normal-burst\" \(normalBurst)" }
        if let extendedBurst { text += ", \"extended-burst\" \(extendedBurst)" }
        return text
    }
}

extension Configuration.LuaCall {
    /// `lua: call NAME …`.
    public var text: String {
        var text = "lua: call \(function)"
        if let file { text += ", file \"\(file)\"" }
        if let errorPolicy { text += ", error \(errorPolicy.rawValue)" }
        if let edit { text += ", edit \(Parameter.luaEdit.text(edit.value))" }
        if payloadOnly { text += ", payload" }
        if let inspection { text += ", inspect \(inspection.amount)\(inspection.unit == .packets ? " packets" : "")" }
        if let instructions { text += ", instructions \(instructions.value)" }
        if let memory { text += ", memory \(memory.value)" }
        if let milliseconds { text += ", time \(milliseconds.value)" }
        return text
    }
}

extension Configuration.Group {
    /// The group without its members and its brace.
    public var headerText: String {
        guard let name else { return "group default" }
        return "group \"\(name)\"" + placeText(direction, interface)
    }
}

extension Configuration.DynamicRuleset {
    /// `ruleset "NAME" …`.
    public var text: String { "ruleset \"\(name)\"" + placeText(direction, interface) }
}

extension Configuration.Rule {
    /// The rule on one line, such as `pass in final proto tcp to any port 22 apply "ssh"`.
    public var text: String {
        var words = [action.text]
        switch state {
        case .none: break
        case .stateful: words.append("stateful")
        case .statefulAll: words.append("stateful-all")
        }
        if let direction { words.append(direction.rawValue) }
        if isFinal { words.append("final") }
        if let interface { words += ["on", interfaceText(interface)] }
        if let family { words += ["family", family.rawValue] }
        if !protocols.isEmpty { words += ["proto", listText(protocols.map(\.text))] }
        if let packetFilter {
            words += ["pcap-filter", "\"\(packetFilter.expression)\""]
        } else if source == .any && destination == .any {
            words.append("all")
        }
        if source != .any { words += ["from", source.text] }
        if destination != .any { words += ["to", destination.text] }
        if let scriptFilter {
            words += ["lua-filter", "\"\(scriptFilter.file)\"", "call", scriptFilter.function]
        }
        if let procedure { words += ["apply", "\"\(procedure)\""] }
        return words.joined(separator: " ")
    }
}

extension Configuration.Action {
    fileprivate var text: String {
        switch self {
        case .pass: "pass"
        case .block(.none): "block"
        case .block(.rst): "block return-rst"
        case .block(.icmp): "block return-icmp"
        case .block(.both): "block return"
        }
    }
}

extension Configuration.ProtocolMatch {
    fileprivate var text: String {
        let name =
            switch number {
            case 1: "icmp"
            case 6: "tcp"
            case 17: "udp"
            case 58: "ipv6-icmp"
            default: String(number)
            }
        switch options {
        case .none: return name
        case .flags(let match, let mask): return "\(name) flags \(flagsText(match))/\(flagsText(mask))"
        case .icmp(let type, nil): return "\(name) icmp-type \(type)"
        case .icmp(let type, let code?): return "\(name) icmp-type \(type) code \(code)"
        }
    }

    private func flagsText(_ flags: UInt8) -> String {
        String(WellKnown.tcpFlags.enumerated().filter { flags & 1 << UInt8($0.offset) != 0 }.map(\.element))
    }
}

extension Configuration.Endpoint {
    fileprivate var text: String {
        var words = isNegated ? ["!"] : []
        words.append(addresses.isEmpty ? "any" : listText(addresses.map(\.text)))
        if !ports.isEmpty { words += ["port", listText(ports.map(\.text))] }
        return words.joined(separator: " ")
    }
}

extension Configuration.AddressElement {
    var text: String {
        switch self {
        case .prefix(let prefix): prefix.description
        case .table(let name): "<\(name)>"
        case .interface(let name, let family): "\(family?.rawValue ?? "ifaddrs")(\(interfaceText(name)))"
        }
    }
}

extension Configuration.PortRange {
    fileprivate var text: String { first == last ? "\(first)" : "\(first)-\(last)" }
}

/// A list of one element needs no braces.
private func listText(_ elements: [String]) -> String {
    elements.count == 1 ? elements[0] : "{ \(elements.joined(separator: ", ")) }"
}

private func placeText(_ direction: Configuration.Direction?, _ interface: String?) -> String {
    let text = direction.map { " \($0.rawValue)" } ?? ""
    return interface.map { "\(text) on \(interfaceText($0))" } ?? text
}

/// An interface's name, in quotes where it is not a plain word.
private func interfaceText(_ name: String) -> String {
    Lexer.isPlainWord(name) && !Keyword.all.contains(name) ? name : "\"\(name)\""
}
