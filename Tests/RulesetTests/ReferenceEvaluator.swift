import ConfigLanguage
import Packet

/// NPF's walk as its description puts it, on the syntax tree: slow, and with nothing in common with the compiled form.
struct ReferenceEvaluator {
    let configuration: Configuration

    struct Verdict: Equatable {
        var entry = 0
        var rule: Configuration.Rule?

        static func == (lhs: Verdict, rhs: Verdict) -> Bool { lhs.entry == rhs.entry }
    }

    func evaluate(_ packet: PacketHeaders, interface: String, direction: Direction) -> Verdict {
        var walk = Walk(packet: packet, interface: interface, direction: direction)
        for group in configuration.groups where walk.visit(group) { break }
        return walk.best
    }

    private struct Walk {
        let packet: PacketHeaders
        let interface: String
        let direction: Direction
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
                case .rule(let rule):
                    entry += 1
                    guard matches(rule) else { continue }
                    best = Verdict(entry: entry, rule: rule)
                    if rule.isFinal { return true }
                }
            }
            return false
        }

        private static func size(_ group: Configuration.Group) -> Int {
            group.items.reduce(1) { size, item in
                switch item {
                case .rule: size + 1
                case .group(let group): size + Self.size(group)
                }
            }
        }

        private func matches(_ direction: Configuration.Direction?, _ interface: String?) -> Bool {
            if let interface, interface != self.interface { return false }
            switch direction {
            case .in: return self.direction == .in
            case .out: return self.direction == .out
            case nil: return true
            }
        }

        private func matches(_ rule: Configuration.Rule) -> Bool {
            guard matches(rule.direction, rule.interface) else { return false }
            let family: Configuration.Family = packet.family == .ipv4 ? .inet4 : .inet6
            if let wanted = rule.family, wanted != family { return false }
            let hasPorts = !rule.source.ports.isEmpty || !rule.destination.ports.isEmpty
            if hasPorts && packet.transportProtocol != .tcp && packet.transportProtocol != .udp { return false }
            if hasPorts && packet.isLaterFragment { return false }
            if !rule.protocols.isEmpty && !rule.protocols.contains(where: { matches($0) }) { return false }
            return matches(rule.source, packet.source, packet.sourcePort, family)
                && matches(rule.destination, packet.destination, packet.destinationPort, family)
        }

        private func matches(_ wanted: Configuration.ProtocolMatch) -> Bool {
            guard wanted.number == packet.transportProtocol.rawValue else { return false }
            switch wanted.options {
            case .none:
                return true
            case .flags(let match, let mask):
                return !packet.isLaterFragment && packet.tcpFlags.rawValue & mask == match
            case .icmp(let type, let code):
                return !packet.isLaterFragment && packet.icmpType == type && (code == nil || packet.icmpCode == code)
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
            for case .prefix(let prefix) in endpoint.addresses {
                // A literal address is about packets of its family only, negated or not.
                if prefix.family != family { return false }
                let value = UInt128(address.high) << 64 + UInt128(address.low)
                let hostBits = UInt128(prefix.family.bitWidth) - UInt128(prefix.length)
                if value >> hostBits == prefix.address >> hostBits { isMember = true }
            }
            return isMember != endpoint.isNegated
        }
    }
}
