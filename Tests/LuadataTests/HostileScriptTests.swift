import LuaRuntime
import Luadata
import Testing

/// Whatever a script tries, the call ends within its limits, the next packet is served, and nothing is left.
@Suite(.serialized, .timeLimit(.minutes(5))) struct HostileScriptTests {
    private static let limits = Limits(instructions: 1_000_000, memory: 2 << 20, nanoseconds: 200_000_000)
    /// No call may take longer than this, on a busy machine: 20 times the limit.
    private static let longest = Duration.seconds(4)

    private func filter(_ script: HostileScript) throws -> Filter {
        try Filter(
            """
            \(script.load)
            function filter(hdr, pld)
              if #pld == 4 then return #hdr == 4 end
              \(script.body)
            end
            """, limits: Self.limits)
    }

    /// Shows a packet of 4 bytes of header and so many of payload.
    private func show(_ payload: Int, to filter: inout Filter) -> FilterAnswer {
        var packet = [UInt8](repeating: 1, count: 4 + payload)
        let function = filter.function
        return unsafe packet.withUnsafeMutableBytes { packet in
            unsafe filter.state.filter(
                function, Region(UnsafeMutableRawBufferPointer(rebasing: packet[..<4]), isWritable: true),
                Region(UnsafeMutableRawBufferPointer(rebasing: packet[4...]), isWritable: true)
            ).answer
        }
    }

    @Test func theTableIsLong() {
        #expect(HostileScript.all.count >= 70)
        #expect(Set(HostileScript.all.map(\.name)).count == HostileScript.all.count)
    }

    @Test(arguments: HostileScript.all) func isHeld(_ script: HostileScript) throws {
        do {
            var filter = try filter(script)
            #expect(show(4, to: &filter) == .keep)
            filter.state.collectGarbage()
            let before = filter.state.memoryInUse
            for _ in 1...2 {
                var answer = FilterAnswer.keep
                let time = ContinuousClock().measure { answer = show(8, to: &filter) }
                #expect(script.outcomes.contains(answer), "\(answer): \(filter.state.lastMessage)")
                #expect(time < Self.longest)
                #expect(show(4, to: &filter) == .keep, "\(filter.state.lastMessage)")
            }
            filter.state.collectGarbage()
            #expect(filter.state.memoryInUse < before + 200_000)
        }
        let leaked = LuaState.leaked
        #expect(leaked == (0, 0))
    }

    /// At the edge of the memory a call fails without a collection of it all, and what is let go of comes back.
    @Test func aFullStateFailsAndRecovers() throws {
        var filter = try Filter(
            """
            function filter(d)
              if #d == 1 then for i = 1, 100 do keep = {keep} end end
              if #d == 2 then keep = nil end
            end
            """, limits: .unhurried(memory: 2 << 20))
        var calls = 0
        while filter([1]).answer == .keep { calls += 1 }
        #expect(calls > 100)
        var failures = 0
        for _ in 1...1000 where filter([1]).answer == .failedMemory { failures += 1 }
        #expect(failures > 900)
        #expect(filter.state.memoryInUse <= 2 << 20)
        failures = 0
        while filter([1, 2]).answer != .keep && failures < 1000 { failures += 1 }
        #expect(failures < 1000)
        failures = 0
        while filter([1]).answer != .keep && failures < 1000 { failures += 1 }
        #expect(failures < 1000)
        filter.state.collectGarbage()
        #expect(filter.state.memoryInUse < 1 << 20)
    }

    /// Data that already is over what a call may fill, as when a limit is lowered.
    @Test func aStateOverItsLimitCanLetGo() throws {
        var filter = try Filter("keep = {} for i = 1, 10000 do keep[i] = {} end function filter(d) keep = {} end")
        filter.state.collectGarbage()
        filter.state.limits.memory = filter.state.memoryInUse + 5000
        var failures = 0
        while filter().answer == .failedMemory && failures < 1000 { failures += 1 }
        #expect(failures > 0 && failures < 1000)
        filter.state.collectGarbage()
        #expect(filter.state.memoryInUse < 200_000)
    }
}
