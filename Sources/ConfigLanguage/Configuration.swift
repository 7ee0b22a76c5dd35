/// A configuration in NPF's language: what npf.conf says, checked, with its variables replaced by their values.
///
/// Everything in it can be honoured: a name that is unknown, a criterion that cannot match as written or a part of the
/// language that this version does not have is an error of the parser.
public struct Configuration: Sendable, Hashable {
    /// The `set` statements in the order written; of two for one parameter the later holds.
    public var settings: [Setting]
    /// The procedures in the order written; their names differ.
    public var procedures: [Procedure]
    /// The top-level groups in the order of the walk: the default group is the last, wherever it was written.
    public var groups: [Group]

    /// No statement at all, which no file can say: a file has a default group.
    public static let empty = Configuration(settings: [], procedures: [], groups: [])
}

extension Configuration {
    /// `set PARAMETER VALUE`.
    public struct Setting: Sendable, Hashable {
        /// What is set.
        public var parameter: Parameter
        /// The value, within the parameter's range and in its unit; for `fail` 1 is open and 0 is closed.
        public var value: Int
        /// The place of the parameter's name.
        public var location: SourceLocation
    }

    /// `procedure "NAME" { CALL }`.
    public struct Procedure: Sendable, Hashable {
        /// The name that `apply` refers to.
        public var name: String
        /// What the procedure does.
        public var call: LuaCall
        /// The place of the name.
        public var location: SourceLocation
    }

    /// `lua: call NAME [, file "FILE"] [, error block|pass] [, edit on|off] [, instructions N] [, memory N] [, time MS]`.
    public struct LuaCall: Sendable, Hashable {
        /// The Lua function's global name.
        public var function = "filter"
        /// The script's path within the script directory; nil stands for the function's name with `.lua`.
        public var file: String?
        /// What a script error does to the packet; nil stands for what `set fail` says.
        public var errorPolicy: ErrorPolicy?
        /// Whether the script may change packets; nil stands for what `set lua.edit` says, which is its bound as well.
        public var allowsEdits: Bool?
        /// The instructions a call may take.
        public var instructions: Limit?
        /// The bytes the Lua state may take.
        public var memory: Limit?
        /// The milliseconds a call may take.
        public var milliseconds: Limit?
        /// The place of `lua`.
        public var location: SourceLocation
    }

    /// A limit that a procedure sets for itself.
    public struct Limit: Sendable, Hashable {
        /// The limit in its parameter's unit.
        public var value: Int
        /// The place of the value.
        public var location: SourceLocation
    }

    /// `group "NAME" [in|out] [on INTERFACE] { … }`, or the default group.
    public struct Group: Sendable, Hashable {
        /// The group's name; nil for the default group.
        public var name: String?
        /// The direction of the packets that enter it; nil for both.
        public var direction: Direction?
        /// The interface of the packets that enter it; nil for all.
        public var interface: String?
        /// The members in the order of the walk.
        public var items: [Item]
        /// The place of the word `group`.
        public var location: SourceLocation
    }

    /// A member of a group.
    public enum Item: Sendable, Hashable {
        /// A rule.
        case rule(Rule)
        /// A group within the group, at most 16 levels deep.
        case group(Group)
    }

    /// A rule: what to do with which packets.
    public struct Rule: Sendable, Hashable {
        /// What becomes of the packet.
        public var action: Action
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

    /// The way of a packet as seen from the interface.
    public enum Direction: String, Sendable, Hashable {
        /// Received.
        case `in`
        /// Sent.
        case out
    }

    /// An address family by its name in the language.
    public enum Family: String, Sendable, Hashable {
        /// IPv4.
        case inet4
        /// IPv6.
        case inet6

        /// An address's length in bits.
        public var bitWidth: Int { self == .inet4 ? 32 : 128 }
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
    }

    /// Ports from `first` to `last`, both included.
    public struct PortRange: Sendable, Hashable {
        /// The lowest port.
        public var first: UInt16
        /// The highest port, at least `first`.
        public var last: UInt16
    }
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

/// What a script error does to the packet.
public enum ErrorPolicy: String, Sendable, Hashable {
    /// The packet is blocked.
    case block
    /// The rule's own decision stands.
    case pass
}
