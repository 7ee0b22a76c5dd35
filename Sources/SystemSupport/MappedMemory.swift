internal import Glibc

/// Zeroed memory straight from the system, aligned to pages: a page costs nothing until it is first touched.
@safe
package struct MappedMemory: ~Copyable, Sendable {
    /// The memory.
    package nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

    /// - Parameters:
    ///   - size: bytes, more than 0. Address space for the most that may be needed: what is not touched is not there.
    ///   - inUse: how many of them will be used at once. Fewer and larger pages make searching many megabytes faster,
    ///     and would be wasted on less.
    /// - Returns: nil, and why in `errno`, where the system gives none.
    package init?(size: Int, inUse: Int = 0) {
        let start = unsafe mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let start = unsafe start, unsafe start != MAP_FAILED else { return nil }
        // Advice: nothing depends on its being taken.
        if inUse >= 1 << 21 { _ = unsafe madvise(start, size, MADV_HUGEPAGE) }
        unsafe bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    deinit {
        unsafe munmap(bytes.baseAddress, bytes.count)
    }

    /// Where it begins.
    package var base: UnsafeMutableRawPointer { unsafe bytes.baseAddress! }
}
