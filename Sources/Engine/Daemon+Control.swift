import AddressTables
import ConfigLanguage
public import ControlProtocol
import KernelPlan
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
            case .reload: response.lines = try reload(request.file)
            case .start: try inspect(true)
            case .stop: try inspect(false)
            case .flush: try reload { .empty(keeping: configuration) }
            case .show: response.rules = rulesReport()
            case .stats: response.statistics = statisticsReport()
            case .luaLoad: try loadScript(request.file)
            case .luaList: response.states = try luaStateReports()
            case .rule: response.lines = try changeRules(request.ruleset)
            case .table: response.lines = try changeTable(request.table, request.file)
            case .connections: (response.connections, response.next) = try connections(from: request.from ?? 0)
            case .explain: response.explanations = try explain(request.packets ?? [])
            case .kernel: response.kernel = kernelReport()
            case .kernelText: response.lines = kernelTexts()
            }
        } catch {
            logger.error("refused: \(error)", metadata: ["command": "\(request.command.rawValue)"])
            return ControlResponse(error: "\(error)")
        }
        logger.info("control request", metadata: ["command": "\(request.command.rawValue)"])
        return response
    }

    /// - Returns: the warnings of what is loaded.
    private func reload(_ file: ControlRequest.File?) throws -> [String] {
        try reload {
            guard let file else { return try Self.load(options, after: configuration) }
            return try LoadedConfiguration(
                text: Array(file.text.utf8), file: file.name, scripts: ScriptDirectory(path: options.scripts),
                after: configuration, now: Int64(Clock.monotonic))
        }
        return configuration.warnings.map(\.report)
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
        let decided = kernelRules.decidedByEntry
        let reports = ruleset.rules.indices.compactMap { entry -> RuleReport? in
            let rule = ruleset.rules[entry]
            guard rule.kind == .rule else { return nil }
            func sum(_ value: (borrowing RuleCounters) -> UInt64) -> UInt64 {
                workers.sum { unsafe value(($0.records!.counters.base + entry).pointee) }
            }
            let kernel = decided[entry]
            return RuleReport(
                entry: entry, rule: rule.text, packets: sum { $0.packets.value } &+ (kernel?.packets ?? 0),
                bytes: sum { $0.bytes.value } &+ (kernel?.bytes ?? 0), calls: sum { $0.calls.value },
                blocks: sum { $0.blocks.value }, errors: sum { $0.errors.value })
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

    private func luaStateReports() throws -> [LuaStateReport] {
        let ruleset = configuration.ruleset
        let memory = try workers.all.map { try scriptMemory(on: $0) }
        var next = ruleset.scriptFilters.count
        return ruleset.rules.indices.flatMap { entry -> [LuaStateReport] in
            let rule = ruleset.rules[entry]
            let procedure = rule.procedure.map { ruleset.procedures[$0].scripts } ?? []
            let places = next..<(next + procedure.count)
            next = places.upperBound
            let filter = rule.scriptFilter.map { [(ruleset.scriptFilters[$0], $0)] } ?? []
            return (filter + zip(procedure, places)).flatMap { call, place in
                zip(workers.all, memory).map { worker, memory in
                    LuaStateReport(
                        script: call.file, function: call.function, entry: entry, worker: worker.place.number,
                        memory: memory[place])
                }
            }
        }
    }

    /// What each script holds on a worker, in bytes: those that rules ask, then those of the rules' procedures.
    private func scriptMemory(on worker: Worker) throws -> [Int] {
        let ruleset = configuration.ruleset
        let scripts = ruleset.rules.compactMap(\.procedure).reduce(0) { $0 + ruleset.procedures[$1].scripts.count }
        // The worker copies, and allocates nothing.
        var memory: [Int] = []
        memory.reserveCapacity(ruleset.scriptFilters.count + scripts)
        let errand = unsafe Errand { filter in unsafe filter.pointee.appendMemoryInUse(to: &memory) }
        try workers.perform(on: worker, errand)
        return memory
    }

    private func statisticsReport() -> StatisticsReport {
        func sum(_ value: (TotalCounters) -> UInt64) -> UInt64 { workers.sum { value($0.place.totals) } }
        let refusedByTables = configuration.tables.names.indices.reduce(0 as UInt64) {
            $0 + configuration.tables[$1].refused
        }
        let sections: [StatisticsReport.Section] = [
            .init(
                "Packets passed",
                [
                    .init("default pass", sum { $0.passedByDefault.value }),
                    .init("ruleset pass", sum { $0.passedByRule.value }),
                    .init("state pass", sum { $0.passedByState.value }),
                    .init("flow pass", sum { $0.passedByFlow.value }),
                    .init("script error pass", sum { $0.passedByErrorPolicy.value }),
                ]),
            .init(
                "Packets blocked",
                [
                    .init("default block", sum { $0.blockedByDefault.value }),
                    .init("ruleset block", sum { $0.blockedByRule.value }),
                    .init("flow block", sum { $0.blockedByFlow.value }),
                    .init("procedure block", sum { $0.blockedByProcedure.value }),
                    .init("script error block", sum { $0.blockedByErrorPolicy.value }),
                    .init("headers not copied whole", sum { $0.headersCut.value }),
                    .init("malformed", sum { $0.malformed.value }),
                    .init("IP options", sum { $0.optionsDropped.value }),
                ]),
            kernelStatistics(),
            .init(
                "State and NAT entries",
                [
                    .init("states", sum { $0.states.current.value }),
                    .init("state allocations", sum { $0.states.created.value }),
                    .init(
                        "state destructions",
                        sum {
                            $0.states.expired.value + $0.states.replaced.value + $0.states.evicted.value
                                + $0.states.flushed.value
                        }),
                    .init("states that made room for others", sum { $0.states.evicted.value }),
                    .init("states refused for want of room", sum { $0.states.refused.value }),
                ]),
            .init(
                "Invalid packet state cases",
                [
                    .init("cases in total", sum { $0.states.invalid.value }),
                    .init("TCP case I", sum { $0.states.beyondWindow.value }),
                    .init("TCP case II", sum { $0.states.beforeWindow.value }),
                    .init("TCP case III", sum { $0.states.acknowledgment.value }),
                ]),
            .init(
                "Scripts",
                [
                    .init("calls", sum { $0.scriptCalls.value }),
                    .init("errors", sum { $0.scriptErrors.value }),
                    .init("packets changed", sum { $0.changed.value }),
                    .init("changed packets dropped for their length", sum { $0.tooLong.value }),
                    .init("messages logged", sum { $0.messagesLogged.value }),
                    .init("messages dropped", sum { $0.messagesDropped.value }),
                ]),
            .init(
                "Flows",
                [
                    .init("passed by scripts", sum { $0.flowsPassed.value }),
                    .init("passed after inspection", sum { $0.flowsInspected.value }),
                    .init("blocked by scripts", sum { $0.flowsBlocked.value }),
                    .init("decisions given to the kernel", sum { $0.flowsMarked.value }),
                    .init("decisions taken back from the kernel", sum { $0.flowsTakenBack.value }),
                    .init("forgotten for others", sum { $0.flowsForgotten.value }),
                ]),
            .init(
                "Other",
                [
                    .init("bytes", sum { $0.bytes.value }),
                    .init("resets and ICMP errors sent", sum { $0.answered.value }),
                    .init("packets not logged for want of room", sum { $0.packetsNotLogged.value }),
                    .init("scripts' table entries refused", refusedByTables),
                    .init("ICMP errors handed to another worker", sum { $0.handedOn.value }),
                    .init("socket overruns", workers.sum { $0.mailbox.overruns.value }),
                    .init("verdicts for packets that were gone", workers.sum { $0.mailbox.lostVerdicts.value }),
                ]),
            .init(
                "Workers",
                workers.all.map { worker in
                    let totals = worker.place.totals
                    return .init("packets of worker \(worker.place.number)", totals.passed + totals.blocked)
                }),
        ]
        return StatisticsReport(
            sections: sections, queues: workers.queues,
            kernelQueues: PacketQueue.kernelCounters(of: workers.queues).map { .init($0) })
    }
}

extension [StatisticsReport.Counter] {
    /// The kernel's counters of queues, by names for people.
    public init(_ counters: QueueCounters) {
        self = [
            .init("packets waiting", counters.queued),
            .init("dropped for a full queue", counters.droppedQueueFull),
            .init("dropped for a full socket", counters.droppedSocketFull),
            .init("packets so far", counters.sequence),
        ]
    }
}
