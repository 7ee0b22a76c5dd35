public import ArgumentParser
import Glibc
import SystemSupport

extension ParsableCommand {
    /// Runs the command line as a program does, and ends the process.
    ///
    /// A wrong command line ends with status 2, like other bad input; help and version with 0; what a command throws
    /// with the status that it carries.
    public static func runProgram() -> Never {
        do {
            var command = try parseAsRoot()
            try command.run()
            Glibc.exit(0)
        } catch {
            let text = fullMessage(for: error)
            let status = exitStatus(for: error)
            if !text.isEmpty { (status == 0 ? StandardStream.output : .error).write(text + "\n") }
            Glibc.exit(status)
        }
    }

    /// The status that a program ends with after an error, or what stands for one.
    public static func exitStatus(for error: any Error) -> CInt {
        let code = exitCode(for: error)
        return code == .validationFailure ? 2 : code.rawValue
    }
}
