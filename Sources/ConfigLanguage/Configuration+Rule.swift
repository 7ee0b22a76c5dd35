extension Configuration {
    /// A rule: what to do with which packets.
    public struct Rule: Sendable, Hashable {
        /// What becomes of the packet.
        public var action: Action
        /// Whether a packet that the rule passes makes a state, by which the rest of its connection passes.
        public var state = StateKind.none
        /// The packet's direction; nil for both.
        public var direction: Direction?
        /// Whether a match ends the walk.
        public var isFinal = false
        /// The packet's interface; nil for all.
        public var interface: String?
        /// The packet's family as `family` says it; nil where the rule has no `family`.
        public var family: Family?
        /// The protocols, one of which must match; none for all.
        public var protocols: [ProtocolMatch] = []
        /// Where the packet comes from.
        public var source = Endpoint.any
        /// Where the packet goes to.
        public var destination = Endpoint.any
        /// What libpcap's filter must say of the packet; such a rule has no family, protocols and endpoints.
        public var packetFilter: PacketFilter?
        /// The script that has the last word on whether the rule matches.
        public var scriptFilter: ScriptFilter?
        /// The name of the procedure that the rule applies.
        public var procedure: String?
        /// The place of the action.
        public var location: SourceLocation
    }

    /// What a rule does with a packet.
    public enum Action: Sendable, Hashable {
        /// The packet passes.
        case pass
        /// The packet is blocked and answered as the policy says.
        case block(ReturnPolicy)
    }

    /// A protocol with what must hold for its header; a rule of several protocols has no options.
    public struct ProtocolMatch: Sendable, Hashable {
        /// The protocol's number in the IANA registry.
        public var number: UInt8
        /// What must hold for the header.
        public var options = ProtocolOptions.none
    }

    /// What must hold for the header of layer 4.
    public enum ProtocolOptions: Sendable, Hashable {
        /// Nothing.
        case none
        /// Of the TCP flags in `mask` exactly those in `match` are set; bits as in RFC 9293, section 3.1.
        case flags(match: UInt8, mask: UInt8)
        /// The ICMP type, and the code where there is one.
        case icmp(type: UInt8, code: UInt8?)
    }

    /// `[!] ADDRESSES [port PORTS]`.
    public struct Endpoint: Sendable, Hashable {
        /// Whether an address must be none of `addresses`.
        public var isNegated = false
        /// The addresses, one of which must match; none for all.
        public var addresses: [AddressElement] = []
        /// The ports, one range of which must match; none for all.
        public var ports: [PortRange] = []

        /// Any address and any port.
        public static let any = Endpoint()
    }

    /// An element of a set of addresses.
    public enum AddressElement: Sendable, Hashable {
        /// An address, or a network.
        case prefix(AddressPrefix)
        /// The addresses in the table of this name, of both families.
        case table(String)
        /// The addresses that an interface has at the moment: `inet4(IF)` or `inet6(IF)`, or with no family
        /// `ifaddrs(IF)`, which is about packets of both.
        case interface(String, family: Family?)
    }

    /// Ports from `first` to `last`, both included.
    public struct PortRange: Sendable, Hashable {
        /// The lowest port.
        public var first: UInt16
        /// The highest port, at least `first`.
        public var last: UInt16
    }

    /// `pcap-filter "EXPRESSION"`, in the language of pcap-filter(7).
    public struct PacketFilter: Sendable, Hashable {
        /// The expression, not looked at.
        public var expression: String
        /// The place of the expression.
        public var location: SourceLocation
    }

    /// `lua-filter "FILE" [call NAME]`: the rule matches if the function returns true.
    public struct ScriptFilter: Sendable, Hashable {
        /// The script's path within the script directory.
        public var file: String
        /// The Lua function's global name.
        public var function = "match"
        /// The place of the path.
        public var location: SourceLocation
    }
}

extension Configuration.Rule {
    /// The family that the packet must be of; nil for both.
    ///
    /// Addresses imply theirs, be they negated or not; tables and `ifaddrs` imply none.
    public var effectiveFamily: Configuration.Family? {
        if let family { return family }
        for element in source.addresses + destination.addresses {
            switch element {
            case .prefix(let prefix): return prefix.family
            case .interface(_, let family?): return family
            case .interface, .table: continue
            }
        }
        return nil
    }
}

/// What a rule remembers of the packets that it passes.
public enum StateKind: UInt8, BitwiseCopyable, Sendable, Hashable {
    /// Nothing.
    case none
    /// `stateful`: packets of the connection pass, replies on the same interface in the other direction.
    case stateful
    /// `stateful-all`: packets of the connection pass wherever their key says so.
    case statefulAll
}

/// How a blocked packet is answered.
public enum ReturnPolicy: UInt8, BitwiseCopyable, Sendable, Hashable {
    /// Not at all.
    case none
    /// TCP with a reset.
    case rst
    /// UDP with an ICMP error.
    case icmp
    /// TCP with a reset, UDP with an ICMP error.
    case both
}
