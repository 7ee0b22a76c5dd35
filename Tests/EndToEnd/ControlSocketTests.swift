import ControlProtocol
import Glibc
import SystemSupport
import Testing

extension LiveTests {
    @Suite struct ControlSocketTests {
        private func firewall(_ network: Network) throws -> Firewall {
            try Firewall(network, rules: "group default { pass all }\n")
        }

        private func exchange(_ socket: borrowing UnixSocket, _ line: String) throws -> ControlResponse {
            try socket.writeAll(Array(line.utf8))
            return try answer(from: socket)
        }

        private func answer(from socket: borrowing UnixSocket) throws -> ControlResponse {
            var line: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while line.last != UInt8(ascii: "\n") {
                let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe socket.read(into: $0) }
                guard let count, count > 0 else { throw SystemError("no answer") }
                line += buffer.prefix(count)
            }
            return try ControlResponse(line: line.dropLast())
        }

        @Test func badRequestsAreAnsweredAndHarmNothing() throws {
            let network = try Network(ipv6: false)
            let firewall = try firewall(network)
            let socket = try UnixSocket(connectingTo: firewall.socket, milliseconds: 5000)
            for line in ["\n", "hello\n", "{}\n", "{\"version\":9,\"command\":\"show\"}\n", "\u{0}\n", "[[[[\n"] {
                let response = try exchange(socket, line)
                #expect(!response.ok)
                #expect(response.error != nil)
            }
            // The same connection goes on, several requests at once are answered in order.
            let request = String(decoding: ControlRequest(.show).line(), as: UTF8.self)
            #expect(try exchange(socket, request).rules?.active == true)
            try socket.writeAll(Array((request + "nonsense\n" + request).utf8))
            var text: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while text.count(where: { $0 == UInt8(ascii: "\n") }) < 3 {
                let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe socket.read(into: $0) }
                text += buffer.prefix(try #require(count))
            }
            let oks = try text.split(separator: UInt8(ascii: "\n")).map { try ControlResponse(line: Array($0)).ok }
            #expect(oks == [true, false, true])
            #expect(firewall.wait(seconds: 0) == nil)
        }

        @Test func hugeRequestIsRefused() throws {
            let network = try Network(ipv6: false)
            let firewall = try firewall(network)
            let socket = try UnixSocket(connectingTo: firewall.socket, milliseconds: 5000)
            let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
            for _ in 0..<65 { try? socket.writeAll(chunk) }
            #expect(try answer(from: socket).error == "request is longer than 67108864 bytes")
            #expect(try firewall.npfctl("stats").status == 0)
        }

        @Test func slowAndSilentClientsDelayNobody() throws {
            let network = try Network(ipv6: false)
            try network.serve(banner: "hello", port: 80)
            let firewall = try firewall(network)
            // Halves of requests, and requests whose answers nobody reads.
            var held: [UnixSocketBox] = []
            for number in 0..<20 {
                let socket = try UnixSocket(connectingTo: firewall.socket, milliseconds: 100)
                let request = String(decoding: ControlRequest(.stats).line(), as: UTF8.self)
                let text = number.isMultiple(of: 2) ? "{\"version\":" : String(repeating: request, count: 2000)
                try? socket.writeAll(Array(text.utf8))
                held.append(UnixSocketBox(socket))
            }
            #expect(try firewall.npfctl("show").status == 0)
            #expect(try network.ask(Network.server4, port: 80) == "hello")
            withExtendedLifetime(held) {}
        }

        @Test func onlyRootAndTheGroupMaySpeak() throws {
            let network = try Network(ipv6: false)
            let firewall = try firewall(network)
            // Open to the file system's eyes, so that the credentials are what is checked.
            #expect(unsafe chmod(firewall.socket, 0o666) == 0)
            #expect(unsafe chmod(network.folder, 0o755) == 0)
            let stranger = try network.run(
                on: .firewall, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "socat", "-t2", "STDIO",
                "UNIX-CONNECT:\(firewall.socket)", input: String(decoding: ControlRequest(.flush).line(), as: UTF8.self)
            )
            #expect(stranger.output.contains("permission denied"), "\(stranger)")
            #expect(try firewall.show().loaded)
        }

        @Test func socketIsClosedToOthersByItsMode() throws {
            let network = try Network(ipv6: false)
            let firewall = try firewall(network)
            var status = stat()
            #expect(unsafe stat(firewall.socket, &status) == 0)
            #expect(status.st_mode & 0o007 == 0)
        }
    }
}

private final class UnixSocketBox {
    private let socket: UnixSocket

    init(_ socket: consuming UnixSocket) {
        self.socket = socket
    }
}
