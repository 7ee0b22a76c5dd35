internal import CLinuxShim

/// The memory that the C library gives out.
public enum HeapMemory {
    /// Gives pages that are free back to the system, those of all threads (malloc_trim(3)).
    ///
    /// It takes milliseconds, in which threads that allocate may wait: for the time after much has been freed.
    public static func giveBackFreePages() {
        linux_malloc_trim()
    }
}
