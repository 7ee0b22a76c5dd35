import ArgumentParser
import ControlProtocol
import SystemSupport

struct RuleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rule",
        abstract: "Add, remove and list the rules of a dynamic ruleset.",
        usage: """
            npfctl rule NAME add RULE …
            npfctl rule NAME rem RULE …
            npfctl rule NAME rem-id ID
            npfctl rule NAME list
            npfctl rule NAME flush
            """)
    @OptionGroup var socket: SocketOption
    @Argument(help: "The ruleset.")
    var name: String
    @Argument(help: "add, rem, rem-id, list or flush.")
    var operation: Operation
    @Argument(parsing: .captureForPassthrough, help: "The rule, or its id.")
    var words: [String] = []

    enum Operation: String, ExpressibleByArgument, CaseIterable {
        case add
        case rem
        case del
        case remID = "rem-id"
        case list
        case flush

        fileprivate var request: ControlRequest.Ruleset.Operation {
            switch self {
            case .add: .add
            case .rem, .del: .remove
            case .remID: .removeByID
            case .list: .list
            case .flush: .flush
            }
        }
    }

    func validate() throws {
        switch operation {
        case .add, .rem, .del:
            guard !words.isEmpty else {
                throw ValidationError("no rule given: npfctl rule NAME add block from ADDRESS")
            }
        case .remID:
            guard words.count == 1 else {
                throw ValidationError("one rule's id is needed: npfctl rule NAME list shows it")
            }
        case .list, .flush:
            guard words.isEmpty else { throw ValidationError("nothing follows \(operation.rawValue)") }
        }
    }

    func run() throws {
        try reportingFailure {
            var request = ControlRequest(.rule)
            request.ruleset = .init(
                name: name, operation: operation.request, text: words.isEmpty ? nil : words.joined(separator: " "))
            for line in try socket.ask(request).lines ?? [] { StandardStream.output.write("\(line)\n") }
        }
    }
}
