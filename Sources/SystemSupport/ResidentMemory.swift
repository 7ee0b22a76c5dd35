internal import CLinuxShim

/// The memory that the process holds.
public enum ResidentMemory {
    /// Gives back what was used for a time alone: free pages of the heap, those of all threads (malloc_trim(3)), and pages
    /// of the program's own file (MADV_DONTNEED), which are mapped again as they are used.
    ///
    /// Most of a program's code runs while it starts and loads rules. How much of it is mapped by then depends on how much
    /// of the file the system has at hand, since it maps that in advance.
    ///
    /// It takes milliseconds, in which threads that allocate may wait: for the time after much has been done.
    public static func giveBack() {
        linux_malloc_trim()
        linux_unmap_program()
    }
}
