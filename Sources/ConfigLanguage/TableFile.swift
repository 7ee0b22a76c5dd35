/// The contents of a table as a file has them: an address or a network a line, and lines that `#` begins.
public struct TableFile: Sendable, Hashable {
    /// An entry with its place.
    public struct Entry: Sendable, Hashable {
        /// The address or the network.
        public let prefix: AddressPrefix
        /// Where it stands.
        public let location: SourceLocation
    }

    /// The entries in the order of the file; they differ.
    public let entries: [Entry]

    /// Parses `text`, the contents of the file `file`, for a table of the type `type`.
    ///
    /// - Throws: The errors, at most a hundred: what is no address, a network in a table of addresses, an entry that
    ///   stands in the file twice.
    public init(
        parsing text: [UInt8], file: String, type: Configuration.TableType
    ) throws(ConfigurationErrors) {
        let source = SourceFile(name: file, text: text)
        var entries: [Entry] = []
        var lines: [AddressPrefix: Int] = [:]
        // There may be a million: they are hashed once.
        let lineCount = text.count { $0 == UInt8(ascii: "\n") } + 1
        entries.reserveCapacity(lineCount)
        lines.reserveCapacity(lineCount)
        var errors: [Diagnostic] = []
        var number = 0
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            guard errors.count < 100 else { break }
            let start = line.firstIndex { !Self.isBlank($0) } ?? line.endIndex
            guard start < line.endIndex, line[start] != UInt8(ascii: "#") else { continue }
            let location = SourceLocation(source, line: number, column: start - line.startIndex + 1)
            do throws(Diagnostic) {
                let prefix = try Self.prefix(line[start...], at: location)
                guard type == .lpm || Int(prefix.length) == prefix.family.bitWidth else {
                    throw Diagnostic(at: location, "`\(prefix)` is a network, which only a table of type lpm holds")
                }
                if let first = lines.updateValue(number, forKey: prefix) {
                    throw Diagnostic(at: location, "`\(prefix)` stands in line \(first) already")
                }
                entries.append(Entry(prefix: prefix, location: location))
            } catch {
                errors.append(error)
            }
        }
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
        self.entries = entries
    }

    /// The address or the network that `line` is, without regard to blanks at its end.
    ///
    /// As in NPF's tables, and unlike in its rules, bits behind the prefix do not count.
    private static func prefix(_ line: ArraySlice<UInt8>, at location: SourceLocation) throws(Diagnostic)
        -> AddressPrefix
    {
        let end = line.lastIndex { !isBlank($0) } ?? line.startIndex
        let text = line[...end]
        let slash = text.firstIndex(of: UInt8(ascii: "/"))
        guard let (family, address) = parseAddress(text[..<(slash ?? text.endIndex)]) else {
            throw Diagnostic(
                at: location,
                "expected an address or a network, such as `192.0.2.0/24`, and nothing else on the line")
        }
        guard let slash else { return AddressPrefix(family: family, address: address, length: family.bitWidth) }
        let word = String(decoding: text[(slash + 1)...], as: UTF8.self)
        guard word.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }), let length = Int(word), length <= family.bitWidth
        else {
            throw Diagnostic(
                at: location, "`/\(word)` is no prefix of this family: it is from 0 to \(family.bitWidth)")
        }
        return AddressPrefix(family: family, address: address, length: length)
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
