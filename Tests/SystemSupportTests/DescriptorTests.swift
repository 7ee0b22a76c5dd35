import Glibc
import SystemSupport
import Testing

@Suite struct ErrnoTests {
    @Test func tellsNameAndText() {
        let table: [(code: CInt, text: String)] = [
            (EPERM, "Operation not permitted (EPERM)"),
            (EAGAIN, "Resource temporarily unavailable (EAGAIN)"),
            (4095, "unknown error 4095 (errno 4095)"),
        ]
        for (code, text) in table { #expect(Errno(code).description == text) }
    }

    @Test func retriesWhatASignalInterrupts() throws {
        var calls = 0
        let result = try Errno.check { () -> Int in
            calls += 1
            errno = EINTR
            return calls < 3 ? -1 : 42
        }
        #expect(result == 42 && calls == 3)
        #expect(throws: Errno.notPermitted) {
            try Errno.check { () -> CInt in
                errno = EPERM
                return -1
            }
        }
    }
}

@Suite struct DescriptorTests {
    @Test func closesAtTheEndOfItsLife() throws {
        let raw: CInt
        do {
            let descriptor = try Descriptor(reading: "/dev/zero")
            raw = descriptor.raw
            #expect(fcntl(raw, F_GETFD) == FD_CLOEXEC, "not inherited by commands")
        }
        // Another test may have opened the number again, but not for this file.
        var status = stat()
        #expect(unsafe fstat(raw, &status) != 0 || status.st_rdev != 0x105)
    }

    @Test func readsAFileToItsEnd() throws {
        #expect(try Descriptor(reading: "/proc/self/cmdline").readToEnd().contains(0))
        #expect(try Descriptor(reading: "/dev/null").readToEnd() == [])
        #expect(throws: Errno.noSuchEntry) { _ = try Descriptor(reading: "/nowhere/at/all") }
        #expect(throws: Errno.fileTooLarge) { _ = try Descriptor(reading: "/dev/zero").readToEnd(limit: 1 << 20) }
        for (path, said) in [
            ("/nowhere/at/all", "cannot read /nowhere/at/all: No such file or directory"),
            ("/dev/zero", "cannot read /dev/zero: it is larger than 100 bytes"),
            ("/", "cannot read /: Is a directory"),
        ] {
            let error = #expect(throws: SystemError.self) { _ = try File.read(path, limit: 100) }
            #expect(error?.description == said)
        }
    }
}

@Suite struct EpollTests {
    @Test func tellsWhichDescriptorIsReady() throws {
        var epoll = try Epoll(capacity: 4)
        let first = try EventDescriptor()
        let second = try EventDescriptor()
        try epoll.add(first.descriptor.raw, token: 1)
        try epoll.add(second.descriptor.raw, token: .max)
        #expect(try epoll.wait(milliseconds: 0) == 0)

        second.signal()
        #expect(try epoll.wait(milliseconds: 1000) == 1)
        #expect(epoll.event(at: 0).token == .max && epoll.event(at: 0).isReadable && !epoll.event(at: 0).isWritable)

        try epoll.modify(second.descriptor.raw, for: [.readable, .writable], token: 3)
        #expect(try epoll.wait(milliseconds: 1000) == 1)
        #expect(epoll.event(at: 0).token == 3 && epoll.event(at: 0).isReadable && epoll.event(at: 0).isWritable)

        try epoll.remove(second.descriptor.raw)
        #expect(try epoll.wait(milliseconds: 0) == 0)
        first.signal()
        #expect(try epoll.wait(milliseconds: 1000) == 1)
        #expect(epoll.event(at: 0).token == 1)
    }

    @Test func eventsAreSignalledUntilTheyAreDrained() throws {
        let event = try EventDescriptor()
        #expect(event.drain() == false)
        event.signal()
        event.signal()
        #expect(event.drain() == true)
        #expect(event.drain() == false)
    }

