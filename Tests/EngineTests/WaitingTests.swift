import Engine
import Glibc
import PacketQueue
import SystemSupport
import Testing

private let runsLive = unsafe getenv("NPFLUA_SKIP_LIVE").map { unsafe String(cString: $0) } != "1"

@Suite(.enabled(if: runsLive, "NPFLUA_SKIP_LIVE=1"))
struct WaitingTests {
    /// Whoever ends the waiting has something for the worker, who is not to go to sleep over it.
    @Test(arguments: [Coalescing.Waiting.asleep, .pausing(50_000), .polling(20_000), .polling(20_000_000)])
    func whoeverEndsTheWaitingIsHeard(_ waiting: Coalescing.Waiting) throws {
        nonisolated(unsafe) var result: Result<(count: Int, nanoseconds: UInt64), any Error>?
        try WorkerThread(name: "live test") {
            unsafe result = Result {
                try NetworkNamespace.enterNew()
                var queue = try PacketQueue(number: 2014, maximumLength: 256, failOpen: false)
                let waker = try QueueWaker()
                let port = queue.port
                waker.wake(port)
                let begin = Clock.monotonic
                // So that a test that fails comes to its end.
                let other = try WorkerThread(name: "waker") {
                    usleep(1_000_000)
                    waker.wake(port)
                }
                let count = try queue.receive(after: waiting)
                let nanoseconds = Clock.monotonic - begin
                other.join()
                return (count, nanoseconds)
            }
        }.join()
        let (count, nanoseconds) = try unsafe result!.get()
        #expect(count == 0 && nanoseconds < 500_000_000, "\(nanoseconds) ns")
    }
}
