import AddressTables
import LuaRuntime
import Packet
import ScriptModules

/// The tables of a configuration as one script has them.
@safe
struct ScriptTables: ~Copyable {
    @unsafe
    private struct Context {
        /// The tables, which the owner of the context holds.
        let tables: UnsafeMutablePointer<Unmanaged<AddressTable>>
        let isTrial: Bool
        /// The time of the call, in nanoseconds on the packets' monotonic clock.
        var clock: Int64
    }

    private let context: UnsafeMutablePointer<Context>
    private let names: UnsafeMutableBufferPointer<UnsafePointer<CChar>?>
    /// What keeps the tables.
    private let set: TableSet

    /// The tables of a set that have a name in the configuration: interfaces' addresses have none that a script could say.
    ///
    /// - Parameters:
    ///   - isTrial: whether the script is only tried: then what it changes stays as it is, for it may be the running
    ///     configuration's.
    ///   - clock: the time until `setClock` says another.
    init(_ set: TableSet, isTrial: Bool, clock: Int64) {
        self.set = set
        let named = set.names.indices.filter { !set.names[$0].hasPrefix(".") }
        let tables = UnsafeMutablePointer<Unmanaged<AddressTable>>.allocate(capacity: named.count)
        unsafe names = .allocate(capacity: named.count)
        for (place, index) in named.enumerated() {
            unsafe (tables + place).initialize(to: .passUnretained(set[index]))
            let name = set.names[index].utf8CString
            let copy = UnsafeMutableBufferPointer<CChar>.allocate(capacity: name.count)
            _ = unsafe copy.initialize(from: name)
            unsafe names.initializeElement(at: place, to: UnsafePointer(copy.baseAddress))
        }
        unsafe context = .allocate(capacity: 1)
        unsafe context.initialize(to: Context(tables: tables, isTrial: isTrial, clock: clock))
    }

    deinit {
        for place in unsafe names.indices { unsafe names[place]?.deallocate() }
        unsafe names.deallocate()
        unsafe context.pointee.tables.deallocate()
        unsafe context.deallocate()
    }

    /// Has the scripts of a state find the tables; this must live as long as the state runs scripts.
    func serve(_ state: inout LuaState) {
        unsafe state.setTables(
            UnsafeBufferPointer(names), TableFunctions(add: Self.add, remove: Self.remove, test: Self.test),
            context: context)
    }

    /// Says at what time the next call is.
    @inline(__always)
    func setClock(_ nanoseconds: Int64) {
        unsafe context.pointee.clock = nanoseconds
    }

    private static let add: TableFunctions.Add = { context, table, high, low, isIPv6, nanoseconds in
        guard let context = unsafe context?.assumingMemoryBound(to: Context.self).pointee else {
            return TableAnswer.busy.rawValue
        }
        let expires = unsafe context.clock.addingReportingOverflow(nanoseconds)
        return unsafe context.tables[table]._withUnsafeGuaranteedRef { table in
            guard unsafe !context.isTrial else { return TableAnswer(trying: table).rawValue }
            return TableAnswer(
                unsafe table.add(
                    Prefix(high, low, isIPv6), expires: expires.overflow ? TableEntry.never : expires.partialValue,
                    now: context.clock)
            ).rawValue
        }
    }

    private static let remove: TableFunctions.Remove = { context, table, high, low, isIPv6 in
        guard let context = unsafe context?.assumingMemoryBound(to: Context.self).pointee else {
            return TableAnswer.busy.rawValue
        }
        return unsafe context.tables[table]._withUnsafeGuaranteedRef { table in
            guard unsafe !context.isTrial else { return TableAnswer(trying: table).rawValue }
            return TableAnswer(unsafe table.discard(Prefix(high, low, isIPv6), now: context.clock)).rawValue
        }
    }

    private static let test: TableFunctions.Test = { context, table, high, low, isIPv6 in
        guard let context = unsafe context?.assumingMemoryBound(to: Context.self).pointee else { return false }
        return unsafe context.tables[table]._withUnsafeGuaranteedRef {
            unsafe $0.contains(Address(high, low, isIPv6), now: context.clock)
        }
    }
}

extension TableAnswer {
    fileprivate init(_ error: TableError?) {
        switch error {
        case nil: self = .done
        case .notFound: self = .absent
        case .immutable: self = .immutable
        case .busy: self = .busy
        case .full, .noMemory, .exists, .maskNotAllowed: self = .full
        }
    }

    /// What a script that is only tried is told.
    fileprivate init(trying table: AddressTable) {
        self = table.type == .const ? .immutable : .done
    }
}

extension Address {
    @inline(__always)
    fileprivate init(_ high: UInt64, _ low: UInt64, _ isIPv6: Bool) {
        self = isIPv6 ? Address(high: high, low: low) : Address(ipv4: UInt32(truncatingIfNeeded: low))
    }
}

extension Prefix {
    @inline(__always)
    fileprivate init(_ high: UInt64, _ low: UInt64, _ isIPv6: Bool) {
        self.init(Address(high, low, isIPv6))
    }
}
