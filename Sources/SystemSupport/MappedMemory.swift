internal import Glibc

/// Zeroed memory straight from the system, aligned to pages: a page costs nothing until it is first touched.
@safe
package struct MappedMemory: ~Copyable, Sendable {
    /// The memory.
    nonisolated(unsafe) package let bytes: UnsafeMutableRawBufferPointer

    /// - Parameters:
    ///   - size: bytes, more than 0. Address space for the most that may be needed: what is not touched is not there.
    ///   - inLargePages: whether to ask for fewer and larger pages, which makes searching many megabytes faster, and
    ///     would be wasted on less.
    /// - Throws: where the system gives none.
    package init(size: Int, inLargePages: Bool = false) throws(Errno) {
        let start = unsafe mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let start = unsafe start, unsafe start != MAP_FAILED else { throw .current }
        // Advice: nothing depends on its being taken.
        if inLargePages { _ = unsafe madvise(start, size, MADV_HUGEPAGE) }
        unsafe bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    deinit {
        unsafe munmap(bytes.baseAddress, bytes.count)
    }
}
