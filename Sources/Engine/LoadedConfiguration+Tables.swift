import AddressTables
import ConfigLanguage
import Packet
import Ruleset
import SystemSupport

extension TableDeclaration {
    /// Bytes that a table's file may have.
    private static let fileLimit = 1 << 30

    /// A table of a ruleset with what is in it at the start.
    ///
    /// A file's path is relative to the folder of the file that declares the table.
    init(_ table: RulesetTable) throws(ConfigurationErrors) {
        switch table.contents {
        case .interfaceAddresses(let interface):
            self.init(name: table.name, type: .ipset, entries: Self.addresses(of: interface))
        case .declared(let table):
            self.init(name: table.name, type: TableType(rawValue: table.type.rawValue)!)
            if let file = table.file { entries = try Self.entries(in: file, of: table) }
        }
    }

    /// The addresses that an interface has at the moment.
    static func addresses(of interface: String) -> [TableEntry] {
        entries(Interfaces.addresses(of: interface))
    }

    /// Entries for addresses as they are on the wire, each once: an interface has one again for each of its networks or
    /// peers.
    static func entries(_ addresses: [[UInt8]]) -> [TableEntry] {
        addresses.enumerated().filter { !addresses[..<$0].contains($1) }.map { TableEntry(Prefix(Address($1))) }
    }

    /// The contents of a table as the text of a file has them.
    static func entries(
        in text: [UInt8], file: String, type: Configuration.TableType
    ) throws(ConfigurationErrors) -> [TableEntry] {
        let contents = try TableFile(parsing: text, file: file, type: type)
        return contents.entries.map { TableEntry(Prefix($0.prefix)) }
    }

    private static func entries(
        in file: String, of table: Configuration.Table
    ) throws(ConfigurationErrors) -> [TableEntry] {
        let declaring = table.location.file
        let folder = declaring[
            ..<(declaring.lastIndex(of: "/").map { declaring.index(after: $0) } ?? declaring.startIndex)]
        let path = file.hasPrefix("/") ? file : folder + file
        let text: [UInt8]
        do throws(SystemError) {
            text = try File.read(path, limit: fileLimit)
        } catch {
            throw ConfigurationErrors(Diagnostic(at: table.location, "table `\(table.name)`: \(error)"))
        }
        return try entries(in: text, file: path, type: table.type)
    }
}

extension Address {
    /// An address of the bytes that it has on the wire, 4 or 16.
    fileprivate init(_ bytes: [UInt8]) {
        let words = bytes.reduce((high: 0 as UInt64, low: 0 as UInt64)) {
            ($0.high << 8 | $0.low >> 56, $0.low << 8 | UInt64($1))
        }
        self = bytes.count == 4 ? Address(ipv4: UInt32(words.low)) : Address(high: words.high, low: words.low)
    }
}

extension Prefix {
    /// The network that is one address alone.
    init(_ address: Address) {
        self = Prefix(address, length: address.family == .ipv4 ? 32 : 128)!
    }

    /// A network as the language has it.
    fileprivate init(_ prefix: AddressPrefix) {
        let address =
            prefix.family == .inet4
            ? Address(ipv4: UInt32(prefix.address))
            : Address(high: UInt64(prefix.address >> 64), low: UInt64(truncatingIfNeeded: prefix.address))
        self = Prefix(address, length: Int(prefix.length))!
    }
}
