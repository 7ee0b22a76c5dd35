import ConfigLanguage
public import Packet

/// A packet in words: what `npfctl explain` and `npfctl test` are asked about.
///
/// `in on eth0 proto tcp from 198.51.100.7 port 40000 to 192.0.2.22 port 22 flags S`
public struct PacketDescription: Sendable, Hashable {
    /// Which side of the interface.
    public var direction: Direction
    /// The interface's name; nil for one that no rule names.
    public var interface: String?
    /// The transport protocol.
    public var transportProtocol: IPProtocol
    /// Where the packet comes from.
    public var source: Address
    /// Where it goes to, of the source's family.
    public var destination: Address
    /// The TCP or UDP source port.
    public var sourcePort: UInt16 = 0
    /// The TCP or UDP destination port.
    public var destinationPort: UInt16 = 0
    /// The TCP flags.
    public var flags: TCPFlags = []
    /// The TCP sequence number.
    public var sequence: UInt32 = 0
    /// The TCP acknowledgment number.
    public var acknowledgment: UInt32 = 0
    /// The ICMP or ICMPv6 type.
    public var type: UInt8 = 0
    /// The ICMP or ICMPv6 code.
    public var code: UInt8 = 0
    /// The identifier of an ICMP or ICMPv6 echo.
    public var identifier: UInt16 = 0
    /// The bytes behind the transport header.
    public var payload: [UInt8] = []

    /// Makes a description of what every packet has.
    public init(
        _ direction: Direction, on interface: String? = nil, _ transportProtocol: IPProtocol, from source: Address,
        to destination: Address
    ) {
        self.direction = direction
        self.interface = interface
        self.transportProtocol = transportProtocol
        self.source = source
        self.destination = destination
    }
}

/// What is wrong with a packet's description, and what would be right.
public struct PacketDescriptionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The sentence.
    public var description: String

    init(_ description: String) {
        self.description = description
    }
}

extension PacketDescription {
    /// Reads a description of words between blanks; the words of a rule, in any order, `in` or `out` first.
    ///
    /// Besides those of rules there are `seq N`, `ack N` for TCP, `id N` for ICMP echoes and `data "TEXT"` or `data N`
    /// for what the packet carries: a text without blanks, or so many zeros.
    ///
    /// - Throws: `PacketDescriptionError` that names the word.
    public init(parsing text: some StringProtocol) throws(PacketDescriptionError) {
        try self.init(DescriptionWords(text, haveQuotes: true))
    }

    /// Reads a description of arguments: a shell has taken the quotes off the text after `data`.
    ///
    /// - Throws: `PacketDescriptionError` that names the word.
    public init(arguments: [String]) throws(PacketDescriptionError) {
        try self.init(DescriptionWords(arguments.joined(separator: " "), haveQuotes: false))
    }

    private init(_ words: consuming DescriptionWords) throws(PacketDescriptionError) {
        let direction = try words.require("`in` or `out`") { Direction(word: $0) }
        self.init(direction, .tcp, from: Address(ipv4: 0), to: Address(ipv4: 0))

        var seen: Set<String> = []
        var icmp = (type: "0", code: "0")
        while let word = words.word() {
            guard seen.insert(word).inserted || word == "port" else {
                throw PacketDescriptionError("`\(word)` stands twice")
            }
            try read(word, &words, icmp: &icmp)
        }
        for word in ["proto", "from", "to"] where !seen.contains(word) {
            throw PacketDescriptionError("there is no `\(word)`: a packet has a protocol and two addresses")
        }
        try check(seen)
        try readICMP(icmp.type, code: icmp.code)
    }

