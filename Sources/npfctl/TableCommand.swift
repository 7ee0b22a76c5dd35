import ArgumentParser
import ControlProtocol
import Packet
import SystemSupport

struct TableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table",
        abstract: "Add, remove, test and list the addresses of a table.",
        usage: """
            npfctl table NAME add ADDRESS[/LENGTH] [timeout SECONDS]
            npfctl table NAME rem ADDRESS[/LENGTH]
            npfctl table NAME test ADDRESS
            npfctl table NAME list
            npfctl table NAME flush
            npfctl table NAME replace [-n NAME] [-t TYPE] FILE
            """)
    @OptionGroup var socket: SocketOption
    @Argument(help: "The table, without angle brackets.")
    var name: String
    @Argument(help: "add, rem, test, list, flush or replace.")
    var operation: Operation
    @Argument(help: "The address, or the file; - for standard input.")
    var subject: String?
    @Argument(help: "After an address that is added: timeout SECONDS.")
    var timeout: [String] = []
    @Option(name: .customShort("n"), help: "With replace: the table's name from then on.")
    var newName: String?
    @Option(name: .customShort("t"), help: "With replace: the table's type from then on, ipset, lpm or const.")
    var type: String?

    enum Operation: String, ExpressibleByArgument, CaseIterable {
        case add
        case rem
        case del
        case test
        case list
        case flush
        case replace

        fileprivate var request: ControlRequest.Table.Operation {
            switch self {
            case .add: .add
            case .rem, .del: .remove
            case .test: .test
            case .list: .list
            case .flush: .flush
            case .replace: .replace
            }
        }
    }

    /// The seconds of `timeout SECONDS`.
    private var seconds: Int? {
        timeout.count == 2 && timeout[0] == "timeout" ? Int(timeout[1]).flatMap { $0 > 0 ? $0 : nil } : nil
    }

    func validate() throws {
        guard operation == .replace || newName == nil && type == nil else {
            throw ValidationError("-n and -t go with replace")
        }
        switch operation {
        case .add:
            guard subject != nil else { throw ValidationError("no address given: npfctl table NAME add 192.0.2.1") }
            guard timeout.isEmpty || seconds != nil else {
                throw ValidationError(
                    "what may follow the address is “timeout SECONDS”, with a whole number above zero")
            }
        case .rem, .del, .test, .replace:
            guard subject != nil, timeout.isEmpty else {
                throw ValidationError(
                    "\(operation.rawValue) takes one \(operation == .replace ? "file" : "address"), and nothing else")
            }
        case .list, .flush:
            guard subject == nil else { throw ValidationError("nothing follows \(operation.rawValue)") }
        }
    }

    func run() throws {
        try reportingFailure {
            var request = ControlRequest(.table)
            request.table = .init(name: name, operation: operation.request, seconds: seconds)
            if operation == .replace {
                let file = subject ?? "-"
                request.file = .init(
                    name: file == "-" ? "stdin" : file, text: try readText(file, limit: ControlRequest.maximumLength))
                request.table?.newName = newName
                request.table?.type = type
            } else {
                request.table?.address = subject
            }
            if operation != .replace, let subject, let prefix = Prefix(subject),
                Address(subject.prefix { $0 != "/" }) != prefix.address
            {
                report("warning: `\(subject)` has bits behind its prefix; the network is `\(prefix)`")
            }
            for line in try socket.ask(request).lines ?? [] { StandardStream.output.write("\(line)\n") }
        }
    }
}
