/// Cuts a configuration's bytes into tokens, one at a time.
struct Lexer {
    private let file: SourceFile
    private var text: [UInt8] { file.text }
    private var offset = 0
    private var line = 1
    /// The offset of the line's first byte.
    private var lineStart = 0

    init(_ file: SourceFile) {
        self.file = file
    }

    /// The next token; at the end of the text `end`, again and again.
    ///
    /// What is no token is one of the kind `invalid`, and the rest of its line is passed over.
    mutating func next() -> Token {
        do throws(Diagnostic) {
            try skipBlanks()
            let start = offset
            let location = here
            let kind = try scan()
            return Token(kind: kind, location: location, offset: start)
        } catch {
            while let next = byte(at: offset), next != UInt8(ascii: "\n") { offset += 1 }
            return Token(kind: .invalid(error.message), location: error.location, offset: offset)
        }
    }

    /// Reads `token`, the one that `next` gave last, again as a name that may hold `-`, `.` and `@`.
    mutating func rescanAsName(_ token: Token) -> Token {
        offset = token.offset
        return Token(kind: .word(take(while: Self.isName)), location: token.location, offset: token.offset)
    }

    private var here: SourceLocation { SourceLocation(file, line: line, column: offset - lineStart + 1) }

    private func byte(at index: Int) -> UInt8? { index < text.count ? text[index] : nil }

    private mutating func newline() {
        offset += 1
        line += 1
        lineStart = offset
    }

