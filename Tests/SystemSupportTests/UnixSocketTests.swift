import Glibc
import SystemSupport
import Testing

/// A directory of its own for a test; removed with what is in it.
struct TemporaryDirectory: ~Copyable {
    let path: String

    init() throws {
        var template = Array("/tmp/npflua.XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Errno.current }
        path = String(decoding: template.dropLast().map { UInt8($0) }, as: UTF8.self)
    }

    deinit {
        _ = try? Command.run(["rm", "-r", path])
    }
}

@Suite struct UnixSocketTests {
    /// The first bytes that arrive.
    private func text(_ socket: borrowing UnixSocket) throws -> String? {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = try unsafe bytes.withUnsafeMutableBytes { unsafe try socket.read(into: $0) }
        return count.map { String(decoding: bytes[..<$0], as: UTF8.self) }
    }

    @Test func clientsAndTheListenerTalk() throws {
        let directory = try TemporaryDirectory()
        let listener = try UnixListener(path: directory.path + "/s")
        #expect(try listener.accept() == nil, "nobody waits")
        let client = try UnixSocket(connectingTo: directory.path + "/s", milliseconds: 2000)
        guard let server = try listener.accept() else { throw Failed("nobody waits") }
        #expect(try text(server) == nil, "nothing to read yet")

        try client.writeAll(Array("hello".utf8))
        #expect(try text(server) == "hello")
        try server.writeAll(Array("good day".utf8))
        #expect(try text(client) == "good day")

        let peer = try server.peerCredentials()
        #expect(peer.processID == getpid() && peer.userID == getuid() && peer.groupID == getgid())
    }

    @Test func endsAndTimeoutsAreTold() throws {
        let directory = try TemporaryDirectory()
        let listener = try UnixListener(path: directory.path + "/s")
        let client = try UnixSocket(connectingTo: directory.path + "/s", milliseconds: 30)
        do {
            guard let server = try listener.accept() else { throw Failed("nobody waits") }
            #expect(try text(client) == nil, "nothing within the time")
            #expect(throws: Errno.timedOut) { try client.writeAll([UInt8](repeating: 0, count: 8 << 20)) }
            #expect(try text(server)?.utf8.count == 64)
        }
        #expect(throws: Errno(EPIPE)) { try client.writeAll([1]) }
    }

    @Test func aListenerIsTheOwnersAndTheGroups() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        for (group, mode, groupID) in [
            (nil, 0o600, getgid()), ("no-such-group", 0o600, getgid()),
            ("daemon", 0o660, try #require(Users.groupID(named: "daemon"))),
        ] as [(String?, mode_t, gid_t)] {
            do {
                let listener = try UnixListener(path: path, group: group)
                var status = stat()
                #expect(unsafe stat(path, &status) == 0)
                #expect(status.st_mode & 0o777 == mode && status.st_gid == groupID)
                _ = listener.descriptor.raw
            }
            #expect(unsafe access(path, F_OK) != 0, "removed with its listener")
        }
    }

    @Test func onlyAStaleSocketIsReplaced() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/s"
        // A socket file without a listener, as a killed daemon leaves.
        let stale = try Command.run(["python3", "-c", "import socket; socket.socket(socket.AF_UNIX).bind('\(path)')"])
        try #require(stale.status == 0, "\(stale.errorOutput)")
        let listener = try UnixListener(path: path)
        let error = #expect(throws: SystemError.self) { _ = try UnixListener(path: path) }
        #expect(error?.description == "another daemon answers at \(path): stop it first or name another path")
        _ = try UnixSocket(connectingTo: path, milliseconds: 100)
        _ = listener.descriptor.raw
    }

    @Test func whatCannotBeListenedAtIsExplained() throws {
        let directory = try TemporaryDirectory()
        let table = [
            ("/dev/null", "/dev/null exists and is not a socket: remove it or name another path"),
            (
                directory.path + "/no/s",
                "cannot listen at \(directory.path)/no/s: No such file or directory; its directory must exist and be the daemon's"
            ),
            ("", "cannot make a socket at : Invalid argument"),
            (
                String(repeating: "x", count: 108),
                "cannot make a socket at \(String(repeating: "x", count: 108)): File name too long"
            ),
        ]
        for (path, text) in table {
            let error = #expect(throws: SystemError.self) { _ = try UnixListener(path: path) }
            #expect(error?.description == text)
        }
        #expect(throws: Errno.noSuchEntry) {
            _ = try UnixSocket(connectingTo: directory.path + "/s", milliseconds: 100)
        }
    }
}

@Suite struct UsersTests {
    @Test func readsTheDatabases() {
        #expect(Users.groupID(named: "root") == 0)
        #expect(Users.groupID(named: "no-such-group") == nil)
        // Debian: the user games (5) has the group games (60); man (6) has man (12).
        #expect(Users.isMember(uid: 5, gid: 999, ofGroup: 60))
        #expect(!Users.isMember(uid: 5, gid: 999, ofGroup: 12))
        #expect(Users.isMember(uid: 5, gid: 12, ofGroup: 12), "by the process's own group")
        #expect(!Users.isMember(uid: 123_456, gid: 999, ofGroup: 0))
    }
}

@Suite struct ServiceNotifierTests {
    /// What the manager's socket at `path` gets.
    private func messages(at path: String, _ body: (ServiceNotifier) -> Void) throws -> [String] {
        let isAbstract = path.hasPrefix("@")
        let code = """
            import socket, sys
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.bind(\(isAbstract ? "'\\0\(path.dropFirst())'" : "'\(path)'"))
            print('bound', flush=True)
            while True: print(s.recv(1000), flush=True)
            """
        let manager = try Command.start(["python3", "-c", code])
        while manager.output.isEmpty { usleep(1000) }
        body(ServiceNotifier(environment: { $0 == "NOTIFY_SOCKET" ? path : nil }))
        body(ServiceNotifier(environment: { $0 == "NOTIFY_SOCKET" ? path + ".nobody" : nil }))
        body(ServiceNotifier(environment: { _ in nil }))
        while !manager.output.contains("WATCHDOG") { usleep(1000) }
        return manager.output.split(separator: "\n").dropFirst().map(String.init)
    }

    @Test func tellsTheServiceManager() throws {
        let directory = try TemporaryDirectory()
        for path in [directory.path + "/notify", "@npflua-test-\(getpid())"] {
            let before = Clock.monotonic / 1000
            let messages = try messages(at: path) { notifier in
                notifier.ready()
                notifier.reloading()
                notifier.status("two\nlines")
                notifier.stopping()
                notifier.watchdog()
            }
            try #require(messages.count == 5, "\(messages)")
            #expect(messages[0] == "b'READY=1'")
            let reloading = "b'RELOADING=1\\nMONOTONIC_USEC="
            #expect(messages[1].hasPrefix(reloading))
            #expect(UInt64(messages[1].dropFirst(reloading.count).dropLast())! >= before)
            #expect(messages[2...] == ["b'STATUS=two lines'", "b'STOPPING=1'", "b'WATCHDOG=1'"])
        }
    }

    @Test func readsTheWatchdogsInterval() {
        let table: [(environment: [String: String], interval: UInt64?)] = [
            ([:], nil),
            (["WATCHDOG_USEC": "30000000"], 30_000),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "\(getpid())"], 30_000),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"], nil),
            (["WATCHDOG_USEC": "soon"], nil),
            (["WATCHDOG_USEC": "0"], nil),
        ]
        for (environment, interval) in table {
            #expect(ServiceNotifier(environment: { environment[$0] }).watchdogInterval == interval, "\(environment)")
        }
    }
}
