public import CaptureFile
public import Packet
import Ruleset
public import ScriptModules

/// Runs the packets of a capture file through a filter, at the capture's own time.
public struct Replay: ~Copyable {
    /// What became of one packet of the capture.
    public struct Outcome: Sendable {
        /// The packet's place in the capture, from 1.
        public var number: Int
        /// When it was captured, in nanoseconds since 1970.
        public var time: Int64
        /// The interface, by the capture or by the caller; nil where neither says.
        public var interface: String?
        /// Which side of the interface.
        public var direction: String
        /// What the packet's headers say; nil where they cannot be read.
        public var headers: PacketHeaders?
        /// What was decided; nil for a frame that holds no IP packet, which no rule ever sees.
        public var decision: Decision?
        /// The deciding rule.
        public var rule: String?
        /// What a script that failed said.
        public var message: String?
        /// What the script logged.
        public var logged: [LoggedMessage] = []
    }

    /// What a script said by `npf.log`.
    public struct LoggedMessage: Sendable, Hashable {
        /// Its own word for it.
        public var level: LogLevel
        /// What it said.
        public var text: String
    }

    /// What the scripts logged while they were loaded, once for each rule that calls one.
    public private(set) var loggedAtStart: [LoggedMessage] = []
    /// Messages that were not kept, as there were too many at once.
    public private(set) var messagesDropped: UInt64 = 0

    private var capture: CaptureFile
    private var filter: OfflineFilter
    private let interface: String?
    private let direction: CaptureDirection
    /// The latest time so far: captures of several interfaces step back.
    private var clock = Int64.min

    /// Prepares a replay.
    ///
    /// - Parameters:
    ///   - interface: the interface of packets whose capture does not name one.
    ///   - direction: the direction of packets whose capture does not tell it.
    /// - Throws: `ConfigurationErrors` where a script cannot be loaded.
    public init(
        _ capture: CaptureFile, through configuration: LoadedConfiguration, interface: String?,
        direction: CaptureDirection
    ) throws {
        self.capture = capture
        filter = try OfflineFilter(configuration)
        self.interface = interface
        self.direction = direction
        while let said = filter.messages.take() {
            if let level = said.level { loggedAtStart.append(LoggedMessage(level: level, text: said.text)) }
        }
    }

    /// The next packet's outcome; nil after the last.
    ///
    /// - Throws: `CaptureFileError` where the file cannot be read further.
    public mutating func next() throws(CaptureFileError) -> Outcome? {
        guard let captured = try capture.next() else { return nil }
        let side = captured.direction ?? direction
        let name = captured.interfaceName ?? interface
        var outcome = Outcome(
            number: captured.number, time: captured.time, interface: name, direction: side == .in ? "in" : "out")
        guard let range = captured.packet else { return outcome }

        clock = max(clock, captured.time)
        // A script may change the packet; the capture stays as it is.
        var packet = Array(capture.bytes[range])
        outcome.headers = try? PacketHeaders(parsing: unsafe packet.span.bytes)
        let decision = filter.decide(
            &packet, on: name, side == .in ? .in : .out, time: captured.time, clock: clock)
        outcome.decision = decision
        if decision.entry > 0 { outcome.rule = filter.filter.ruleset.rules[Int(decision.entry)].text }
        while let said = filter.messages.take() {
            if let level = said.level {
                outcome.logged.append(LoggedMessage(level: level, text: said.text))
            } else {
                outcome.message = said.text
            }
        }
        messagesDropped += filter.messages.takeDropped()
        return outcome
    }
}
