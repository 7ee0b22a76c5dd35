internal import CLinuxShim

/// The processors that threads run on, by the system's numbers.
public enum Processors {
    /// Words of a mask: Linux can be built for 8192 processors.
    private static let words = 128

    /// Those that the calling thread may run on, in order (sched_getaffinity(2)).
    public static var available: [Int] {
        var mask = [UInt64](repeating: 0, count: words)
        guard (unsafe linux_sched_getaffinity(&mask, words * 8)) > 0 else { return [0] }
        return (0..<words * 64).filter { mask[$0 / 64] & 1 << UInt64($0 % 64) != 0 }
    }

    /// Keeps the calling thread on one processor, which its mask must have (sched_setaffinity(2)).
    static func pin(to processor: Int) throws(Errno) {
        guard 0..<words * 64 ~= processor else { throw .invalidArgument }
        var mask = [UInt64](repeating: 0, count: words)
        mask[processor / 64] = 1 << UInt64(processor % 64)
        try Errno.check { unsafe linux_sched_setaffinity(mask, words * 8) }
    }
}
