internal import Glibc

/// The system's users and groups.
///
/// Reads the user database: for the control thread only.
public enum Users {
    /// The user that this process acts as.
    public static var effective: UInt32 { geteuid() }

    /// The number of the group `name`; nil: there is none.
    public static func groupID(named name: String) -> UInt32? {
        unsafe withDatabaseBuffer { buffer in
            var entry = unsafe group()
            var found: UnsafeMutablePointer<group>?
            let result = unsafe getgrnam_r(name, &entry, buffer.baseAddress!, buffer.count, &found)
            return (result, unsafe found.map { unsafe $0.pointee.gr_gid })
        }
    }

    /// Whether a process of user `uid` and group `gid` is in the group `group`, by `gid` or by the group database.
    public static func isMember(uid: UInt32, gid: UInt32, ofGroup group: UInt32) -> Bool {
        if gid == group { return true }
        guard let groups = groups(of: uid) else { return false }
        return groups.contains(group)
    }

    /// All groups of the user `uid`, its own first; nil: no such user.
    private static func groups(of uid: uid_t) -> [gid_t]? {
        unsafe withDatabaseBuffer { buffer in
            var entry = unsafe passwd()
            var found: UnsafeMutablePointer<passwd>?
            let result = unsafe getpwuid_r(uid, &entry, buffer.baseAddress!, buffer.count, &found)
            guard unsafe found != nil else { return (result, nil) }
            var count: CInt = 64
            while true {
                var groups = [gid_t](repeating: 0, count: Int(count))
                let room = count
                if unsafe getgrouplist(entry.pw_name, entry.pw_gid, &groups, &count) >= 0 {
                    return (0, Array(groups.prefix(Int(count))))
                }
                // It has written the count that is needed; the database may grow between two calls.
                count = max(count, room * 2)
            }
        }
    }

    /// Runs a `…_r` lookup with a buffer that grows until its entry fits.
    private static func withDatabaseBuffer<Value>(
        _ lookup: (UnsafeMutableBufferPointer<CChar>) -> (result: CInt, value: Value?)
    ) -> Value? {
        var size = 1024
        while size <= 1 << 20 {
            let (result, value) = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) {
                unsafe lookup($0)
            }
            if result != ERANGE { return value }
            size *= 4
        }
        return nil
    }
}
