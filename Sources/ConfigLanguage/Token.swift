/// A token of the language with its place.
struct Token {
    enum Kind: Equatable {
        /// A keyword or a name without quotes.
        case word(String)
        /// What stands between quotes.
        case string(String)
        case number(UInt64)
        /// A number with one of the suffixes k, m, g, t, in lower case.
        case scaledNumber(UInt64, suffix: UInt8)
        /// The text of an address that the parser has yet to read.
        case address(String)
        /// A variable's name without `$`.
        case variable(String)
        /// A table's name without its angle brackets.
        case table(String)
        case symbol(String)
        case newline
        case semicolon
        case end
        /// What is no token, with what is wrong with it.
        case invalid(String)
    }

    var kind: Kind
    let location: SourceLocation
    /// The offset of the first byte.
    let offset: Int

    /// The token as messages call it.
    var quoted: String {
        switch kind {
        case .word(let text), .address(let text), .symbol(let text): "`\(text)`"
        case .string(let text): "`\"\(text)\"`"
        case .number(let value): "`\(value)`"
        case .scaledNumber(let value, let suffix): "`\(value)\(Character(Unicode.Scalar(suffix)))`"
        case .variable(let name): "`$\(name)`"
        case .table(let name): "`<\(name)>`"
        case .newline: "the end of the line"
        case .semicolon: "`;`"
        case .end: "the end of the file"
        case .invalid: "what is here"
        }
    }
}

/// The words that have a meaning in the language: to use one as a name, quote it.
enum Keyword {
    static let dashed: Set<String> = [
        "ip-hash", "ipv6-icmp", "icmp-type", "layer-2", "lua-filter", "no-ports", "pcap-filter", "return-icmp",
        "return-rst",
        "round-robin", "stateful-all",
    ]

    static let all = dashed.union([
        "alg", "algo", "all", "any", "apply", "block", "cdb", "code", "const", "default", "dynamic", "ether", "family",
        "file", "final", "flags", "forw", "from", "group", "hash", "icmp", "ifaddrs", "in", "include", "inet4",
        "inet6", "interface", "ipset", "lpm", "map", "name", "netmap", "npt66", "off", "on", "out", "pass", "port",
        "procedure", "proto", "quick", "return", "ruleset", "set", "stateful", "static", "table", "tcp", "to", "tree",
        "type", "user",
    ])
}
