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

/// The daemon: one control thread, which this is, and a worker.
///
/// Its order of start: rules and scripts are loaded, the queue is taken, the worker runs, and only then are packets
/// sent to it. Its order of end is the reverse, so that no packet is left without a verdict.
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
    let worker: Worker
    var configuration: LoadedConfiguration
    var isInspecting = true
    let queueNumber: UInt16
    private var kernelRules: KernelRules
    private let notifier = ServiceNotifier()
    private var epoll: Epoll
    private var server: ControlServer
    private let signals: SignalDescriptor
    private let timer: TimerDescriptor
    private let links: LinkMonitor
    private var fedAtTurn: UInt64 = 0
    private var unloggedBefore: UInt64 = 0
    private var lostBefore: UInt64 = 0
    private var logFiles: LogFiles

    private enum Token {
        static let signals: UInt64 = 0
        static let timer: UInt64 = 1
        static let worker: UInt64 = 2
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
        configuration = try Self.load(options, after: nil)
        for warning in configuration.warnings { logger.warning("\(warning)") }
        let parameters = configuration.parameters

        // The unit has it made; by hand nobody has. Where it cannot be, listening there says so.
        let folder = options.socket[..<(options.socket.lastIndex(of: "/") ?? options.socket.startIndex)]
        unsafe mkdir(String(folder), 0o755)
        unsafe mkdir(options.logs, 0o750)
        epoll = try Epoll(capacity: 16)
        server = try ControlServer(path: options.socket, firstToken: Token.server, epoll: epoll)
        let queue = try PacketQueue(
            number: parameters.queueNumber, maximumLength: parameters.queueLength, failOpen: parameters.failOpen)
        queueNumber = parameters.queueNumber
        try Self.refuseBesideAnother(than: queueNumber)
        // A socket for the daemon's own answers, which its kernel rules let pass.
        let answers = try? RawSocket(mark: KernelPlan.answerMark)
        let canAnswer = answers != nil
        worker = try Worker(
            queue: queue, answers: answers, configuration: configuration, seed: Self.seed(),
            leastLevel: LogLevel.allCases.first { Logger.Level($0) >= logger.logLevel })
        if !canAnswer {
            logger.warning(
                "senders of blocked packets are told nothing: “block return” needs CAP_NET_RAW, as root and the unit have"
            )
        }
        timer = try TimerDescriptor()
        try epoll.add(signals.descriptor.raw, token: Token.signals)
        try epoll.add(timer.descriptor.raw, token: Token.timer)
        try epoll.add(worker.mailbox.reply.descriptor.raw, token: Token.worker)
        try epoll.add(links.descriptor.raw, token: Token.links)

        kernelRules = KernelRules(logger: logger)
        try kernelRules.install(
            KernelPlan(queueNumber: queueNumber, failOpen: configuration.parameters.failOpen))
        let period = max(1, min(1000, (notifier.watchdogInterval ?? 1000) / 3))
        try timer.start(after: UInt32(period), every: UInt32(period))
        logger.notice(
            "inspecting packets",
            metadata: ["queue": "\(queueNumber)", "kernel rules": "\(kernelRules.backend?.rawValue ?? "none")"])
        reportReady()
    }

    /// Checks the configuration and its scripts.
    ///
    /// - Throws: an error whose description is `file:line:column: …`.
    public static func check(_ options: Options) throws {
        _ = try load(options, after: nil)
    }

    /// Takes away the kernel rules that a daemon that was killed has left.
    ///
    /// - Throws: a sentence where they are there and cannot be taken away.
    public static func removeLeftovers() throws {
        if let queue = KernelRules.installedQueue(), PacketQueue.isTaken(queue) {
            throw SystemError(
                "a daemon that runs uses these rules, on queue \(queue): end it, and it removes them itself")
        }
        try KernelRules.removeLeftovers()
    }

    /// Kernel rules are one set for all: a second daemon would point the first one's at its own queue.
    private static func refuseBesideAnother(than own: UInt16) throws {
        guard let queue = KernelRules.installedQueue(), queue != own, PacketQueue.isTaken(queue) else { return }
        throw SystemError(
            "another npfluad, on queue \(queue), has its kernel rules here: stop it first, a network namespace has room for one"
        )
    }

    /// Serves until a signal ends it.
    ///
    /// - Throws: where the packet loop cannot go on; the kernel rules then stay, and do what `set fail` says.
    public func run() throws {
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
                    tick()
                case Token.worker:
                    worker.mailbox.reply.drain()
                    let (ended, message) = worker.ended
                    if ended { throw SystemError(message ?? "the packet loop ended") }
                case Token.links:
                    if try links.drain() {
                        worker.mailbox.interfacesChanged()
                        refreshInterfaceTables()
                    }
                case Token.server:
                    server.accept(epoll)
                default:
                    _ = server.handle(event, epoll) { self.answer($0) }
                }
            }
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
        worker.stop()
        logMessages(of: worker.messages)
        logPackets(of: worker.log)
        try kernelRules.remove()
    }

    /// Replaces the running configuration by a loaded one; the old one goes on where that fails.
    func use(_ new: LoadedConfiguration) throws {
        let (old, parameters) = (configuration.parameters, new.parameters)
        if parameters.queueNumber != queueNumber || parameters.queueLength != old.queueLength {
            throw SystemError("queue.number and queue.length cannot change while the daemon runs: restart it")
        }
        guard parameters[.stateLimit] == old[.stateLimit] else {
            throw SystemError("state.limit cannot change while the daemon runs: restart it")
        }
        // The kernel's rules first: what cannot be carried out there must not be carried out by half. They are put
        // there anew each time, so that a reload heals what somebody has flushed.
        if isInspecting { try kernelRules.install(plan(for: new)) }
        do {
            // What the old rules have logged is written with the old rules' places.
            let (packets, messages) = try worker.replace(configuration, by: new, seed: Self.seed())
            logPackets(of: packets)
            logMessages(of: messages)
        } catch {
            if isInspecting { try? kernelRules.install(plan(for: configuration)) }
            throw error
        }
        configuration = new
        lostBefore = 0
        for warning in new.warnings { logger.warning("\(warning)") }
    }

    /// Switches inspection on or off; off, the kernel sends nothing to the queue.
    func inspect(_ on: Bool) throws {
        // Off: packets that still come are passed only once no more are sent. On: inspected before the first comes.
        if on {
            worker.mailbox.inspect(true)
            try kernelRules.install(plan(for: configuration))
        } else {
            try kernelRules.idle()
            worker.mailbox.inspect(false)
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

    private func plan(for configuration: LoadedConfiguration) -> KernelPlan {
        KernelPlan(queueNumber: queueNumber, failOpen: configuration.parameters.failOpen)
    }

    /// Loads a configuration and puts it in place of the running one.
    func reload(_ load: () throws -> LoadedConfiguration) throws {
        notifier.reloading()
        defer { reportReady() }
        try use(try load())
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
    private func tick() {
        // The worker is woken, so that an idle one turns as well; a turn since the last time feeds the watchdog.
        let turns = worker.mailbox.turns.value
        if turns != fedAtTurn {
            fedAtTurn = turns
            notifier.watchdog()
        }
        worker.mailbox.wakeUp()
        logMessages(of: worker.messages)
        logPackets(of: worker.log)
        collectTables()
        server.tidy(epoll)
    }

    /// Writes the packets that the present configuration's procedures have logged.
    private func logPackets(of log: PacketLog) {
        logFiles.write(log, by: configuration, logger: logger)
        let lost = log.lostPackets
        guard lost > lostBefore else { return }
        logger.warning("packets that came too fast to be logged: \(lost - lostBefore)")
        worker.totals.packetsNotLogged.add(lost - lostBefore)
        lostBefore = lost
    }

    /// Writes what scripts have said, and how often one failed, to the daemon's own log.
    private func logMessages(of log: ScriptLog) {
        let rules = configuration.ruleset.rules
        while let message = log.take() {
            let isRule = rules.indices.contains(message.entry)
            let location = isRule ? rules[message.entry].location.map { "\($0)" } ?? "" : ""
            let level = message.level.map { Logger.Level($0) } ?? .warning
            let text = message.level == nil ? "script failed: \(message.text)" : message.text
            logger.log(level: level, "\(text)", metadata: ["rule": "\(location)"])
            if message.level != nil { worker.totals.messagesLogged.add() }
        }
        let unlogged = worker.totals.failuresUnlogged.value
        if unlogged > unloggedBefore {
            logger.warning("script failures that were not logged one by one: \(unlogged - unloggedBefore)")
            unloggedBefore = unlogged
        }
        let dropped = log.takeDropped()
        if dropped > 0 {
            logger.warning("messages of scripts that came too fast to be logged: \(dropped)")
            worker.totals.messagesDropped.add(dropped)
        }
    }

    private static func seed() -> UInt64 { UInt64.random(in: .min ... .max) }
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
