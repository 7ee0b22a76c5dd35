import ArgumentParser
import ControlProtocol
import Glibc
import SystemSupport

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Print the connections that have a state.")
    @OptionGroup var socket: SocketOption
    @Flag(name: .customShort("4"), help: "IPv4 only.")
    var ipv4 = false
    @Flag(name: .customShort("6"), help: "IPv6 only.")
    var ipv6 = false
    @Flag(name: .customShort("h"), help: "No header.")
    var withoutHeader = false
    @Flag(name: .customShort("n"), help: "Translated connections only: none, since npflua does not translate.")
    var translatedOnly = false
    @Flag(name: .customShort("N"), help: "Names in place of addresses, where there are some.")
    var names = false
    @Flag(name: .customShort("W"), help: "Columns as narrow as they can be.")
    var narrow = false
    @Flag(name: .customShort("w"), help: .hidden)
    var alsoNarrow = false
    @Option(name: .customShort("i"), help: "Connections on this interface only.")
    var interface: String?
    @Flag(help: "Print one JSON object a connection.")
    var json = false

    func run() throws {
        try reportingFailure {
            let connections = try translatedOnly ? [] : all()
            if !withoutHeader && !json { StandardStream.output.write(header) }
            for connection in connections where isWanted(connection) {
                StandardStream.output.write(json ? jsonLine(connection) : line(connection))
            }
        }
    }

    /// Every connection, IPv4 first, in the order in which the daemon holds them.
    private func all() throws -> [ConnectionReport] {
        var connections: [ConnectionReport] = []
        var from: Int? = 0
        while let place = from {
            var request = ControlRequest(.connections)
            request.from = place
            let response = try socket.ask(request)
            connections += response.connections ?? []
            from = response.next
        }
        return connections.filter { !$0.isIPv6 } + connections.filter(\.isIPv6)
    }

    private func isWanted(_ connection: ConnectionReport) -> Bool {
        if ipv4 != ipv6, connection.isIPv6 != ipv6 { return false }
        return interface == nil || connection.interface == interface
    }

    private var header: String {
        "# " + padded("src-addr:port", 19) + " " + padded("dst-addr:port", 21) + " " + padded("interface", 10)
            + " nat-addr:port\n"
    }

    private func line(_ connection: ConnectionReport) -> String {
        let width = connection.isIPv6 ? 46 : 21
        let source = endpoint(connection.source, connection.sourcePort)
        let destination = endpoint(connection.destination, connection.destinationPort)
        return padded(source, width) + " " + padded(destination, width) + " "
            + padded(connection.interface ?? "-", 10) + "\n"
    }

    private func endpoint(_ address: String, _ port: UInt16) -> String {
        let host = names ? HostName.of(address: address) ?? address : address
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    private func padded(_ text: String, _ width: Int) -> String {
        guard !narrow, !alsoNarrow else { return text }
        return text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }
}

extension ConnectionReport {
    fileprivate var isIPv6: Bool { source.contains(":") }
}
