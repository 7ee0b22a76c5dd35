import FoundationEssentials

extension ControlRequest {
    /// Reads a request from its line.
    ///
    /// - Throws: `ControlProtocolError` where the line is not JSON, not a request, of another version, or asks for more
    ///   than a daemon does at a time.
    public init(line: [UInt8]) throws(ControlProtocolError) {
        guard line.count <= Self.maximumLength else {
            throw ControlProtocolError("request is longer than \(Self.maximumLength) bytes")
        }
        let data = Data(line)
        let decoder = JSONDecoder()
        guard let envelope = try? decoder.decode(Envelope.self, from: data) else {
            throw ControlProtocolError("request is not a JSON object with a version and a command")
        }
        guard envelope.version == Self.currentVersion else {
            throw ControlProtocolError(
                "protocol version \(envelope.version) is not spoken here: this daemon speaks \(Self.currentVersion)")
        }
        guard Command(rawValue: envelope.command) != nil else {
            let known = Command.allCases.map(\.rawValue).joined(separator: ", ")
            throw ControlProtocolError("unknown command “\(envelope.command)”: this daemon knows \(known)")
        }
        guard let request = try? decoder.decode(Self.self, from: data) else {
            throw ControlProtocolError("“file” must be an object with a name and a text")
        }
        guard request.table?.seconds ?? 1 > 0 else {
            throw ControlProtocolError("“seconds” must be a whole number above zero")
        }
        guard request.packets?.count ?? 0 <= Self.maximumPackets else {
            throw ControlProtocolError("“packets” must be at most \(Self.maximumPackets) descriptions")
        }
        self = request
    }

    /// The request as a line, with its line feed.
    public func line() -> [UInt8] {
        encodedLine(self)
    }

    private struct Envelope: Decodable {
        var version: Int
        var command: String
    }
}

extension ControlResponse {
    /// Reads an answer from its line.
    ///
    /// - Throws: `ControlProtocolError` where the line is not an answer in this version.
    public init(line: [UInt8]) throws(ControlProtocolError) {
        guard let response = try? JSONDecoder().decode(Self.self, from: Data(line)) else {
            throw ControlProtocolError("the daemon's answer is not understood: are npfctl and npfluad of one version?")
        }
        self = response
    }

    /// The answer as a line, with its line feed.
    public func line() -> [UInt8] {
        encodedLine(self)
    }
}

/// Encodes in a stable order, so that the same answer is the same line.
private func encodedLine(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else {
        preconditionFailure("strings, integers and booleans always have a JSON form")
    }
    return [UInt8](data) + [UInt8(ascii: "\n")]
}
