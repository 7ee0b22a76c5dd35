package import Packet
package import Ruleset

/// Tables with fixed contents, looked through from the first entry to the last.
package final class TestTables {
    private let contents: [[Prefix]]

    package init(_ contents: [[Prefix]]) {
        self.contents = contents
    }

    /// The tables of a ruleset; those that `contents` does not name are empty.
    package convenience init(of ruleset: CompiledRuleset, _ contents: [String: [String]]) {
        self.init(ruleset.tables.map { table in (contents[table.name] ?? []).map { Prefix($0)! } })
    }

    /// Valid as long as the tables are.
    package var lookup: TableLookup {
        unsafe TableLookup(context: UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())) {
            context, table, high, low, isIPv6 in
            guard let context = unsafe context else { return false }
            let tables = unsafe Unmanaged<TestTables>.fromOpaque(context).takeUnretainedValue()
            let address = isIPv6 ? Address(high: high, low: low) : Address(ipv4: UInt32(truncatingIfNeeded: low))
            return tables.contents[Int(table)].contains { $0.contains(address) }
        }
    }
}
