import AddressTables
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
            case .rule: response.lines = try changeRules(request.ruleset)
            case .table: response.lines = try changeTable(request.table, request.file)
            case .connections: (response.connections, response.next) = try connections(from: request.from ?? 0)
            case .explain: response.explanations = try explain(request.packets ?? [])
            }
        } catch {
            logger.error("refused: \(error)", metadata: ["command": "\(request.command.rawValue)"])
            return ControlResponse(error: "\(error)")
        }
        logger.info("control request", metadata: ["command": "\(request.command.rawValue)"])
        return response
    }

    private func reload(_ file: ControlRequest.File?) throws {
        guard let file else { return try reload { try Self.load(options, after: configuration) } }
        try reload {
            try LoadedConfiguration(
                text: Array(file.text.utf8), file: file.name, scripts: ScriptDirectory(path: options.scripts),
                after: configuration, now: Int64(Clock.monotonic))
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
        return ruleset.rules.indices.flatMap { entry -> [LuaStateReport] in
            let rule = ruleset.rules[entry]
            let procedure = rule.procedure.map { ruleset.procedures[$0].scripts } ?? []
            let filter = rule.scriptFilter.map { [ruleset.scriptFilters[$0]] } ?? []
            let memory = unsafe (worker.ruleCounters.base + entry).pointee.memory.value
            return (filter + procedure).map { call in
                LuaStateReport(
                    script: call.file, function: call.function, entry: entry, worker: 0, memory: Int(memory))
            }
        }
    }

    private func statisticsReport() -> StatisticsReport {
        let totals = worker.totals
        let mailbox = worker.mailbox
        let refusedByTables = configuration.tables.names.indices.reduce(0 as UInt64) {
            $0 + configuration.tables[$1].refused
        }
        let sections: [StatisticsReport.Section] = [
            .init(
                "Packets passed",
                [
                    .init("default pass", totals.passedByDefault.value),
                    .init("ruleset pass", totals.passedByRule.value),
                    .init("state pass", totals.passedByState.value),
                    .init("flow pass", totals.passedByFlow.value),
                    .init("script error pass", totals.passedByErrorPolicy.value),
                ]),
            .init(
                "Packets blocked",
                [
                    .init("default block", totals.blockedByDefault.value),
                    .init("ruleset block", totals.blockedByRule.value),
                    .init("flow block", totals.blockedByFlow.value),
                    .init("procedure block", totals.blockedByProcedure.value),
                    .init("script error block", totals.blockedByErrorPolicy.value),
                    .init("malformed", totals.malformed.value),
                    .init("IP options", totals.optionsDropped.value),
                ]),
            .init(
                "State and NAT entries",
                [
                    .init("states", totals.states.current.value),
                    .init("state allocations", totals.states.created.value),
                    .init(
                        "state destructions",
                        totals.states.expired.value + totals.states.replaced.value + totals.states.evicted.value
                            + totals.states.flushed.value),
                    .init("states that made room for others", totals.states.evicted.value),
                    .init("states refused for want of room", totals.states.refused.value),
                ]),
            .init(
                "Invalid packet state cases",
                [
                    .init("cases in total", totals.states.invalid.value),
                    .init("TCP case I", totals.states.beyondWindow.value),
                    .init("TCP case II", totals.states.beforeWindow.value),
                    .init("TCP case III", totals.states.acknowledgment.value),
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
                    .init("packets not logged for want of room", totals.packetsNotLogged.value),
                    .init("scripts' table entries refused", refusedByTables),
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
