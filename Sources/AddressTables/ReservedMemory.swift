import Glibc

/// Zeroed address space for the most that a table may need: a page costs memory once it is touched.
@safe
struct ReservedMemory: ~Copyable, Sendable {
    nonisolated(unsafe) let base: UnsafeMutableRawPointer
    private let size: Int

    /// - Parameter inUse: how many bytes will be used at once; large pages make searching many megabytes faster, and
    ///   would be wasted on less.
    init(size: Int, inUse: Int) throws(TableError) {
        let memory = unsafe mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { throw .noMemory }
        // Advice: nothing depends on its being taken.
        if inUse >= 1 << 21 { _ = unsafe madvise(memory, size, MADV_HUGEPAGE) }
        unsafe base = memory
        self.size = size
    }

    deinit {
        unsafe munmap(base, size)
    }
}
