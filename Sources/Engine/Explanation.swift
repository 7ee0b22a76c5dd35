public import ConfigLanguage
public import ControlProtocol
import Packet
import Ruleset
import States

/// Says what becomes of described packets and why, states kept from packet to packet.
public struct Explainer: ~Copyable {
    private var filter: OfflineFilter
    private let ruleset: CompiledRuleset
    /// What a script that failed on the last packet said, without its traceback; nil where none failed.
    package private(set) var failure: String?

    /// Makes an explainer of a configuration's rules; nothing has been seen yet.
    ///
    /// - Throws: `ConfigurationErrors` where a script cannot be loaded.
    public init(_ configuration: LoadedConfiguration) throws(ConfigurationErrors) {
        filter = try OfflineFilter(configuration)
        ruleset = configuration.ruleset
        // What scripts log while they are loaded is about no packet.
        _ = takeMessages()
    }

    /// Decides a packet as the daemon would, scripts and procedures included, and says why.
    ///
    /// - Parameter clock: nanoseconds on a clock that does not go back.
    public mutating func explain(_ description: PacketDescription, at clock: Int64) -> ExplanationReport {
        var packet = description.packet
        let original = packet
        filter.filter.forgetAnswers()
        let known = filter.peek(packet, description, at: clock)
        let decision = filter.decide(
            &packet, on: description.interface, description.direction, time: clock, clock: clock)
        var messages = takeMessages()
        failure = messages.first { $0.level == nil }.map { String($0.text.prefix { !$0.isNewline }) }
        guard let headers = try? PacketHeaders(parsing: unsafe original.span.bytes) else {
            return .malformed
        }
        var walk = unsafe filter.withOrigin(
            on: description.interface, description.direction, time: clock, clock: clock
        ) { filter, origin in
            unsafe filter.explain(headers, original, from: origin)
        }
        let steps = ExplanationText.steps(of: walk.steps, in: ruleset)
        walk.steps = []
        messages += takeMessages()
        var procedure = walk.match.procedure
        if case .pass(let match) = known { procedure = match.procedure }
        let name = procedure < 0 ? "" : ruleset.procedures[Int(procedure)].name
        let dropped = filter.messages.takeDropped()
        return ExplanationReport(
            walk.match, decision: "\(decision.verdict)", in: ruleset,
            steps: ExplanationText.lines(about: known, in: ruleset) + steps
                + ExplanationText.lines(about: decision, by: name)
                + messages.flatMap(ExplanationText.lines(of:))
                + (dropped == 0 ? [] : ["script: \(dropped) more messages"]))
    }

    private func takeMessages() -> [ScriptLog.Message] {
        var messages: [ScriptLog.Message] = []
        while let message = filter.messages.take() { messages.append(message) }
        return messages
    }
}

extension OfflineFilter {
    fileprivate mutating func peek(
        _ packet: [UInt8], _ description: PacketDescription, at clock: Int64
    ) -> StateLookup {
        var packet = packet
        return unsafe withOrigin(
            on: description.interface, description.direction, time: clock, clock: clock
        ) { filter, origin in
            unsafe packet.withUnsafeMutableBytes { unsafe filter.peek($0, from: origin) }
        }
    }
}

extension Filter {
    /// Has scripts be asked anew.
    fileprivate func forgetAnswers() {
        for place in 0..<askedScripts.count { unsafe answers[place] = .none }
    }

    /// The walk of the rules for a packet, watched.
    ///
    /// A script that was asked for the packet's decision is not asked again.
    fileprivate mutating func explain(
        _ headers: PacketHeaders, _ packet: [UInt8], from origin: PacketOrigin
    ) -> (match: Match, steps: [WalkStep]) {
        var packet = packet
        // A packet that passed by its state has asked no script yet: they are asked while nothing else is going on.
        let entries = ruleset.rules.indices.filter { ruleset.rules[$0].scriptFilter != nil }
        return unsafe packet.withUnsafeMutableBytes { packet in
            let bytes = unsafe packet.bytes
            return unsafe ruleset.explain(
                headers, bytes: bytes, interface: origin.interface, direction: origin.direction, tables: lookup
            ) { script in
                if unsafe answers[script] == .none {
                    let entry = entries.first { ruleset.rules[$0].scriptFilter == script } ?? 0
                    return unsafe ask(Int32(script), of: Int32(entry), on: packet, headers, origin)
                }
                return unsafe answers[script] == .matches
            }
        }
    }
}