    /// - Parameter icmp: gets the words for type and code, whose meaning depends on words that may still come.
    private mutating func read(
        _ word: String, _ words: inout DescriptionWords, icmp: inout (type: String, code: String)
    ) throws(PacketDescriptionError) {
        switch word {
        case "on": interface = try words.require("an interface's name after `on`") { $0 }
        case "proto":
            transportProtocol = try words.require("a protocol's name or number after `proto`") {
                IPProtocol(name: $0)
            }
        case "from":
            source = try words.require("an address after `from`") { Address($0) }
            if let port = try words.port() { sourcePort = port }
        case "to":
            destination = try words.require("an address after `to`") { Address($0) }
            if let port = try words.port() { destinationPort = port }
        case "flags":
            flags = try words.require("flags of the letters FSRPAUEW, or . for none, after `flags`") {
                TCPFlags(letters: $0)
            }
        case "seq": sequence = try words.require("a number after `seq`") { UInt32($0) }
        case "ack": acknowledgment = try words.require("a number after `ack`") { UInt32($0) }
        case "icmp-type": icmp.type = try words.require("an ICMP type after `icmp-type`") { $0 }
        case "code": icmp.code = try words.require("an ICMP code after `code`") { $0 }
        case "id": identifier = try words.require("a number after `id`") { UInt16($0) }
        case "data":
            let haveQuotes = words.haveQuotes
            payload = try words.require("a text in quotes, without blanks, or a number up to 1400 after `data`") {
                if let count = Int($0) { return (0...1400).contains(count) ? [UInt8](repeating: 0, count: count) : nil }
                guard haveQuotes || $0.hasPrefix("\"") else { return $0.utf8.count <= 1400 ? Array($0.utf8) : nil }
                guard $0.utf8.count >= 2, $0.hasPrefix("\""), $0.hasSuffix("\"") else { return nil }
                return $0.utf8.count <= 1400 ? Array($0.utf8.dropFirst().dropLast()) : nil
            }
        default:
            throw PacketDescriptionError(
                "`\(word)` is no part of a packet; expected `on`, `proto`, `from`, `to`, `flags`, `seq`, `ack`, "
                    + "`icmp-type`, `code`, `id` or `data`")
        }
    }

    /// Reads the names or numbers of ICMP type and code, as the protocol has them.
    private mutating func readICMP(_ typeWord: String, code codeWord: String) throws(PacketDescriptionError) {
        let types = WellKnown.icmpTypes[transportProtocol.rawValue] ?? [:]
        guard let type = types[typeWord] ?? UInt8(typeWord) else {
            throw PacketDescriptionError(
                "`\(typeWord)` is neither the name nor the number of a type of `proto \(transportProtocol.name)`")
        }
        let codes = WellKnown.icmpCodes[transportProtocol.rawValue]?[type] ?? [:]
        guard let code = codes[codeWord] ?? UInt8(codeWord) else {
            throw PacketDescriptionError(
                "`\(codeWord)` is neither the name nor the number of a code of `icmp-type \(typeWord)`")
        }
        (self.type, self.code) = (type, code)
    }

    /// Refuses what a packet of the protocol does not have.
    private func check(_ seen: Set<String>) throws(PacketDescriptionError) {
        func refuse(_ words: [String], unless holds: Bool, _ owner: String) throws(PacketDescriptionError) {
            for word in words where seen.contains(word) && !holds {
                throw PacketDescriptionError("`\(word)` goes with \(owner)")
            }
        }
        guard source.family == destination.family else {
            throw PacketDescriptionError("`from` and `to` are addresses of different families")
        }
        let isICMP = transportProtocol == .icmp || transportProtocol == .icmpv6
        try refuse(["flags", "seq", "ack"], unless: transportProtocol == .tcp, "`proto tcp`")
        try refuse(["icmp-type", "code", "id"], unless: isICMP, "`proto icmp` or `proto ipv6-icmp`")
        guard transportProtocol == .tcp || transportProtocol == .udp || sourcePort == 0 && destinationPort == 0 else {
            throw PacketDescriptionError("`port` goes with `proto tcp` or `proto udp`")
        }
    }

    /// The description in words; read again it is the same.
    public var text: String {
        var text = direction == .in ? "in" : "out"
        if let interface { text += " on \(interface)" }
        text += " proto \(transportProtocol.name) from \(source)"
        let hasPorts = transportProtocol == .tcp || transportProtocol == .udp
        if hasPorts { text += " port \(sourcePort)" }
        text += " to \(destination)"
        if hasPorts { text += " port \(destinationPort)" }
        if transportProtocol == .tcp {
            text += " flags \(flags.letters)"
            if sequence != 0 { text += " seq \(sequence)" }
            if acknowledgment != 0 { text += " ack \(acknowledgment)" }
        }
        if transportProtocol == .icmp || transportProtocol == .icmpv6 {
            text += " icmp-type \(type) code \(code)"
            if identifier != 0 { text += " id \(identifier)" }
        }
        if !payload.isEmpty { text += " data \(payload.count)" }
        return text
    }
}

/// Words between blanks, taken one by one.
private struct DescriptionWords {
    private var words: ArraySlice<String>
    /// Whether texts are in quotes.
    let haveQuotes: Bool

