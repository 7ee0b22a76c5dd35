import ArgumentParser
import ControlProtocol
import Engine
import PacketQueue
import SystemSupport

struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Inspect packets.")
    @OptionGroup var socket: SocketOption

    func run() throws {
        try reportingFailure { _ = try socket.ask(ControlRequest(.start)) }
    }
}

struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stop inspecting: packets pass without being looked at. Rules stay loaded.")
    @OptionGroup var socket: SocketOption

    func run() throws {
        try reportingFailure { _ = try socket.ask(ControlRequest(.stop)) }
    }
}

struct Flush: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Remove all rules: every packet passes.")
    @OptionGroup var socket: SocketOption

    func run() throws {
        try reportingFailure { _ = try socket.ask(ControlRequest(.flush)) }
    }
}

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Replace rules and scripts, whole or not at all.")
    @OptionGroup var socket: SocketOption
    @Argument(help: "The rules; without it, the daemon's own file.")
    var file: String?

    func run() throws {
        try reportingFailure {
            var request = ControlRequest(.reload)
            // Read here: the daemon may not be allowed to, and what is checked is what is loaded.
            if let file { request.file = .init(name: file, text: try readText(file)) }
            for warning in try socket.ask(request).lines ?? [] { report(warning) }
        }
    }
}

struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print what was counted, by the kernel too.")
    @OptionGroup var socket: SocketOption
    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        try reportingFailure {
            var response = try socket.ask(ControlRequest(.stats))
            guard var report = response.statistics else { throw Failure("the daemon answered without counters") }
            // The kernel shows these to root only, and the daemon is not root.
            if report.kernelQueues == nil, let counters = PacketQueue.kernelCounters(of: report.queues) {
                report.kernelQueues = .init(counters)
            }
            response.statistics = report
            guard !json else { return StandardStream.output.write(response.line()) }
            for section in report.sections { print(section) }
            let queues = report.queues
            let title =
                queues.count == 1
                ? "Kernel queue \(queues.lowerBound)" : "Kernel queues \(queues.lowerBound)-\(queues.upperBound)"
            if let kernel = report.kernelQueues {
                print(.init(title, kernel))
            } else {
                StandardStream.output.write("\(title): shown to root only\n")
            }
        }
    }

    /// Prints a section as NPF does.
    private func print(_ section: StatisticsReport.Section) {
        StandardStream.output.write("\(section.title):\n")
        for counter in section.counters { StandardStream.output.write("\t\(counter.value) \(counter.name)\n") }
    }
}

/// The text of a file of at most `limit` bytes, `-` for standard input.
func readText(_ file: String, limit: Int = textLimit) throws -> String {
    let bytes = try file == "-" ? File.readStandardInput(limit: limit) : File.read(file, limit: limit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
        throw Failure("\(file): is not UTF-8 text")
    }
    return text
}

/// Bytes that a file of text may have.
let textLimit = 1 << 20
