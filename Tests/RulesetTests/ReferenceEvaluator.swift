import ConfigLanguage
import Packet

/// NPF's walk as its description puts it, on the syntax tree: slow, and with nothing in common with the compiled form.
struct ReferenceEvaluator {
    let configuration: Configuration
    /// The contents of tables, those of the addresses of an interface by `.ifnet-` and its name.
    var tables: [String: [Prefix]] = [:]
    var dynamicRules: [String: [Configuration.Rule]] = [:]

    struct Verdict {
        var entry = 0
        var dynamicRule = -1
        var rule: Configuration.Rule?
    }

    struct Packet {
        var headers: PacketHeaders
        var bytes: [UInt8] = []
        var interface: String
        var direction: Direction
    }

    func evaluate(_ packet: Packet) -> Verdict {
        var walk = Walk(world: self, packet: packet)
        for group in configuration.groups where walk.visit(group) { break }
        return walk.best
    }

    private struct Walk {
        let world: ReferenceEvaluator
        let packet: Packet
        var entry = 0
        var best = Verdict()

        /// Whether the walk ends.
        mutating func visit(_ group: Configuration.Group) -> Bool {
            entry += 1
            if best.rule != nil { return true }
            guard matches(group.direction, group.interface) else {
                entry += Self.size(group) - 1
                return false
            }
            for item in group.items {
                switch item {
                case .group(let inner):
                    if visit(inner) { return true }
                case .ruleset(let ruleset):
                    entry += 1
                    if best.rule != nil { return true }
                    if matches(ruleset.direction, ruleset.interface) && visit(ruleset.name) { return true }
                case .rule(let rule):
                    entry += 1
                    guard matches(rule) else { continue }
                    best = Verdict(entry: entry, rule: rule)
                    if rule.isFinal { return true }
                }
            }
            return false
        }

        /// Whether a rule of the dynamic ruleset decides.
        private mutating func visit(_ ruleset: String) -> Bool {
            for (index, rule) in (world.dynamicRules[ruleset] ?? []).enumerated() where matches(rule) {
                best = Verdict(entry: entry, dynamicRule: index, rule: rule)
                if rule.isFinal { break }
            }
            return best.rule != nil
        }

        private static func size(_ group: Configuration.Group) -> Int {
            group.items.reduce(1) { size, item in
                switch item {
                case .rule, .ruleset: size + 1
                case .group(let group): size + Self.size(group)
                }
            }
        }

        private func matches(_ direction: Configuration.Direction?, _ interface: String?) -> Bool {
            if let interface, interface != packet.interface { return false }
            switch direction {
            case .in: return packet.direction == .in
            case .out: return packet.direction == .out
            case nil: return true
            }
        }

        private func matches(_ rule: Configuration.Rule) -> Bool {
            let headers = packet.headers
            guard matches(rule.direction, rule.interface) else { return false }
            if let filter = rule.packetFilter { return byteIs(filter.expression) }
            if let script = rule.scriptFilter, script.file != "yes.lua" { return false }
            let family: Configuration.Family = headers.family == .ipv4 ? .inet4 : .inet6
            if let wanted = rule.family, wanted != family { return false }
            let hasPorts = !rule.source.ports.isEmpty || !rule.destination.ports.isEmpty
            if hasPorts && headers.transportProtocol != .tcp && headers.transportProtocol != .udp { return false }
            if hasPorts && headers.isLaterFragment { return false }
            if !rule.protocols.isEmpty && !rule.protocols.contains(where: { matches($0) }) { return false }
            if rule.state != .none && !opensOrIsNoTCP(rule) { return false }
            return matches(rule.source, headers.source, headers.sourcePort, family)
                && matches(rule.destination, headers.destination, headers.destinationPort, family)
        }

        /// What `stateful` implies: `flags S/SAFR` for TCP where no flags are said.
        private func opensOrIsNoTCP(_ rule: Configuration.Rule) -> Bool {
            for proto in rule.protocols { if case .flags = proto.options { return true } }
            if packet.headers.transportProtocol != .tcp { return true }
            return !packet.headers.isLaterFragment && packet.headers.tcpFlags.rawValue & 0b10111 == 0b10
        }

        /// `byte N = M`, the one kind of expression that the tests compile.
        private func byteIs(_ expression: String) -> Bool {
            let words = expression.split(separator: " ")
            let offset = Int(words[1])!
            return offset < packet.bytes.count && String(packet.bytes[offset]) == words[3]
        }

        private func matches(_ wanted: Configuration.ProtocolMatch) -> Bool {
            let headers = packet.headers
            guard wanted.number == headers.transportProtocol.rawValue else { return false }
            switch wanted.options {
            case .none:
                return true
            case .flags(let match, let mask):
                return !headers.isLaterFragment && headers.tcpFlags.rawValue & mask == match
            case .icmp(let type, let code):
                return !headers.isLaterFragment && headers.icmpType == type
                    && (code == nil || headers.icmpCode == code)
            }
        }

        private func matches(
            _ endpoint: Configuration.Endpoint, _ address: Address, _ port: UInt16, _ family: Configuration.Family
        ) -> Bool {
            if !endpoint.ports.isEmpty && !endpoint.ports.contains(where: { $0.first <= port && port <= $0.last }) {
                return false
            }
            if endpoint.addresses.isEmpty { return true }
            var isMember = false
            for element in endpoint.addresses {
                switch element {
                case .prefix(let prefix):
                    // A literal address is about packets of its family only, negated or not.
                    if prefix.family != family { return false }
                    let value = UInt128(address.high) << 64 + UInt128(address.low)
                    let hostBits = UInt128(prefix.family.bitWidth) - UInt128(prefix.length)
                    if value >> hostBits == prefix.address >> hostBits { isMember = true }
                case .table(let name):
                    if isIn(name, address) { isMember = true }
                case .interface(let name, let wanted):
                    if let wanted, wanted != family { return false }
                    if isIn(".ifnet-\(name)", address) { isMember = true }
                }
            }
            return isMember != endpoint.isNegated
        }

        private func isIn(_ table: String, _ address: Address) -> Bool {
            (world.tables[table] ?? []).contains { $0.contains(address) }
        }
    }
}
