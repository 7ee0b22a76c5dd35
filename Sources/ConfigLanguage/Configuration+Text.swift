extension Configuration {
    /// The configuration in canonical form: parsed again it is the same configuration.
    ///
    /// - Parameter annotation: Text to append as a comment to the line of a group's header or a rule, given its number
    ///   in the order of the walk, counted from 1; empty for none.
    public func text(annotation: (Int) -> String = { _ in "" }) -> String {
        var writer = Writer()
        for setting in settings { writer.line(setting.text) }
        if !settings.isEmpty { writer.line("") }
        for procedure in procedures {
            writer.line("procedure \"\(procedure.name)\" {")
            writer.line("\t\(procedure.call.text)")
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
    public var text: String {
        "set \(parameter.rawValue) \(parameter.words?[value] ?? String(value))"
    }
}

extension Configuration.LuaCall {
    /// `lua: call NAME …`.
    public var text: String {
        var text = "lua: call \(function)"
        if let file { text += ", file \"\(file)\"" }
        if let errorPolicy { text += ", error \(errorPolicy.rawValue)" }
        if let allowsEdits { text += ", edit \(allowsEdits ? "on" : "off")" }
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
        var text = "group \"\(name)\""
        if let direction { text += " \(direction.rawValue)" }
        if let interface { text += " on \(interfaceText(interface))" }
        return text
    }
}

extension Configuration.Rule {
    /// The rule on one line, such as `pass in final proto tcp to any port 22 apply "ssh"`.
    public var text: String {
        var words = [action.text]
        if let direction { words.append(direction.rawValue) }
        if isFinal { words.append("final") }
        if let interface { words += ["on", interfaceText(interface)] }
        if let family { words += ["family", family.rawValue] }
        if !protocols.isEmpty { words += ["proto", listText(protocols.map(\.text))] }
        if source == .any && destination == .any { words.append("all") }
        if source != .any { words += ["from", source.text] }
        if destination != .any { words += ["to", destination.text] }
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
    fileprivate var text: String {
        switch self {
        case .prefix(let prefix): prefix.description
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

/// An interface's name, in quotes where it is not a plain word.
private func interfaceText(_ name: String) -> String {
    Lexer.isPlainWord(name) && !Keyword.all.contains(name) ? name : "\"\(name)\""
}
