import Engine
import Packet
import Procedures
import ScriptModules
import TestSupport
import Testing

@Suite struct ScriptLogTests {
    private let totals = TotalCounters()

    private func log(interval: Int64 = 1000, leastLevel: LogLevel? = .debug) -> ScriptLog {
        ScriptLog(totals: totals, leastLevel: leastLevel, interval: interval)
    }

    private func fail(_ log: ScriptLog, _ text: String, entry: Int32 = 3, now: Int64 = 0) {
        unsafe log.noteFailure(entry: entry, now: now) { buffer in
            unsafe buffer.copyBytes(from: text.utf8.prefix(buffer.count))
            return text.utf8.count
        }
    }

    private func say(_ log: ScriptLog, _ level: LogLevel, _ text: String, entry: Int32 = 3, now: Int64 = 0) {
        unsafe Array(text.utf8).withUnsafeBytes { text in
            unsafe log.noteMessage(entry: entry, level: level.rawValue, now: now, text: text)
        }
    }

    private func drain(_ log: ScriptLog) -> [ScriptLog.Message] {
        var messages: [ScriptLog.Message] = []
        while let message = log.take() { messages.append(message) }
        return messages
    }

    @Test func textsComeInOrderWithTheirRulesAndLevels() {
        let log = log()
        #expect(log.take() == nil)
        fail(log, "one", entry: 1)
        for level in LogLevel.allCases { say(log, level, "\(level)", entry: 2) }
        let messages = drain(log)
        #expect(messages.map(\.text) == ["one", "debug", "info", "notice", "warning", "error"])
        #expect(messages.map(\.level) == [nil] + LogLevel.allCases)
        #expect(messages.map(\.entry) == [1, 2, 2, 2, 2, 2])
    }

    @Test func ratesAreBoundedEachForItselfAndAllowancesComeBack() {
        let log = log()
        func noted(_ count: Int, now: Int64, _ note: (ScriptLog, Int64) -> Void) -> Int {
            (0..<count).reduce(0) { sum, _ in
                note(log, now)
                return sum + (log.take() == nil ? 0 : 1)
            }
        }
        let failing = { (log: ScriptLog, now: Int64) in self.fail(log, "x", now: now) }
        let saying = { (log: ScriptLog, now: Int64) in self.say(log, .info, "x", now: now) }
        #expect(noted(100, now: 5, saying) == 16)
        #expect(noted(100, now: 5, failing) == 16, "messages keep failures out")
        #expect(log.takeDropped() == 84)
        #expect(totals.failuresUnlogged.value == 84)
        for note in [failing, saying] {
            #expect(noted(1, now: 6, note) == 0)
            #expect(noted(2, now: 1005, note) == 1)
            #expect(noted(1, now: 1_000_000, note) == 1)
        }
        #expect(log.takeDropped() == 2)
        #expect(log.takeDropped() == 0)
    }

    @Test func fullRingTakesNoMore() {
        let log = log(interval: 0)
        for _ in 0..<100 { say(log, .info, "x") }
        #expect(log.takeDropped() == 37)
        // There is room for one failure.
        fail(log, "y")
        fail(log, "z")
        #expect(drain(log).map(\.text) == Array(repeating: "x", count: 63) + ["y"])
    }

    @Test func longTextIsCut() {
        let log = log()
        fail(log, String(repeating: "x", count: 5000))
        say(log, .info, String(repeating: "x", count: 5000))
        #expect(drain(log).map(\.text.utf8.count) == [2000, 2000])
    }

    @Test func whatIsBelowTheLeastLevelTakesNoAllowance() {
        for (least, heard) in [(LogLevel.notice as LogLevel?, [LogLevel.notice, .warning, .error]), (nil, [])] {
            let log = log(leastLevel: least)
            for _ in 0..<1000 { say(log, .info, "x") }
            for level in LogLevel.allCases { say(log, level, "x") }
            #expect(drain(log).compactMap(\.level) == heard)
            #expect(log.takeDropped() == 0)
        }
    }

    @Test func scriptsAreHeardWhileTheyAreLoadedAndWhileTheyDecide() throws {
        let folder = try ScriptFolder([
            "filter.lua": """
            local npf = require 'npf'
            npf.log('debug', 'loaded', npf.time() > 1.7e9)
            function filter(hdr, pld)
              npf.log(tostring(pld), npf.time(), #pld)
              if #pld == 5 then error('short') end
            end
            """
        ])
        let configuration = try folder.load(
            """
            procedure "p" { lua: call filter, error pass }
            group default {
            \tpass all
            \tpass proto tcp all apply "p"
            \tpass proto udp all apply "p"
            }

            """)
        let log = log(interval: 0)
        var filter = try Filter(configuration, totals: totals, messages: log, log: PacketLog(), seed: 1)
        // Trying the script while the configuration was read is not heard: once for each rule that calls it.
        #expect(
            drain(log) == [
                .init(entry: 3, level: .debug, text: "loaded\ttrue"),
                .init(entry: 4, level: .debug, text: "loaded\ttrue"),
            ])
        for (packet, time) in [(datagram("notice"), 1_500_000_000 as Int64), (segment(.ack, "error"), 2_000_000_000)] {
            var packet = packet
            let decision = filter.decide(&packet, time: time)
            #expect(decision.verdict == .pass)
        }
        let messages = drain(log)
        #expect(messages.count == 3)
        #expect(messages[0] == .init(entry: 4, level: .notice, text: "1.5\t6"))
        #expect(messages[1] == .init(entry: 3, level: .error, text: "2.0\t5"))
        #expect(messages[2].level == nil && messages[2].text.hasPrefix("filter.lua:5: short"))
    }
}
