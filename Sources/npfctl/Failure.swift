import ArgumentParser
import CommandLineSupport
import SystemSupport

/// A sentence for the user, and exit status 1.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Runs a command's work; what it throws is said on standard error as it is, and ends the program with status 1.
func reportingFailure(_ work: () throws -> Void) throws {
    do {
        try work()
    } catch let code as ExitCode {
        throw code
    } catch {
        report("\(error)")
        throw ExitCode.failure
    }
}

/// Says errors or warnings on standard error.
func report(_ messages: String) {
    StandardStream.error.write(errorLines(messages, program: "npfctl"))
}