    init(_ text: some StringProtocol, haveQuotes: Bool) {
        self.haveQuotes = haveQuotes
        words = text.split { $0.isWhitespace }.map { String($0) }[...]
    }

    mutating func word() -> String? { words.popFirst() }

    /// The next word as `read` reads it.
    mutating func require<Value>(
        _ expected: String, _ read: (String) -> Value?
    ) throws(PacketDescriptionError) -> Value {
        guard let word = word() else { throw PacketDescriptionError("expected \(expected), not the end") }
        guard let value = read(word) else {
            throw PacketDescriptionError("expected \(expected), not `\(word)`")
        }
        return value
    }

    /// `port N`, if that is what follows.
    mutating func port() throws(PacketDescriptionError) -> UInt16? {
        guard words.first == "port" else { return nil }
        words.removeFirst()
        return try require("a port's name, or its number from 0 to 65535, after `port`") {
            UInt16($0) ?? WellKnown.ports[$0]
        }
    }
}

extension Direction {
    fileprivate init?(word: String) {
        switch word {
        case "in": self = .in
        case "out": self = .out
        default: return nil
        }
    }
}

extension IPProtocol {
    /// The protocols whose names descriptions use; others go by their numbers.
    private static let names: [(String, IPProtocol)] = [
        ("tcp", .tcp), ("udp", .udp), ("icmp", .icmp), ("ipv6-icmp", .icmpv6), ("icmp6", .icmpv6), ("gre", .gre),
        ("esp", .esp), ("sctp", .sctp),
    ]

    fileprivate init?(name: String) {
        guard let number = Self.names.first(where: { $0.0 == name })?.1 ?? UInt8(name).map(IPProtocol.init) else {
            return nil
        }
        self = number
    }

    fileprivate var name: String { Self.names.first { $0.1 == self }?.0 ?? "\(rawValue)" }
}

extension TCPFlags {
    /// From the lowest bit on.
    private static let letters = Array("FSRPAUEW")

    fileprivate init?(letters: String) {
        self = []
        guard letters != "." else { return }
        for letter in letters {
            guard let bit = Self.letters.firstIndex(of: letter) else { return nil }
            insert(TCPFlags(rawValue: 1 << UInt8(bit)))
        }
    }

    fileprivate var letters: String {
        let set = Self.letters.indices.filter { rawValue & 1 << UInt8($0) != 0 }.map { Self.letters[$0] }
        return set.isEmpty ? "." : String(set)
    }
}

extension PacketDescription: Decodable {
    private enum Key: String, CodingKey {
        case ifname, dir, proto, src, dst, sport, dport, type, code, flags, seq, ack, id
    }

    /// Reads `ifname dir proto src dst`, then `sport dport` or `type code`, `flags`, and if they are there `seq ack id`.
    public init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: Key.self)
        func word<Value>(_ key: Key, _ expected: String, _ read: (String) -> Value?) throws -> Value {
            let word = try object.decode(String.self, forKey: key)
            guard let value = read(word) else {
                throw PacketDescriptionError("`\(key.rawValue)`: expected \(expected), not `\(word)`")
            }
            return value
        }
        func number<Number: FixedWidthInteger & Decodable>(_ key: Key) throws -> Number {
            try object.decodeIfPresent(Number.self, forKey: key) ?? 0
        }
        self.init(
            try word(.dir, "`in` or `out`") { Direction(word: $0) },
            on: try object.decodeIfPresent(String.self, forKey: .ifname),
            try word(.proto, "a protocol") { IPProtocol(name: $0) },
            from: try word(.src, "an address") { Address($0) }, to: try word(.dst, "an address") { Address($0) })
        guard source.family == destination.family else {
            throw PacketDescriptionError("`src` and `dst` are addresses of different families")
        }
        let hasPorts = transportProtocol == .tcp || transportProtocol == .udp
        if hasPorts { (sourcePort, destinationPort) = (try number(.sport), try number(.dport)) }
        if transportProtocol == .tcp {
            flags = try object.contains(.flags) ? word(.flags, "letters of FSRPAUEW") { TCPFlags(letters: $0) } : []
            (sequence, acknowledgment) = (try number(.seq), try number(.ack))
        }
        if transportProtocol == .icmp || transportProtocol == .icmpv6 {
            (type, code, identifier) = (try number(.type), try number(.code), try number(.id))
        }
    }
}
