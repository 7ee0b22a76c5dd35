public import ConfigLanguage
import ControlProtocol

/// Packets with the decisions that rules are expected to make: what `npfctl test` runs.
///
/// A line each of `pass DESCRIPTION`, `block DESCRIPTION` and `wait SECONDS`, which lets time go by; `#` begins a comment.
/// The packets come in order, and the connections that they make are kept.
public struct PolicyTest: Sendable {
    private enum Step: Sendable {
        case packet(PacketDescription, decision: String)
        case wait(seconds: Int64)
    }

    private let file: String
    private var steps: [(line: Int, step: Step)] = []

    /// Reads the text of a file.
    ///
    /// - Throws: `ConfigurationErrors` of all lines that cannot be read, whose description is `file:line:column: …`.
    public init(parsing text: String, file: String) throws(ConfigurationErrors) {
        self.file = file
        var errors: [Diagnostic] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.prefix { $0 != "#" }
            let words = content.split { $0.isWhitespace }
            guard let word = words.first else { continue }
            let location = SourceLocation(
                file: file, line: index + 1,
                column: line.utf8.distance(from: line.startIndex, to: word.startIndex) + 1)
            do throws(PacketDescriptionError) {
                steps.append((index + 1, try Self.step(word, rest: line[word.endIndex..<content.endIndex])))
            } catch {
                errors.append(Diagnostic(at: location, error.description))
            }
        }
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
    }

    private static func step(_ word: Substring, rest: Substring) throws(PacketDescriptionError) -> Step {
        switch word {
        case "pass", "block": return .packet(try PacketDescription(parsing: rest), decision: String(word))
        case "wait":
            let words = rest.split { $0.isWhitespace }
            guard words.count == 1, let seconds = Int64(words[0]), (0...1_000_000_000).contains(seconds) else {
                throw PacketDescriptionError("expected a number of seconds after `wait`")
            }
            return .wait(seconds: seconds)
        default: throw PacketDescriptionError("expected `pass`, `block` or `wait`, not `\(word)`")
        }
    }

    /// How many packets there are.
    public var packetCount: Int {
        steps.count { if case .packet = $0.step { true } else { false } }
    }

    /// Runs the packets through a configuration.
    ///
    /// - Parameter note: takes a line for each packet that was decided as expected, although a script failed.
    /// - Returns: the packets that were decided otherwise than expected, a line each.
    /// - Throws: `ConfigurationErrors` where a script cannot be loaded.
    public func run(
        _ configuration: LoadedConfiguration, note: (String) -> Void = { _ in }
    ) throws(ConfigurationErrors) -> [String] {
        var explainer = try Explainer(configuration)
        var clock: Int64 = 1_000_000_000
        var differences: [String] = []
        for (line, step) in steps {
            switch step {
            case .wait(let seconds): clock += seconds * 1_000_000_000
            case .packet(let packet, let expected):
                let explanation = explainer.explain(packet, at: clock)
                guard explanation.decision != expected else {
                    if let failure = explainer.failure {
                        note("\(file):\(line): decided as expected, but a script failed: \(failure)")
                    }
                    continue
                }
                let rule = explanation.rule.map { "“\($0)”" } ?? "default, for no rule matched"
                let place = explanation.location.map { " (\($0))" } ?? ""
                let reason = explainer.failure.map { "; a script failed: \($0)" } ?? ""
                differences.append(
                    "\(file):\(line): expected \(expected), got \(explanation.decision) by \(rule)\(place)\(reason)")
            }
        }
        return differences
    }
}
