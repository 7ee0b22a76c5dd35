internal import CLinuxShim
internal import Glibc

/// A program that runs.
///
/// Killed when its owner's life ends.
///
/// Its standard streams are files in memory: whatever it writes, it never waits for a reader.
public struct RunningCommand: ~Copyable {
    /// Its process.
    public let processID: Int32
    private let process: Descriptor
    private let outputFile: Descriptor
    private let errorFile: Descriptor
    private var status: Int32?

    init(path: String, arguments: [String], input: [UInt8]) throws(Errno) {
        let inputFile = try Self.memoryFile(input)
        let outputFile = try Self.memoryFile()
        let errorFile = try Self.memoryFile()
        let processID = try Self.spawn(
            path, arguments, streams: [inputFile.raw, outputFile.raw, errorFile.raw])
        do {
            process = try Descriptor(opening: { linux_pidfd_open(processID) })
        } catch {
            kill(processID, SIGKILL)
            waitpid(processID, nil, 0)
            throw error
        }
        self.processID = processID
        self.outputFile = outputFile
        self.errorFile = errorFile
    }

    deinit {
        guard status == nil else { return }
        kill(processID, SIGKILL)
        _ = try? Errno.check { waitpid(processID, nil, 0) }
    }

    /// What it has written to its standard output so far.
    public var output: String { Self.text(of: outputFile) }

    /// What it has written to its standard error so far.
    public var errorOutput: String { Self.text(of: errorFile) }

    /// Sends it `signal`, unless its end was waited for.
    public func signal(_ signal: Int32) {
        if status == nil { kill(processID, signal) }
    }

    /// Waits for its end.
    ///
    /// - Parameter whileWaiting: is called every tenth of a second.
    /// - Returns: the exit status, or 128 + the signal that ended it; nil: it still runs after `milliseconds`.
    public mutating func wait(milliseconds: UInt32, whileWaiting: () -> Void = {}) -> Int32? {
        if let status { return status }
        let deadline = Clock.monotonic + UInt64(milliseconds) * 1_000_000
        while true {
            var wait = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
            let now = Clock.monotonic
            let rest = now < deadline ? min((deadline - now + 999_999) / 1_000_000, 100) : 0
            if unsafe poll(&wait, 1, CInt(rest)) > 0 { break }
            if now >= deadline { return nil }
            whileWaiting()
        }
        var result: CInt = 0
        _ = try? Errno.check { unsafe waitpid(processID, &result, 0) }
        let signal = result & 0x7f
        status = signal == 0 ? result >> 8 & 0xff : 128 + signal
        return status
    }

    private static func memoryFile(_ contents: [UInt8] = []) throws(Errno) -> Descriptor {
        let file = try Descriptor(opening: { unsafe linux_memfd_create("npflua") })
        var written = 0
        while written < contents.count {
            unsafe written += try contents.span.withUnsafeBytes { bytes throws(Errno) in
                try Errno.check {
                    unsafe pwrite(file.raw, bytes.baseAddress! + written, bytes.count - written, off_t(written))
                }
            }
        }
        return file
    }

    private static func text(of file: borrowing Descriptor) -> String {
        var bytes: [UInt8] = []
        let raw = file.raw
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)
        defer { unsafe buffer.deallocate() }
        while true {
            // pread: the file's position is the program's.
            let count = unsafe pread(raw, buffer.baseAddress, buffer.count, off_t(bytes.count))
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            unsafe bytes.append(contentsOf: buffer[..<count])
        }
    }

    private static func spawn(_ path: String, _ arguments: [String], streams: [CInt]) throws(Errno) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for (number, raw) in streams.enumerated() {
            unsafe posix_spawn_file_actions_adddup2(&actions, raw, CInt(number))
        }

        // A worker thread has all signals blocked, and a service ignores SIGPIPE: the program shall have neither.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe sigaddset(&signals, SIGPIPE)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var vector = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe vector.forEach { unsafe free($0) } }
        var processID: pid_t = 0
        let result = unsafe posix_spawn(&processID, path, &actions, &attributes, &vector, linux_environment())
        guard result == 0 else { throw Errno(result) }
        return processID
    }
}
