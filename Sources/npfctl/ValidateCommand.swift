import ArgumentParser
import ConfigLanguage
import Engine
import LuaRuntime
import Ruleset
import SystemSupport

struct Validate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check rules and their scripts, and print the rules in canonical form.")
    @Option(help: "The directory of the scripts.")
    var scripts = "/etc/npf"
    @Argument(help: "The rules; - for standard input.")
    var file = "/etc/npf.conf"

    func run() throws {
        try reportingFailure {
            let configuration = try LoadedConfiguration(
                text: Array(readText(file).utf8), file: file == "-" ? "stdin" : file,
                scripts: ScriptDirectory(path: scripts))
            for warning in configuration.warnings { report(warning.report) }
            StandardStream.output.write(configuration.ruleset.canonicalText())
        }
    }
}
