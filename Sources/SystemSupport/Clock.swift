internal import CLinuxShim
internal import Glibc

/// The system's clocks, in nanoseconds.
public enum Clock {
    /// Time since some point at or before the system's start; never set back (CLOCK_MONOTONIC).
    public static var monotonic: UInt64 { nanoseconds(of: CLOCK_MONOTONIC) }

    /// Time since 1970-01-01 UTC (CLOCK_REALTIME).
    public static var realtime: UInt64 { nanoseconds(of: CLOCK_REALTIME) }

    /// Has the calling thread sleep for some nanoseconds, less than a second, or until a signal comes.
    public static func sleep(_ nanoseconds: Int64) {
        var time = timespec(tv_sec: 0, tv_nsec: Int(nanoseconds))
        unsafe clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nil)
    }

    private static func nanoseconds(of clock: clockid_t) -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
