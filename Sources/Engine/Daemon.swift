import ConfigLanguage
import ControlProtocol
import Glibc
import KernelPlan
public import Logging
import LuaRuntime
import PacketQueue
import Procedures
import Ruleset
import ScriptModules
import SystemSupport

/// The daemon: one control thread, which this is, and its workers.
///
/// Its order of start: rules and scripts are loaded, the queues are taken, the workers run, and only then are packets
/// sent to them. Its order of end is the reverse, so that no packet is left without a verdict.
public final class Daemon {
    /// Where the daemon finds and leaves things.
    public struct Options: Sendable {
        /// The rules.
        public var configuration: String
        /// The script directory.
        public var scripts: String
        /// The control socket.
        public var socket: String
        /// The directory that procedures log packets to.
        public var logs: String

        /// Makes options of their parts.
        public init(configuration: String, scripts: String, socket: String, logs: String) {
            self.configuration = configuration
            self.scripts = scripts
            self.socket = socket
            self.logs = logs
        }
    }

    let options: Options
    let logger: Logger
    let workers: Workers
    var configuration: LoadedConfiguration
    var isInspecting = true
    /// Whether the kernel may be told of decided flows.
    private let tellsKernel: Bool
    var kernelRules: KernelRules
    /// Which packets may belong to states of former configurations.
    var formerStates = PlanStates()
    /// Whether the kernel's rules are those of before a change that the workers have already.
    var isKernelBehind = false
    /// Ticks until the kernel rules, which send nothing to the queue any more, are taken away; 0 where they stay.
    var ticksToRemoval = 0
    private let notifier = ServiceNotifier()
    private var epoll: Epoll
    private var server: ControlServer
    private let signals: SignalDescriptor
    private let timer: TimerDescriptor
    private let links: LinkMonitor
    private var fedAtTurns: [UInt64] = []
    private var unloggedBefore: UInt64 = 0
    private var logFiles: LogFiles

    private enum Token {
        static let signals: UInt64 = 0
        static let timer: UInt64 = 1
        static let workers: UInt64 = 2
        static let links: UInt64 = 3
        static let server: UInt64 = 4
    }

    /// Starts: when this returns, packets are being decided.
    ///
    /// - Throws: an error whose description is `file:line:column: …` for a mistake in a file, else one sentence that
    ///   says what to do.
    public init(_ options: Options, logger: Logger) throws {
        self.options = options
        self.logger = logger
        logFiles = LogFiles(directory: options.logs)
        // From here on, so that a signal that comes during the start is not lost.
        signals = try SignalDescriptor([SIGHUP, SIGINT, SIGTERM])
        // Likewise an address that an interface gets after the configuration has asked for them.
        links = try LinkMonitor()
        let loaded = try Self.load(options, after: nil)
        Self.log(loaded.warnings, logger)

        // The unit has it made; by hand nobody has. Where it cannot be, listening there says so.
        let folder = options.socket[..<(options.socket.lastIndex(of: "/") ?? options.socket.startIndex)]
        unsafe mkdir(String(folder), 0o755)
        unsafe mkdir(options.logs, 0o750)
        epoll = try Epoll(capacity: 16)
        server = try ControlServer(path: options.socket, firstToken: Token.server, epoll: epoll)
        let first = Self.withMarks(loaded, if: true)
        let queues = try Workers.queues(loaded.parameters)
        do {
            workers = try Workers(
                first, leastLevel: LogLevel.allCases.first { Logger.Level($0) >= logger.logLevel })
        } catch {
            // Another daemon says more than that a queue is taken.
            try Self.refuse(beside: .now(nil), than: queues)
            throw error
        }
        // Once packets are decided: the programs take longer than a small configuration to load.
        let found = KernelListing.now(nil)
        try Self.refuse(beside: found, than: Workers.allQueues(of: queues))
        // Until the kernel rules are there no mark decides anything, and this takes as long as the kernel's table is large.
        let refusal = Self.forgetMarks(of: loaded, logger: logger)
        tellsKernel = refusal == nil
        configuration = Self.withMarks(loaded, if: tellsKernel)
        if let refusal {
            logger.notice("the kernel is told of no decided flows, as it does not list its connections: \(refusal)")
            _ = try workers.replace(first, by: configuration)
        }
        if !workers.canAnswer {
            logger.warning(
                "senders of blocked packets are told nothing: “block return” needs CAP_NET_RAW, as root and the unit have"
            )
        }
        timer = try TimerDescriptor()
        try epoll.add(signals.descriptor.raw, token: Token.signals)
        try epoll.add(timer.descriptor.raw, token: Token.timer)
        try epoll.add(workers.descriptor, token: Token.workers)
        try epoll.add(links.descriptor.raw, token: Token.links)

        kernelRules = KernelRules(logger: logger)
        kernelRules.arrivals = { [workers] in workers.arrivals }
        if configuration.installsKernelRules {
            try kernelRules.install(plan(for: configuration), over: found)
        } else {
            try KernelRules.remove(found)
        }
        let period = max(1, min(1000, (notifier.watchdogInterval ?? 1000) / 3))
        try timer.start(after: UInt32(period), every: UInt32(period))
        logger.notice(
            "inspecting packets",
            metadata: [
                "queues": "\(workers.queues)", "kernel rules": "\(kernelRules.backend?.rawValue ?? "none")",
            ])
        reportReady()
        workers.whileWaiting = { [unowned self] in feedWatchdog() }
        kernelRules.whileWaiting = { [unowned self] in feedWatchdog() }
    }

