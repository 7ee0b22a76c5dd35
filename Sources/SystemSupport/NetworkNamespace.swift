internal import CLinuxShim
internal import Glibc

/// The network namespace of the calling thread: its interfaces, rules and queues.
public enum NetworkNamespace {
    /// Moves the calling thread into the namespace that `ip netns add` made under `name`.
    public static func enter(named name: String) throws(Errno) {
        let file = try Descriptor { unsafe open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC) }
        try Errno.check { linux_setns(file.raw, CLONE_NEWNET) }
    }

    /// Moves the calling thread into a new namespace, which ends with the last thread, process or socket in it.
    public static func enterNew() throws(Errno) {
        try Errno.check { linux_unshare(CLONE_NEWNET) }
    }
}
