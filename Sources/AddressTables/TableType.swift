/// What a table holds and how it is searched (npf.conf(5), "Tables").
public enum TableType: String, Sendable, CaseIterable {
    /// Addresses, found by their hash.
    case ipset
    /// Networks, found by the longest prefix; networks within networks are allowed.
    case lpm
    /// Addresses that are given once and do not change.
    case const
}

extension TableType {
    init(code: UInt8) { self = code == 0 ? .ipset : code == 1 ? .lpm : .const }

    /// A number for atomic memory.
    var code: UInt8 {
        switch self {
        case .ipset: 0
        case .lpm: 1
        case .const: 2
        }
    }
}

/// Why a table did not do what it was asked.
public enum TableError: Error, Sendable, Equatable {
    /// The very same address or network is in the table already.
    case exists
    /// The address or network is not in the table.
    case notFound
    /// The table holds as many entries as it may.
    case full
    /// The table's type does not allow changes.
    case immutable
    /// A network was given for a table of single addresses.
    case maskNotAllowed
    /// So many changes wait for the table that there is no room for another.
    case busy
    /// The system has no memory for a table of this capacity.
    case noMemory
}

extension TableError: CustomStringConvertible {
    /// The error in upstream's words where it has some.
    public var description: String {
        switch self {
        case .exists: "entry already exists"
        case .notFound: "not found"
        case .full: "the table is full"
        case .immutable: "a table of the type \"const\" cannot be changed: replace it whole"
        case .maskNotAllowed: "mask used with the table type other than \"lpm\""
        case .busy: "too many changes wait for the table"
        case .noMemory: "no memory for a table of this capacity"
        }
    }
}