    /// Checks the configuration and its scripts.
    ///
    /// - Throws: an error whose description is `file:line:column: …`.
    public static func check(_ options: Options) throws {
        _ = try Workers.queues(load(options, after: nil).parameters)
    }

    /// Takes away the kernel rules that a daemon that was killed has left.
    ///
    /// - Throws: a sentence where they are there and cannot be taken away.
    public static func removeLeftovers() throws {
        let found = KernelListing.now(nil)
        if let queue = found.queues?.first(where: PacketQueue.isTaken) {
            throw SystemError(
                "a daemon that runs uses these rules, on queue \(queue): end it, and it removes them itself")
        }
        try KernelRules.remove(found)
    }

    /// Kernel rules are one set for all: a second daemon would point the first one's at its own queue.
    private static func refuse(beside found: KernelListing, than own: ClosedRange<UInt16>) throws {
        guard let queue = found.queues?.first(where: { !own.contains($0) && PacketQueue.isTaken($0) }) else { return }
        throw SystemError(
            "another npfluad, on queue \(queue), has its kernel rules here: stop it first, a network namespace has room for one"
        )
    }

    /// Serves until a signal ends it.
    ///
    /// - Throws: where the packet loop cannot go on; the kernel rules then stay, and do what `set fail` says.
    public func run() throws {
        // What starting took.
        ResidentMemory.giveBack()
        var isRunning = true
        while isRunning {
            let count = try epoll.wait()
            for index in 0..<count {
                let event = epoll.event(at: index)
                switch event.token {
                case Token.signals:
                    while let signal = try signals.next() {
                        if signal == SIGHUP { reloadBySignal() } else { isRunning = false }
                    }
                case Token.timer:
                    _ = try timer.drain()
                    try tick()
                case Token.workers: try workers.check()
                case Token.links:
                    if try links.drain() {
                        for worker in workers.all { worker.mailbox.interfacesChanged() }
                        refreshInterfaceTables()
                    }
                case Token.server:
                    server.accept(epoll)
                default:
                    _ = server.handle(event, epoll) { self.answer($0) }
                }
            }
            // Once the answer is on its way.
            workers.freeRetired()
        }
        try stop()
    }

    /// Ends in order: nothing new into the queue, verdicts for what waits there, the rules away.
    private func stop() throws {
        notifier.stopping()
        logger.notice("ending")
        do {
            try kernelRules.idle()
        } catch {
            logger.error("\(error)")
        }
        workers.stop()
        for worker in workers.all { log(worker.records!, of: worker) }
        try kernelRules.remove()
    }

    /// Replaces the running configuration by a loaded one; the old one goes on where that fails.
    ///
    /// - Parameter listing: what is there of the kernel's rules, if that was asked for before.
    func use(_ loaded: LoadedConfiguration, after listing: consuming PendingListing?) throws {
        let new = Self.withMarks(loaded, if: tellsKernel)
        let (old, parameters) = (configuration.parameters, new.parameters)
        guard parameters.queueNumber == old.queueNumber, parameters.queueLength == old.queueLength else {
            throw SystemError("queue.number and queue.length cannot change while the daemon runs: restart it")
        }
        guard parameters[.queueWorkers] == old[.queueWorkers] || Workers.count(parameters) == workers.all.count else {
            throw SystemError(
                "queue.workers cannot change while the daemon runs, and it has \(workers.all.count): restart it")
        }
        guard parameters[.stateLimit] == old[.stateLimit] else {
            throw SystemError("state.limit cannot change while the daemon runs: restart it")
        }
        let stale = try takeBackMarks(before: new)
        let formerly = formerStates
        formerStates = statesBeside(new)
        do {
            // The kernel's rules first: what cannot be carried out there must not be carried out by half.
            if isInspecting { try installRules(of: new, after: listing) }
            // What the old rules have logged is written with the old rules' places.
            let former = try workers.replace(configuration, by: new)
            for (worker, records) in zip(workers.all, former) { log(records, of: worker) }
            try? forget(stale)
        } catch {
            formerStates = formerly
            if isInspecting { restoreRules() }
            if !stale.isEmpty { resumeMarks() }
            throw error
        }
        configuration = new
        if !isInspecting || !new.installsKernelRules { kernelRules.forgetEntries() }
        for problem in new.useTableLimit(now: Int64(Clock.monotonic)) { logger.error("\(problem)") }
        Self.log(new.warnings, logger)
    }

