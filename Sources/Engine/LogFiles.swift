import Logging
import Procedures
import Ruleset
import SystemSupport

/// The files that procedures log packets to, for the control thread.
///
/// A file goes on over reloads, for it is known by its name.
struct LogFiles: ~Copyable {
    private final class File {
        let name: String
        var file: PacketLogFile

        init(name: String, in directory: String) {
            self.name = name
            file = PacketLogFile(path: "\(directory)/\(name)")
        }
    }

    private let directory: String
    private var files: [File] = []

    init(directory: String) {
        self.directory = directory
    }

    /// Writes what a worker has noted.
    ///
    /// - Parameter configuration: the one that the worker has noted it by.
    mutating func write(_ log: PacketLog, by configuration: LoadedConfiguration, logger: Logger) {
        unsafe log.drain { packet, bytes in
            let rules = configuration.ruleset.rules
            let rule = rules.indices.contains(Int(packet.rule)) && packet.rule > 0 ? rules[Int(packet.rule)].text : ""
            let file = file(named: configuration.logFiles[Int(packet.file)])
            unsafe file.file.append(packet, bytes: bytes, rule: rule)
        }
        for file in files {
            do throws(SystemError) {
                try file.file.flush()
            } catch {
                logger.warning("\(error)")
            }
        }
    }

    private mutating func file(named name: String) -> File {
        if let file = files.first(where: { $0.name == name }) { return file }
        let file = File(name: name, in: directory)
        files.append(file)
        return file
    }
}