    private mutating func skipBlanks() throws(Diagnostic) {
        while let byte = byte(at: offset) {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"):
                offset += 1
            case UInt8(ascii: "#"):
                while let next = self.byte(at: offset), next != UInt8(ascii: "\n") { offset += 1 }
            case UInt8(ascii: "\\"):
                guard self.byte(at: offset + 1) == UInt8(ascii: "\n") else {
                    throw Diagnostic(at: here, "a `\\` continues a line only as its last character")
                }
                offset += 1
                newline()
            default:
                return
            }
        }
    }

    private mutating func scan() throws(Diagnostic) -> Token.Kind {
        guard let first = byte(at: offset) else { return .end }
        switch first {
        case UInt8(ascii: "\n"):
            newline()
            return .newline
        case UInt8(ascii: ";"):
            offset += 1
            return .semicolon
        case UInt8(ascii: "\""):
            return try scanString()
        case UInt8(ascii: "$"):
            return try scanVariable()
        case UInt8(ascii: "\r"):
            throw Diagnostic(at: here, "a carriage return; save the file with Unix line ends")
        case 0xef where offset == 0 && text.starts(with: [0xef, 0xbb, 0xbf]):
            throw Diagnostic(at: here, "a byte order mark; save the file without it")
        case _ where Self.isHexDigit(first) || first == UInt8(ascii: ":"):
            if let address = scanIPv6Address() { return address }
        default:
            break
        }
        if Self.isDigit(first) { return try scanNumber() }
        if Self.isWordStart(first) { return scanWord() }
        return try scanSymbol()
    }

    private mutating func scanString() throws(Diagnostic) -> Token.Kind {
        let location = here
        let beginning = (offset, line, lineStart)
        offset += 1
        let start = offset
        while let next = byte(at: offset), next != UInt8(ascii: "\"") {
            if next == UInt8(ascii: "\n") { newline() } else { offset += 1 }
        }
        guard offset < text.count else {
            (offset, line, lineStart) = beginning
            throw Diagnostic(at: location, "a string without its closing `\"`")
        }
        defer { offset += 1 }
        guard let string = String(validating: text[start..<offset], as: UTF8.self) else {
            throw Diagnostic(at: location, "a string that is not UTF-8")
        }
        return .string(string)
    }

    private mutating func scanVariable() throws(Diagnostic) -> Token.Kind {
        let location = here
        offset += 1
        guard let first = byte(at: offset), Self.isWordStart(first) else {
            throw Diagnostic(at: location, "expected the name of a variable after `$`")
        }
        return .variable(take(while: Self.isWord))
    }

    /// An IPv6 address has two colons at least, which nothing else has.
    private mutating func scanIPv6Address() -> Token.Kind? {
        var end = offset
        var colons = 0
        while let next = byte(at: end),
            Self.isHexDigit(next) || next == UInt8(ascii: ":") || next == UInt8(ascii: ".")
        {
            if next == UInt8(ascii: ":") { colons += 1 }
            end += 1
        }
        guard colons >= 2 else { return nil }
        return .address(take { Self.isWord($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") })
    }

    private mutating func scanNumber() throws(Diagnostic) -> Token.Kind {
        let location = here
        let text = take { Self.isWord($0) || $0 == UInt8(ascii: ".") }
        if text.utf8.contains(UInt8(ascii: ".")) { return .address(text) }
        if text.hasPrefix("0x") {
            guard let value = UInt64(text.dropFirst(2), radix: 16), text.utf8.count > 2 else {
                throw Diagnostic(at: location, "`\(text)` is no hexadecimal number of at most 64 bits")
            }
            return .number(value)
        }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let value = UInt64(digits) else {
            throw Diagnostic(at: location, "the number `\(text)` is too large")
        }
        let suffix = text.utf8.dropFirst(digits.utf8.count)
        guard let letter = suffix.first else { return .number(value) }
        let lowercase = letter | 0x20
        guard suffix.count == 1, "kmgt".utf8.contains(lowercase) else {
            throw Diagnostic(at: location, "`\(text)` is no number; put a name that begins with a digit in quotes")
        }
        return .scaledNumber(value, suffix: lowercase)
    }

    private mutating func scanWord() -> Token.Kind {
        let start = offset
        let word = take(while: Self.isWord)
        guard byte(at: offset) == UInt8(ascii: "-") else { return .word(word) }
        let end = offset
        offset = start
        let dashed = take { Self.isWord($0) || $0 == UInt8(ascii: "-") }
        if Keyword.dashed.contains(dashed) { return .word(dashed) }
        offset = end
        return .word(word)
    }

    private mutating func scanSymbol() throws(Diagnostic) -> Token.Kind {
        if let table = scanTable() { return table }
        for symbol in ["<->", "<-", "->"] where text[offset...].starts(with: symbol.utf8) {
            offset += symbol.utf8.count
            return .symbol(symbol)
        }
        let first = text[offset]
        guard "{}(),=!:/-<>".utf8.contains(first) else {
            let shown =
                first > 0x20 && first < 0x7f ? "`\(Character(Unicode.Scalar(first)))`" : "0x\(String(first, radix: 16))"
            throw Diagnostic(at: here, "the character \(shown) has no meaning outside a string")
        }
        offset += 1
        return .symbol(String(Unicode.Scalar(first)))
    }

    private mutating func scanTable() -> Token.Kind? {
        let start = offset
        guard text[start] == UInt8(ascii: "<"), let first = byte(at: start + 1), Self.isWordStart(first) else {
            return nil
        }
        offset += 1
        let name = take { Self.isWord($0) || $0 == UInt8(ascii: "-") }
        guard byte(at: offset) == UInt8(ascii: ">") else {
            offset = start
            return nil
        }
        offset += 1
        return .table(name)
    }

    private mutating func take(while belongs: (UInt8) -> Bool) -> String {
        let start = offset
        while let next = byte(at: offset), belongs(next) { offset += 1 }
        return String(decoding: text[start..<offset], as: UTF8.self)
    }

    /// Whether `text` is a plain word, which needs no quotes unless it is a keyword.
    static func isPlainWord(_ text: String) -> Bool {
        guard let first = text.utf8.first else { return false }
        return isWordStart(first) && text.utf8.allSatisfy(isWord)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (byte | 0x20) &- UInt8(ascii: "a") < 6
    }

    private static func isWordStart(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_")
    }

    private static func isWord(_ byte: UInt8) -> Bool { isWordStart(byte) || isDigit(byte) }

    private static func isName(_ byte: UInt8) -> Bool {
        isWord(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "@")
    }
}