    /// Puts the running configuration's rules back into the kernel; where that fails each tick tries again.
    private func restoreRules() {
        do {
            try installRules(of: configuration, after: nil)
        } catch {
            logger.error("the kernel rules are not those of the running configuration: \(error)")
            isKernelBehind = true
        }
    }

    /// Switches inspection on or off; off, the kernel sends nothing to the queue.
    func inspect(_ on: Bool) throws {
        // Off: packets that still come are passed only once no more are sent. On: inspected before the first comes.
        if on {
            for worker in workers.all { worker.mailbox.inspect(true) }
            isInspecting = true
            do {
                try followChanges()
            } catch {
                isInspecting = false
                throw error
            }
        } else {
            try kernelRules.idle()
            for worker in workers.all { worker.mailbox.inspect(false) }
        }
        isInspecting = on
        reportReady()
    }

    /// - Parameter former: the running configuration.
    static func load(_ options: Options, after former: LoadedConfiguration?) throws -> LoadedConfiguration {
        try LoadedConfiguration(
            text: try File.read(options.configuration, limit: 16 << 20), file: options.configuration,
            scripts: ScriptDirectory(path: options.scripts), after: former, now: Int64(Clock.monotonic))
    }

    /// Loads a configuration and puts it in place of the running one.
    func reload(_ load: () throws -> LoadedConfiguration) throws {
        notifier.reloading()
        defer { reportReady() }
        // The programs take as long as a small configuration to load.
        let listing = isInspecting && kernelRules.plans != nil ? PendingListing(kernelRules.backend) : nil
        try use(try load(), after: listing)
        logger.notice("reloaded")
    }

    private func reloadBySignal() {
        do {
            try reload { try Self.load(options, after: configuration) }
        } catch {
            logger.error("not reloaded, the old rules go on: \(error)")
        }
    }

    private func reportReady() {
        let rules = configuration.ruleset.rules.count { $0.kind == .rule }
        notifier.status(isInspecting ? "inspecting packets, \(rules) rules" : "not inspecting packets")
        notifier.ready()
    }

    /// Once a second or more often: feeds the watchdog, logs, tidies.
    private func tick() throws {
        try workers.check()
        feedWatchdog()
        for worker in workers.all { log(worker.records!, of: worker) }
        collectTables()
        tidyKernelRules()
        server.tidy(epoll)
    }

    /// Feeds it once every worker's loop has turned since the last time.
    private func feedWatchdog() {
        // Idle workers are woken, so that they turn as well.
        defer { for worker in workers.all { worker.mailbox.wakeUp() } }
        let turns = workers.all.map { $0.mailbox.turns.value }
        guard zip(turns, fedAtTurns).allSatisfy({ $0 != $1 }) else { return }
        fedAtTurns = turns
        notifier.watchdog()
    }

    /// Writes what a filter of the present configuration has logged.
    private func log(_ records: FilterRecords, of worker: Worker) {
        logMessages(records.messages, of: worker)
        logFiles.write(records.log, by: configuration, logger: logger)
        let lost = records.log.takeLost()
        guard lost > 0 else { return }
        logger.warning("packets that came too fast to be logged: \(lost)")
        worker.place.totals.packetsNotLogged.add(lost)
    }

    /// Writes what scripts have said, and how often one failed, to the daemon's own log.
    private func logMessages(_ log: ScriptLog, of worker: Worker) {
        let rules = configuration.ruleset.rules
        while let message = log.take() {
            let isRule = rules.indices.contains(message.entry)
            let location = isRule ? rules[message.entry].location.map { "\($0)" } ?? "" : ""
            let level = message.level.map { Logger.Level($0) } ?? .warning
            let text = message.level == nil ? "script failed: \(message.text)" : message.text
            logger.log(level: level, "\(text)", metadata: ["rule": "\(location)"])
            if message.level != nil { worker.place.totals.messagesLogged.add() }
        }
        let unlogged = workers.sum { $0.place.totals.failuresUnlogged.value }
        if unlogged > unloggedBefore {
            logger.warning("script failures that were not logged one by one: \(unlogged - unloggedBefore)")
            unloggedBefore = unlogged
        }
        let dropped = log.takeDropped()
        if dropped > 0 {
            logger.warning("messages of scripts that came too fast to be logged: \(dropped)")
            worker.place.totals.messagesDropped.add(dropped)
        }
    }

    /// The level is the log's own word for what they are.
    private static func log(_ warnings: [Diagnostic], _ logger: Logger) {
        for warning in warnings { logger.warning("\(warning.location): \(warning.message)") }
    }
}

extension Logger.Level {
    /// The level of the daemon's log that a script's level is.
    fileprivate init(_ level: LogLevel) {
        switch level {
        case .debug: self = .debug
        case .info: self = .info
        case .notice: self = .notice
        case .warning: self = .warning
        case .error: self = .error
        }
    }
}
