import Packet
import States

/// What a packet is to the reference: described, with sequence numbers that never wrap.
struct ReferencePacket {
    struct Segment {
        var flags: TCPFlags
        var sequence: Int
        var acknowledgment: Int
        var window: Int
        var length: Int

        var end: Int { sequence + length + (flags.contains(.syn) ? 1 : 0) + (flags.contains(.fin) ? 1 : 0) }
    }

    var transport: IPProtocol
    var source: End
    var destination: End
    var interface: UInt32
    var direction: Direction
    var segment: Segment?
    /// This is what an ICMP error quotes.
    var isQuoted = false
}

/// Connection tracking as NPF's manuals have it, with two keys to a state in a dictionary, and no thought of speed.
final class ReferenceStates {
    struct Key: Hashable {
        var transport: IPProtocol
        var ends: [Address]
        var ports: [UInt16]
        var interface: UInt32?
        var direction: Direction?
    }

    final class State {
        var keys: [Key] = []
        var kind: StateKind
        var interface: UInt32
        var direction: Direction
        var phase: String
        var lastSeen: Int64
        var entry: Int32
        /// Of either end: what it has sent, may send, its window, and whether it was heard.
        var sent = [0, 0], maySend = [0, 0], window = [0, 0], isHeard = [true, false]
        /// No SYN offers a scale here; where none was seen, it may be any.
        var scale = 0

        init(kind: StateKind, packet: ReferencePacket, now: Int64, entry: Int32) {
            self.kind = kind
            self.interface = packet.interface
            self.direction = packet.direction
            self.entry = entry
            lastSeen = now
            phase = "new"
            if let segment = packet.segment { open(segment) }
        }

        func runsForward(_ packet: ReferencePacket) -> Bool {
            let (ends, ports) = (keys[0].ends, keys[0].ports)
            // Who talks to itself from a port to the same one is told apart by the direction alone.
            if ends[0] == ends[1] && ports[0] == ports[1] { return packet.direction == direction }
            return ends[0] == packet.source.address && ports[0] == packet.source.port
                && ends[1] == packet.destination.address && ports[1] == packet.destination.port
        }

        func open(_ segment: ReferencePacket.Segment) {
            phase = segment.flags == .syn ? "syn-sent" : "closed"
            sent = [segment.end, 0]
            maySend = [segment.end, 0]
            window = [max(segment.window, 1), max(segment.end - segment.sequence, 1)]
            isHeard = [true, false]
            scale = segment.flags.contains(.syn) ? 0 : 14
        }
    }

    var byKey: [Key: State] = [:]
    var parameters: StateParameters
    var invalid = 0

    init(_ parameters: StateParameters) { self.parameters = parameters }

    var count: Int { Set(byKey.values.map { ObjectIdentifier($0) }).count }

    private func key(_ packet: ReferencePacket, _ interface: Bool, _ direction: Bool) -> Key {
        Key(
            transport: packet.transport, ends: [packet.source.address, packet.destination.address],
            ports: [packet.source.port, packet.destination.port], interface: interface ? packet.interface : nil,
            direction: direction ? packet.direction : nil)
    }

    /// The state of a packet whatever its key was made of, and which way the packet runs.
    private func find(_ packet: ReferencePacket, _ now: Int64) -> State? {
        for (interface, direction) in [
            (parameters.keyInterface, parameters.keyDirection), (false, false), (true, false), (false, true),
            (true, true),
        ] {
            guard let state = byKey[key(packet, interface, direction)] else { continue }
            if now - state.lastSeen <= timeout(state.phase) { return state }
            remove(state)
        }
        return nil
    }

    func remove(_ state: State) {
        for key in state.keys { byKey[key] = nil }
    }

    func lookup(_ packet: ReferencePacket, now: Int64) -> (String, State?) {
        guard let state = find(packet, now) else { return ("none", nil) }
        let isForward = state.runsForward(packet)
        if state.kind == .stateful {
            guard packet.interface == state.interface, (packet.direction == state.direction) == isForward else {
                return ("none", nil)
            }
        }
        if packet.isQuoted {
            if let segment = packet.segment {
                let (from, to) = isForward ? (0, 1) : (1, 0)
                let range = (state.sent[from] - state.window[to])...state.sent[from]
                guard state.isHeard[from], range.contains(segment.sequence) else {
                    invalid += 1
                    return ("invalid", nil)
                }
            }
            return ("pass", state)
        }
        if let segment = packet.segment {
            guard follow(segment, state, isForward) else {
                invalid += 1
                return ("invalid", nil)
            }
        } else if !isForward {
            state.phase = "answered"
        }
        state.lastSeen = now
        return ("pass", state)
    }

    func create(_ packet: ReferencePacket, _ kind: StateKind, entry: Int32, now: Int64) -> Bool {
        guard !packet.isQuoted else { return false }
        while let old = find(packet, now) {
            guard let segment = packet.segment, segment.flags == .syn,
                ["closed", "syn-sent", "closing", "last-ack", "time-wait"].contains(old.phase)
            else { return false }
            remove(old)
        }
        let state = State(kind: kind, packet: packet, now: now, entry: entry)
        var reply = packet
        swap(&reply.source, &reply.destination)
        reply.direction = packet.direction == .in ? .out : .in
        state.keys = [packet, reply].map { key($0, parameters.keyInterface, parameters.keyDirection) }
        for key in state.keys { byKey[key] = state }
        return true
    }

