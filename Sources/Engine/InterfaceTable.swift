import SystemSupport

/// Which interface of the ruleset a kernel's interface index is, and its name: a cache of fixed size.
///
/// An index that is not there is asked of the kernel once. The control thread tells when interfaces have come, gone or
/// been renamed, and the cache is emptied.
@safe
struct InterfaceTable: ~Copyable {
    private struct Place: BitwiseCopyable {
        var index: UInt32 = 0
        var interface: UInt16 = 0
        var name = InterfaceName()
    }

    private static let count = 256
    private let places: UnsafeMutablePointer<Place>
    /// The names that the ruleset knows; the position of a name is its interface's number less one.
    private var known: [InterfaceName] = []

    init() {
        unsafe places = .allocate(capacity: Self.count)
        unsafe places.initialize(repeating: Place(), count: Self.count)
    }

    deinit {
        unsafe places.deallocate()
    }

    /// Takes over the names that a ruleset knows, and forgets what was cached.
    ///
    /// Control-path work.
    mutating func learn(_ names: [String]) {
        known = names.map { InterfaceName($0) }
        forget()
    }

    /// Forgets what was cached.
    mutating func forget() {
        for place in 0..<Self.count { unsafe places[place].index = 0 }
    }

    /// The ruleset's number of an interface, and its name, which stays until the next call.
    @inline(__always)
    mutating func find(_ index: UInt32) -> (interface: UInt16, name: UnsafePointer<CChar>) {
        let place = unsafe places + Int(index % UInt32(Self.count))
        if unsafe place.pointee.index != index { unsafe resolve(index, into: place) }
        let name = unsafe UnsafeRawPointer(place) + MemoryLayout<Place>.offset(of: \.name)!
        return unsafe (place.pointee.interface, name.assumingMemoryBound(to: CChar.self))
    }

    private func resolve(_ index: UInt32, into place: UnsafeMutablePointer<Place>) {
        unsafe place.pointee.index = index
        unsafe place.pointee.interface = 0
        unsafe place.pointee.name = Interfaces.name(index: index) ?? InterfaceName()
        for position in known.indices where unsafe known[position] == place.pointee.name {
            unsafe place.pointee.interface = UInt16(position + 1)
        }
    }
}
