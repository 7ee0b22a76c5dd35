import Glibc
import SystemSupport
import Testing

@Suite struct CommandTests {
    @Test func tellsStatusAndOutput() throws {
        let table: [(script: String, input: String, expected: [String])] = [
            ("exit 0", "", ["0", "", ""]),
            ("echo out; echo err >&2; exit 3", "", ["3", "out\n", "err\n"]),
            ("cat", "to and fro", ["0", "to and fro", ""]),
            ("kill -TERM $$", "", ["\(128 + SIGTERM)", "", ""]),
        ]
        for (script, input, expected) in table {
            let result = try Command.run(["sh", "-c", script], input: Array(input.utf8))
            #expect(["\(result.status)", result.output, result.errorOutput] == expected, "\(script)")
        }
    }

    @Test func largeOutputsDoNotDeadlock() throws {
        let input = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
        let result = try Command.run(["sh", "-c", "cat; head -c 1000000 /dev/zero >&2"], input: input)
        #expect(result.output.utf8.count == 1 << 20 && result.errorOutput.utf8.count == 1_000_000)
    }

    @Test func programsAreFoundBesideThePath() throws {
        #expect(try Command.run(["nft", "--version"]).status == 0)
        #expect(try Command.run(["/bin/sh", "-c", "exit 7"]).status == 7)
        let error = #expect(throws: SystemError.self) { _ = try Command.run(["no-such-program", "-x"]) }
        #expect(
            error?.description == "no-such-program is not installed: not found in $PATH, /usr/sbin or /sbin")
    }

    @Test func whatDoesNotEndIsKilled() throws {
        let error = #expect(throws: SystemError.self) { _ = try Command.run(["sleep", "60"], timeoutMilliseconds: 20) }
        #expect(error?.description == "sleep has not ended after 20 ms and was killed")
        let processID: Int32
        do {
            let running = try Command.start(["sleep", "60"])
            processID = running.processID
            #expect(kill(processID, 0) == 0)
        }
        #expect(kill(processID, 0) == -1, "killed and reaped with its owner")
    }

    @Test func aRunningCommandTakesSignals() throws {
        var running = try Command.start([
            "sh", "-c", "trap 'echo got it; exit 5' USR1; echo ready; while :; do sleep 0.01; done",
        ])
        while running.output.isEmpty { usleep(1000) }
        #expect(running.wait(milliseconds: 0) == nil)
        running.signal(SIGUSR1)
        #expect(running.wait(milliseconds: 5000) == 5)
        #expect(running.wait(milliseconds: 0) == 5, "it is remembered")
        #expect(running.output == "ready\ngot it\n")
    }

    @Test func noSignalIsBlockedInACommand() throws {
        let blocked = try onThread { try Command.run(["grep", "SigBlk", "/proc/self/status"]).output }
        #expect(blocked == "SigBlk:\t0000000000000000\n")
    }
}
