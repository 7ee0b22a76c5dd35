import ArgumentParser
import CommandLineSupport
import Testing

private struct Sum: ParsableCommand {
    @Option var first: Int

    func run() throws { throw ExitCode.failure }
}

@Suite struct ExitStatusTests {
    @Test(arguments: [
        (["--first", "1"], 1), (["--first", "x"], 2), ([], 2), (["--last", "1"], 2), (["--help"], 0),
    ])
    func statusIsThatOfOtherTools(_ arguments: [String], _ status: Int) {
        let error = #expect(throws: (any Error).self) {
            var command = try Sum.parseAsRoot(arguments)
            try command.run()
        }
        if let error { #expect(Sum.exitStatus(for: error) == Int32(status)) }
    }
}
