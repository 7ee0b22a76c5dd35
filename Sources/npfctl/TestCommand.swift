import ArgumentParser
import Engine
import LuaRuntime
import SystemSupport

struct TestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Check that rules decide packets as a file expects it.",
        discussion: """
            The file has lines such as “pass in on eth0 proto tcp from 198.51.100.7 port 40000 to 192.0.2.22 port 22 \
            flags S”, “block …” and “wait SECONDS”.
            """)
    @Option(name: [.customShort("c"), .long], help: "The rules.")
    var config = "/etc/npf.conf"
    @Option(help: "The directory of the scripts.")
    var scripts = "/etc/npf"
    @Argument(help: "The packets and what is expected; - for standard input.")
    var file: String

    func run() throws {
        try reportingFailure {
            let test = try PolicyTest(parsing: readText(file), file: file == "-" ? "stdin" : file)
            let differences = try test.run(
                LoadedConfiguration(
                    text: Array(readText(config).utf8), file: config, scripts: ScriptDirectory(path: scripts))
            ) { StandardStream.error.write("\($0)\n") }
            for difference in differences { StandardStream.output.write("\(difference)\n") }
            guard differences.isEmpty else { throw ExitCode.failure }
            StandardStream.output.write("\(test.packetCount) packets are decided as expected\n")
        }
    }
}
