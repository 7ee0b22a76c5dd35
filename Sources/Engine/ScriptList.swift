/// Scripts in one piece of memory, in the order in which they were appended.
///
/// Those that were loaded are closed again if a later one cannot be.
@safe
struct ScriptList: ~Copyable {
    private let base: UnsafeMutablePointer<Script>
    private(set) var count = 0

    init(capacity: Int) {
        unsafe base = .allocate(capacity: max(capacity, 1))
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    mutating func append(_ script: consuming Script) {
        unsafe (base + count).initialize(to: script)
        count += 1
    }

    /// The script at a place below `count`.
    @inline(__always)
    subscript(place: Int) -> UnsafeMutablePointer<Script> { unsafe base + place }
}
