import ConfigLanguage
import Packet

/// What the groups around a rule ask of its packets.
struct RuleScope {
    /// The hooks that such a packet may meet.
    private(set) var hooks: [Configuration.Direction] = [.in, .out]
    /// The interface; nil for all.
    private(set) var interface: String?
    /// Whether there are two interfaces that it would have to be on.
    private var isImpossible = false

    /// All packets.
    static let all = RuleScope()

    /// Whether there is any such packet.
    var isPossible: Bool { !hooks.isEmpty && !isImpossible }

    /// What is left of it with another direction and interface asked for; nil where nothing is.
    func narrowed(_ direction: Configuration.Direction?, _ interface: String?) -> RuleScope? {
        var scope = self
        if let direction { scope.hooks.removeAll { $0 != direction } }
        if let interface {
            scope.isImpossible = self.interface != nil && self.interface != interface
            scope.interface = interface
        }
        return scope.isPossible ? scope : nil
    }
}

/// Which packets a rule matches, as far as that can be said to the kernel.
struct RuleReach {
    /// The hooks that the packets meet.
    let hooks: [Configuration.Direction]
    /// Packets that the rule matches, and where `isExact` is false perhaps others.
    let matches: [PlanMatch]
    /// Whether the rule matches every packet that one of `matches` does.
    let isExact: Bool
}

extension PlanCompiler {
    /// What a rule reaches, its script and its need for an opening segment not asked; nil where it is nothing.
    func reach(of rule: Configuration.Rule, in scope: RuleScope) -> RuleReach? {
        guard let scope = scope.narrowed(rule.direction, rule.interface) else { return nil }
        var base = PlanMatch(interface: scope.interface)
        guard rule.packetFilter == nil else { return RuleReach(hooks: scope.hooks, matches: [base], isExact: false) }

        if let only = rule.protocols.first, rule.protocols.count == 1 {
            switch only.options {
            case .none: break
            case .flags(let match, let mask):
                guard match & ~mask == 0 else { return nil }
                base.flags = PlanFlags(match: match, mask: mask)
            case .icmp(let type, let code): (base.icmpTypes, base.icmpCode) = ([type], code)
            }
        }
        base.protocols = Set(rule.protocols.map(\.number)).sorted()
        base.source.ports = Self.merged(rule.source.ports)
        base.destination.ports = Self.merged(rule.destination.ports)
        if !base.source.ports.isEmpty || !base.destination.ports.isEmpty {
            guard let withPorts = base.narrowed(to: [6, 17]) else { return nil }
            base = withPorts
        }

        var matches: [PlanMatch] = []
        var isExact = rule.scriptFilter == nil
        let asksAddresses = !rule.source.addresses.isEmpty || !rule.destination.addresses.isEmpty
        let families: [Configuration.Family?] =
            if let family = rule.effectiveFamily { [family] } else { asksAddresses ? [.inet4, .inet6] : [nil] }
        for family in families {
            var match = base
            match.family = family
            guard let family, asksAddresses else {
                matches.append(match)
                continue
            }
            let (source, destination) = (reach(of: rule.source, family), reach(of: rule.destination, family))
            if source.addresses == [] || destination.addresses == [] { continue }
            (match.source.addresses, match.destination.addresses) = (source.addresses, destination.addresses)
            if !source.isExact || !destination.isExact { isExact = false }
            matches.append(match)
        }
        return matches.isEmpty ? nil : RuleReach(hooks: scope.hooks, matches: matches, isExact: isExact)
    }

    /// The addresses of a family that an end may have: nil for all, and empty for none.
    private func reach(
        of endpoint: Configuration.Endpoint, _ family: Configuration.Family
    ) -> (addresses: [AddressRange]?, isExact: Bool) {
        guard !endpoint.addresses.isEmpty else { return (nil, true) }
        var ranges: [AddressRange] = []
        for element in endpoint.addresses {
            switch element {
            case .prefix(let prefix):
                if prefix.family == family {
                    ranges.append(AddressRange(first: prefix.address, last: prefix.lastAddress))
                }
            case .table(let name):
                guard let table = constantTables[name] else { return (nil, false) }
                ranges += family == .inet4 ? table.inet4 : table.inet6
            // An interface's addresses come and go.
            case .interface: return (nil, false)
            }
        }
        ranges = AddressRange.merged(ranges)
        if endpoint.isNegated { ranges = AddressRange.complement(of: ranges, in: family) }
        return (ranges == [AddressRange(all: family)] ? nil : ranges, true)
    }

    private static func merged(_ ports: [Configuration.PortRange]) -> [NumberRange<UInt16>] {
        NumberRange.merged(ports.map { NumberRange(first: $0.first, last: $0.last) })
    }
}