extension ExplanationReport {
    /// Of a packet that nothing is decided about but that it is blocked.
    static let malformed = ExplanationReport(
        ruleset: "nomatch", entry: 0, decision: "block", rule: nil, location: nil,
        steps: ["the packet is malformed: it breaks off within its headers"])

    /// - Parameters:
    ///   - match: what the rules alone say.
    ///   - decision: what the whole filter says.
    init(_ match: Match, decision: String, in ruleset: CompiledRuleset, steps: [String]) {
        let rule = ruleset.rules[Int(match.entry)]
        self.init(
            ruleset: match.entry == 0 ? "nomatch" : match.blocks ? "block" : "pass", entry: Int(match.entry),
            decision: decision, rule: match.entry == 0 ? nil : ruleset.text(of: match),
            location: rule.location.map { "\($0)" }, steps: steps)
    }
}

extension CompiledRuleset {
    /// The rule that decided, or that a step is about.
    fileprivate func text(of match: Match) -> String {
        text(entry: Int(match.entry), dynamicRule: match.dynamicRule < 0 ? nil : Int(match.dynamicRule))
    }

    fileprivate func text(entry: Int, dynamicRule: Int?) -> String {
        guard let dynamicRule else { return rules[entry].text }
        // The dynamic rulesets are in the order of the walk.
        let number = rules[..<entry].count { $0.kind == .ruleset }
        return dynamicRulesets[number].rules[dynamicRule].text
    }
}

/// Explanations in words, a line each.
enum ExplanationText {
    static func steps(of steps: [WalkStep], in ruleset: CompiledRuleset) -> [String] {
        steps.map { step in
            let rule = ruleset.rules[step.entry]
            let text = ruleset.text(entry: step.entry, dynamicRule: step.dynamicRule)
            let depth = rule.depth + (step.dynamicRule == nil ? 0 : 1)
            let indent = String(repeating: "  ", count: depth)
            let place = rule.location.map { " (\($0))" } ?? ""
            let outcome =
                switch step.outcome {
                case .entered: "entered"
                case .skipped(let criterion): "skipped: \(criterion.rawValue)"
                case .matched(let isFinal): isFinal ? "matches, and is final" : "matches"
                case .failed(let criterion): "does not match: \(criterion.rawValue)"
                case .barrier: "not reached: a rule matched before it"
                }
            return "\(indent)\(text)\(place): \(outcome)"
        }
    }

    /// What a look at the states said before the packet was decided.
    static func lines(about lookup: StateLookup, in ruleset: CompiledRuleset) -> [String] {
        switch lookup {
        case .none: return []
        case .invalid: return ["state: the packet belongs to a connection and does not fit it, so the rules decide"]
        case .pass(let match):
            let side = match.flow == .forward ? "opened" : "answers"
            guard match.entry > 0 else {
                return ["state: the packet \(side) a connection whose rule is gone, and passes without the rules"]
            }
            let rule = ruleset.rules[Int(match.entry)]
            let place = rule.location.map { " (\($0))" } ?? ""
            return [
                "state: the packet is of the side that \(side) a connection that “\(rule.text)”\(place) let through; "
                    + "it passes without the rules, which alone would say:"
            ]
        }
    }

    /// What besides the rules had a part in a decision; `procedure` is the name of the one that was run.
    static func lines(about decision: Decision, by procedure: String) -> [String] {
        var lines: [String] = []
        switch decision.state {
        case .created: lines.append("state: made; the rest of the connection passes by it")
        case .refused: lines.append("state: not made, there is one already or no room; the packet passes all the same")
        case .none, .known, .invalid: break
        }
        switch decision.cause {
        case .procedure: lines.append("procedure: “\(procedure)” blocks the packet")
        case .error:
            lines.append(
                "procedure: the script of “\(procedure)” failed, and its `error \(decision.verdict)` decides")
        case .options: lines.append("options: the packet has IP options, which are forbidden")
        case .state where decision.state == .none: lines.append("flow: a script has decided the rest of it")
        default: break
        }
        if decision.isChanged { lines.append("procedure: “\(procedure)” changes the packet") }
        if decision.isAnswered { lines.append("the sender is told") }
        return lines
    }

    /// What a script has logged, or why it failed, with its traceback.
    static func lines(of message: ScriptLog.Message) -> [String] {
        let lines = message.text.split(omittingEmptySubsequences: false) { $0.isNewline }
        let source = message.level.map { "script, \($0)" } ?? "script"
        return lines.prefix(1).map { "\(source): \($0)" } + lines.dropFirst().map { "  \($0)" }
    }
}
