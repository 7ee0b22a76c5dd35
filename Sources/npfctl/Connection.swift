import ArgumentParser
import ControlProtocol
import SystemSupport

/// Where the daemon listens.
struct SocketOption: ParsableArguments {
    @Option(help: "The daemon's control socket.")
    var socket = "/run/npflua/control.sock"

    /// Asks the daemon, and gives its answer if it has carried the request out.
    ///
    /// - Throws: `Failure` with the daemon's sentence, or with what to do where there is no daemon to ask.
    func ask(_ request: ControlRequest) throws -> ControlResponse {
        let response: ControlResponse
        do throws(Errno) {
            // A reload loads every script, each within its own limits: it may take its time.
            let connection = try UnixSocket(connectingTo: socket, milliseconds: 60_000)
            do throws(Errno) {
                try connection.writeAll(request.line())
            } catch {
                // A daemon that hangs up before it has heard all may have said why.
                guard error == .brokenPipe else { throw error }
            }
            response = try readAnswer(from: connection)
        } catch {
            throw Failure(explain(error))
        }
        guard response.ok else { throw Failure(response.error ?? "the daemon refused without a word") }
        return response
    }

    private func readAnswer(from connection: borrowing UnixSocket) throws(Errno) -> ControlResponse {
        var line: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while line.last != UInt8(ascii: "\n") {
            var free = buffer.mutableSpan
            let count = try unsafe free.withUnsafeMutableBytes { buffer throws(Errno) in
                try unsafe connection.read(into: buffer)
            }
            guard let count else { throw .timedOut }
            guard count > 0 else { return ControlResponse(error: "the daemon hung up: see its log") }
            line += buffer.prefix(count)
        }
        do throws(ControlProtocolError) {
            return try ControlResponse(line: line.dropLast())
        } catch {
            return ControlResponse(error: error.description)
        }
    }

    private func explain(_ error: Errno) -> String {
        switch error {
        case .noSuchEntry, .connectionRefused:
            "nobody listens on \(socket): is npfluad running? (systemctl start npfluad)"
        case .accessDenied, .notPermitted:
            "permission denied on \(socket): run this as root or as a member of group npflua"
        case .timedOut, .wouldBlock:
            "the daemon did not answer in time"
        default:
            "cannot speak to the daemon on \(socket): \(error.text)"
        }
    }
}