    @Test func timersExpireOnceOrAgain() throws {
        var epoll = try Epoll()
        let timer = try TimerDescriptor()
        try epoll.add(timer.descriptor.raw, token: 0)
        #expect(try timer.drain() == 0)
        try timer.start(after: 0)
        #expect(try epoll.wait(milliseconds: 5000) == 1)
        #expect(try timer.drain() == 1)
        try timer.start(after: 1, every: 1)
        for _ in 0..<3 {
            #expect(try epoll.wait(milliseconds: 5000) == 1)
            #expect(try timer.drain() >= 1)
        }
        try timer.stop()
        _ = try timer.drain()
        #expect(try epoll.wait(milliseconds: 0) == 0)
    }

    @Test func signalsAreReadOneByOne() throws {
        try onThread {
            let signals = try SignalDescriptor([SIGUSR1, SIGUSR2])
            guard try signals.next() == nil else { throw Failed("no signal yet") }
            pthread_kill(pthread_self(), SIGUSR2)
            guard try signals.next() == SIGUSR2, try signals.next() == nil else { throw Failed("not SIGUSR2") }
        }
    }
}

@Suite struct ClockTests {
    @Test func countsNanoseconds() {
        let (monotonic, realtime) = (Clock.monotonic, Clock.realtime)
        #expect(Clock.monotonic >= monotonic)
        #expect(abs(Int(realtime / 1_000_000_000) - time(nil)) <= 2)
    }
}

@Suite struct WorkerThreadTests {
    @Test func runsWithItsNameItsStackAndNoSignals() throws {
        @Sendable func body() throws -> String {
            var blocked = sigset_t()
            unsafe pthread_sigmask(SIG_BLOCK, nil, &blocked)
            // 3 MiB of frames.
            func deep(_ depth: Int) -> Int {
                unsafe withUnsafeTemporaryAllocation(byteCount: 1 << 10, alignment: 16) { block in
                    unsafe block[0] = UInt8(truncatingIfNeeded: depth)
                    return depth == 0 ? 0 : unsafe Int(block[0]) & 0 + 1 + deep(depth - 1)
                }
            }
            let name = String(decoding: try Descriptor(reading: "/proc/thread-self/comm").readToEnd(), as: UTF8.self)
            return "\(name)\(unsafe sigismember(&blocked, SIGTERM)) \(deep(2700))"
        }
        let said = try onThread {
            // A thread inherits its mask, and a test's own thread has signals blocked.
            var none = sigset_t()
            unsafe sigemptyset(&none)
            unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
            return try onThread(stackSize: 4 << 20, body)
        }
        #expect(said == "a name that is \n1 2700")
    }

    @Test func staysOnItsProcessor() throws {
        let all = Processors.available
        #expect(!all.isEmpty && all == all.sorted())
        for processor in all {
            nonisolated(unsafe) var seen: [Int] = []
            try WorkerThread(name: "pinned", processor: processor) { unsafe seen = Processors.available }.join()
            #expect(unsafe seen == [processor])
        }
        // One that there is not leaves the thread where it was.
        nonisolated(unsafe) var seen: [Int] = []
        try WorkerThread(name: "elsewhere", processor: 8191) { unsafe seen = Processors.available }.join()
        #expect(unsafe seen == all)
        #expect(Processors.available == all, "a worker's processor is its own alone")
    }

    @Test func joinsWhenItsLifeEnds() throws {
        nonisolated(unsafe) var done = false
        do {
            _ = try WorkerThread(name: "short") {
                usleep(20_000)
                unsafe done = true
            }
        }
        #expect(unsafe done)
    }
}

struct Failed: Error {
    let what: String

    init(_ what: String) { self.what = what }
}

/// Runs `body` in a thread of its own.
@discardableResult
func onThread<Result: Sendable>(
    stackSize: Int = 1 << 20, _ body: @escaping @Sendable () throws -> Result
) throws -> Result {
    nonisolated(unsafe) var result: Swift.Result<Result, any Error>?
    try WorkerThread(name: "a name that is too long", stackSize: stackSize) {
        unsafe result = Swift.Result { try body() }
    }.join()
    return try unsafe result!.get()
}
