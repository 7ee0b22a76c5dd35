import Glibc
import Logging
import SystemSupport

/// Logs to standard error a line a message, with the priority that systemd's journal reads at its start.
///
/// The journal knows the time and the program; a terminal does not need them.
struct StandardErrorLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info
    private let isForJournal = unsafe getenv("JOURNAL_STREAM") != nil

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "\(event.message)"
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(value)" }
        // What a script says may hold anything: no line of it is to pass for another message.
        let prefix = isForJournal ? "<\(event.level.priority)>" : "\(event.level.rawValue): "
        let lines = line.split(separator: "\n", omittingEmptySubsequences: true)
        let text = lines.enumerated().map { number, line in
            let printable = String(String.UnicodeScalarView(line.unicodeScalars.map { $0.isPrintable ? $0 : "?" }))
            return prefix + (number == 0 ? "" : "    ") + printable + "\n"
        }
        StandardStream.error.write(text.joined())
    }
}

extension Logger.Level {
    /// The priority of syslog(3) that the journal shows the message with.
    fileprivate var priority: Int {
        switch self {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}

extension Unicode.Scalar {
    fileprivate var isPrintable: Bool {
        switch properties.generalCategory {
        case .control where self != "\t", .format, .lineSeparator, .paragraphSeparator, .surrogate: false
        default: true
        }
    }
}
