import ConfigLanguage
public import ControlProtocol
import Logging
import LuaRuntime
public import PacketQueue
import Ruleset
import SystemSupport

extension Daemon {
    /// Carries out a request of the control socket.
    func answer(_ request: ControlRequest) -> ControlResponse {
        var response = ControlResponse()
        do {
            switch request.command {
            case .reload: try reload(request.file)
            case .start: try inspect(true)
            case .stop: try inspect(false)
            case .flush: try reload { .empty(keeping: configuration) }
            case .show: response.rules = rulesReport()
            case .stats: response.statistics = statisticsReport()
            case .luaLoad: try loadScript(request.file)
            case .luaList: response.states = luaStateReports()
            }
        } catch {
            logger.error("refused: \(error)", metadata: ["command": "\(request.command.rawValue)"])
            return ControlResponse(error: "\(error)")
        }
        logger.info("control request", metadata: ["command": "\(request.command.rawValue)"])
        return response
    }

    private func reload(_ file: ControlRequest.File?) throws {
        guard let file else { return try reload { try Self.load(options) } }
        try reload {
            try LoadedConfiguration(
                text: Array(file.text.utf8), file: file.name, scripts: ScriptDirectory(path: options.scripts))
        }
    }

    private func loadScript(_ file: ControlRequest.File?) throws {
        guard let file else { throw SystemError("no script given: luactl load npf ./filter.lua") }
        guard let replaced = try configuration.replacingScript(named: file.name, with: Array(file.text.utf8)) else {
            let used = configuration.scriptNames.joined(separator: ", ")
            throw SystemError(
                "no state runs a script of the name of \(file.name): "
                    + (used.isEmpty ? "no rule calls any" : "the rules call \(used)"))
        }
        try reload { replaced }
    }

    private func rulesReport() -> RulesReport {
        let ruleset = configuration.ruleset
        let counters = worker.ruleCounters
        let reports = ruleset.rules.indices.compactMap { entry -> RuleReport? in
            let rule = ruleset.rules[entry]
            guard rule.kind == .rule, entry < counters.count else { return nil }
            let counted = unsafe counters.base + entry
            return unsafe RuleReport(
                entry: entry, rule: rule.text, packets: counted.pointee.packets.value,
                bytes: counted.pointee.bytes.value, calls: counted.pointee.calls.value,
                blocks: counted.pointee.blocks.value, errors: counted.pointee.errors.value)
        }
        let byEntry = Dictionary(uniqueKeysWithValues: reports.map { ($0.entry, $0) })
        let text = ruleset.canonicalText { entry in
            guard let report = byEntry[entry] else { return "" }
            let traffic = "\(report.packets) packets, \(report.bytes) bytes"
            guard ruleset.rules[entry].procedure != nil else { return traffic }
            return traffic + ", \(report.calls) calls, \(report.blocks) blocks, \(report.errors) errors"
        }
        return RulesReport(active: isInspecting, loaded: !reports.isEmpty, text: text, rules: reports)
    }

    private func luaStateReports() -> [LuaStateReport] {
        let ruleset = configuration.ruleset
        return ruleset.rules.indices.compactMap { entry in
            guard let procedure = ruleset.rules[entry].procedure else { return nil }
            let call = ruleset.procedures[procedure].call
            let memory = unsafe (worker.ruleCounters.base + entry).pointee.memory.value
            return LuaStateReport(
                script: call.file, function: call.function, entry: entry, worker: 0, memory: Int(memory))
        }
    }

    private func statisticsReport() -> StatisticsReport {
        let totals = worker.totals
        let mailbox = worker.mailbox
        let sections: [StatisticsReport.Section] = [
            .init(
                "Packets passed",
                [
                    .init("default pass", totals.passedByDefault.value),
                    .init("ruleset pass", totals.passedByRule.value),
                    .init("flow pass", totals.passedByFlow.value),
                    .init("script error pass", totals.passedByErrorPolicy.value),
                ]),
            .init(
                "Packets blocked",
                [
                    .init("default block", totals.blockedByDefault.value),
                    .init("ruleset block", totals.blockedByRule.value),
                    .init("flow block", totals.blockedByFlow.value),
                    .init("script block", totals.blockedByScript.value),
                    .init("script error block", totals.blockedByErrorPolicy.value),
                    .init("malformed", totals.malformed.value),
                ]),
            .init(
                "Scripts",
                [
                    .init("calls", totals.scriptCalls.value),
                    .init("errors", totals.scriptErrors.value),
                    .init("packets changed", totals.changed.value),
                    .init("changed packets dropped for their length", totals.tooLong.value),
                    .init("flows decided", totals.flowsDecided.value),
                    .init("flows forgotten for others", totals.flowsForgotten.value),
                    .init("messages logged", totals.messagesLogged.value),
                    .init("messages dropped", totals.messagesDropped.value),
                ]),
            .init(
                "Other",
                [
                    .init("bytes", totals.bytes.value),
                    .init("resets and ICMP errors sent", totals.answered.value),
                    .init("socket overruns", mailbox.overruns.value),
                    .init("verdicts for packets that were gone", mailbox.lostVerdicts.value),
                ]),
        ]
        return StatisticsReport(
            sections: sections, queueNumber: queueNumber,
            kernelQueue: PacketQueue.kernelCounters(number: queueNumber).map { .init($0) })
    }
}

extension [StatisticsReport.Counter] {
    /// The kernel's counters of a queue, by names for people.
    public init(_ counters: QueueCounters) {
        self = [
            .init("packets waiting", counters.queued),
            .init("dropped for a full queue", counters.droppedQueueFull),
            .init("dropped for a full socket", counters.droppedSocketFull),
            .init("packets so far", counters.sequence),
        ]
    }
}
