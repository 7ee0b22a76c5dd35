import CommandLineSupport
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
        let prefix = isForJournal ? "<\(event.level.priority)>" : "\(event.level.rawValue): "
        StandardStream.error.write(logLines(line, prefix: prefix))
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