    func collect(now: Int64) {
        for state in byKey.values where now - state.lastSeen > timeout(state.phase) { remove(state) }
    }

    private func timeout(_ phase: String) -> Int64 {
        let seconds =
            switch phase {
            case "new": parameters.timeouts.genericNew
            case "answered": parameters.timeouts.genericEstablished
            case "syn-sent", "both-syn-sent", "syn-received": parameters.timeouts.tcpNew
            case "established": parameters.timeouts.tcpEstablished
            case "fin-sent", "fin-received", "fin-wait", "close-wait": parameters.timeouts.tcpHalfClose
            case "time-wait": parameters.timeouts.tcpTimeWait
            default: parameters.timeouts.tcpClose
            }
        return Int64(seconds) * second
    }

    /// The phases: from, by a flow (`>`, `<`, or either `-`), by flags, to; an `=` behind the flags is for copies alone.
    private static let transitions: [[Substring]] = """
        closed > S= closed
        closed > S syn-sent
        time-wait > S= time-wait
        time-wait > S syn-sent
        time-wait - A time-wait
        time-wait - F time-wait
        time-wait - R time-wait
        both-syn-sent - SA syn-received
        * - S= *
        * - SA= *
        syn-sent < SA syn-received
        syn-sent < S both-syn-sent
        both-syn-sent < F fin-received
        syn-received > A established
        syn-received > F fin-sent
        syn-received < A syn-received
        syn-received < F fin-received
        established - A established
        established > F fin-sent
        established < F fin-received
        fin-sent > A fin-sent
        fin-sent > F fin-sent
        fin-sent < A fin-wait
        fin-sent < F closing
        fin-received < A fin-received
        fin-received < F fin-received
        fin-received > A close-wait
        fin-received > F closing
        fin-wait - A fin-wait
        close-wait - A close-wait
        fin-wait > F= fin-wait
        close-wait < F= close-wait
        fin-wait - F last-ack
        close-wait - F last-ack
        closing - A last-ack
        closing - F closing
        last-ack - A time-wait
        last-ack - F last-ack
        """.split(separator: "\n").map { $0.split(separator: " ") }

    private func next(_ phase: String, _ isForward: Bool, _ flags: TCPFlags, isCopy: Bool) -> String {
        let letters =
            flags.contains(.rst)
            ? "R"
            : [[.syn]: "S", [.syn, .ack]: "SA", [.ack]: "A", [.fin]: "F", [.fin, .ack]: "F"][
                flags.intersection([.syn, .ack, .fin])] ?? "?"
        for line in Self.transitions {
            guard line[0] == phase || (line[0] == "*" && phase != "closed" && phase != "time-wait") else { continue }
            guard line[1] == "-" || (line[1] == ">") == isForward else { continue }
            guard line[2] == letters || (isCopy && line[2] == letters + "=") else { continue }
            return line[3] == "*" ? phase : String(line[3])
        }
        return "closed"
    }

    private func follow(_ segment: ReferencePacket.Segment, _ state: State, _ isForward: Bool) -> Bool {
        let (from, to) = isForward ? (0, 1) : (1, 0)
        var (sent, maySend, window, isHeard) = (state.sent, state.maySend, state.window, state.isHeard)
        var scale = state.scale
        let isCopy = isHeard[from] && segment.end <= sent[from]
        if !isHeard[from] {
            sent[from] = segment.end
            maySend[from] = segment.end + 1
            if segment.flags.contains(.syn) { scale = 0 }
        }
        let hasAck = segment.flags.contains(.ack)
        var acknowledgment = hasAck ? segment.acknowledgment : sent[to]
        if segment.flags.contains(.rst) {
            if isHeard[from] {
                guard (0...1).contains(sent[from] - segment.sequence) else { return false }
            } else {
                guard hasAck, (0..<window[from]).contains(sent[to] - acknowledgment) else { return false }
            }
            if acknowledgment == 0 { acknowledgment = sent[to] }
        }
        isHeard[from] = true
        guard segment.end <= maySend[from], segment.sequence >= sent[from] - window[to] else { return false }
        let limit = Int(parameters.maximumAcknowledgmentWindow)
        guard (-limit...(limit << scale)).contains(sent[to] - acknowledgment) else { return false }
        if acknowledgment > sent[to] {
            sent[to] = acknowledgment
            isHeard[to] = true
        }
        let size = max(segment.window << (segment.flags.contains(.syn) ? 0 : scale), 1)
        window[from] = max(window[from], size)
        sent[from] = max(sent[from], segment.end)
        maySend[to] = max(maySend[to], acknowledgment + size)

        let phase = next(state.phase, isForward, segment.flags, isCopy: isCopy)
        if phase == "syn-sent" && state.phase != "syn-sent" {
            state.open(segment)
        } else {
            (state.sent, state.maySend, state.window, state.isHeard) = (sent, maySend, window, isHeard)
            state.scale = scale
        }
        state.phase = phase
        return true
    }
}
