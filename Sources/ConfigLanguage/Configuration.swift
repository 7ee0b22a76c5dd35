/// A configuration in NPF's language: what npf.conf says, checked, with its variables replaced by their values and the
/// files that it includes in the places where it includes them.
///
/// Everything in it can be honoured: a name that is unknown, a criterion that cannot match as written or a part of the
/// language that does not exist here is an error of the parser. Interfaces and tables are names still: whoever runs the
/// configuration knows what they hold.
public struct Configuration: Sendable, Hashable {
    /// The `set` statements in the order written; of two for one parameter the later holds.
    public var settings: [Setting] = []
    /// The `alg` statements in the order written; they differ.
    public var algorithms: [ApplicationGateway] = []
    /// The tables in the order written; their names differ.
    public var tables: [Table] = []
    /// The procedures in the order written; their names differ.
    public var procedures: [Procedure] = []
    /// The top-level groups in the order of the walk: the default group is the last, wherever it was written.
    public var groups: [Group] = []

    /// No statement at all, which no file can say: a file has a default group.
    public static let empty = Configuration()
}

extension Configuration {
    /// `set PARAMETER VALUE`.
    public struct Setting: Sendable, Hashable {
        /// What is set.
        public var parameter: Parameter
        /// The value, within the parameter's range and in its unit; 1 and 0 are `on` and `off`, or `open` and `closed`.
        public var value: Int
        /// The place of the parameter's name.
        public var location: SourceLocation
    }

    /// `alg "NAME"`: an application level gateway, which knows more of a protocol than its ports.
    public struct ApplicationGateway: Sendable, Hashable {
        /// The gateways that there are, by their names in the language.
        public enum Kind: String, Sendable, Hashable, CaseIterable {
            /// ICMP echo has states by its identifier, and ICMP errors belong to the connection that they quote.
            case icmp
        }

        /// Which gateway.
        public var kind: Kind
        /// The place of the name.
        public var location: SourceLocation
    }

    /// `table <NAME> type TYPE [file "FILE"]`: a set of addresses that changes while the rules stay.
    public struct Table: Sendable, Hashable {
        /// The name without its angle brackets.
        public var name: String
        /// What it holds, and how.
        public var type: TableType
        /// The path of the file with its contents, as written; nil for a table that is filled while it is used.
        ///
        /// `TableFile` reads such a file. A constant table always has one.
        public var file: String?
        /// The place of the name.
        public var location: SourceLocation
    }

    /// A type of table by its name in the language.
    public enum TableType: String, Sendable, Hashable {
        /// Addresses, looked up by hash.
        case ipset
        /// Networks, of which the longest match counts.
        case lpm
        /// Addresses that are read once and never change.
        case const
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
        public var items: [Item] = []
        /// The place of the word `group`.
        public var location: SourceLocation
    }

    /// A member of a group.
    public enum Item: Sendable, Hashable {
        /// A rule.
        case rule(Rule)
        /// A group within the group, at most 16 levels deep.
        case group(Group)
        /// A ruleset whose rules come and go while the configuration stays.
        case ruleset(DynamicRuleset)
    }

    /// `ruleset "NAME" [in|out] [on INTERFACE]`: the place of rules that `npfctl rule` adds and removes.
    public struct DynamicRuleset: Sendable, Hashable {
        /// The name, which no other ruleset has.
        public var name: String
        /// The direction of the packets that its rules see; nil for both.
        public var direction: Direction?
        /// The interface of the packets that its rules see; nil for all.
        public var interface: String?
        /// The place of the word `ruleset`.
        public var location: SourceLocation
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
}
