/// What `npfctl` and `luactl` ask of the daemon: one JSON object on one line.
///
/// The control socket is a Unix stream socket. A client sends a request and a line feed, the daemon answers with a
/// `ControlResponse` and a line feed, and both may go on. A request names the protocol's version, so that a new
/// program never misunderstands an old daemon.
public struct ControlRequest: Codable, Sendable, Hashable {
    /// What the daemon is asked to do.
    public enum Command: String, Codable, Sendable, CaseIterable {
        /// Replaces the configuration: `file` where it is given, else the daemon's own configuration file.
        case reload
        /// Switches inspection on.
        case start
        /// Switches inspection off; the configuration stays.
        case stop
        /// Removes all rules; everything passes.
        case flush
        /// Asks for the rules and their counters.
        case show
        /// Asks for the totals and the kernel's queue counters.
        case stats
        /// Loads the script `file` into the live states that run a script of that name.
        case luaLoad = "lua-load"
        /// Asks for the live Lua states.
        case luaList = "lua-list"
        /// Changes or lists the rules of a dynamic ruleset, as `ruleset` says.
        case rule
        /// Changes, asks or lists a table, as `table` says.
        case table
        /// Asks for the connections that have a state, from the place `from` on.
        case connections
        /// Asks what the running rules say of `packets`.
        case explain
        /// Asks what the kernel decides by itself, and what it has counted.
        case kernel
        /// Asks for the texts by which the kernel's rules are installed.
        case kernelText = "kernel-text"
    }

    /// A file that the client has read, since the daemon may not be allowed to.
    public struct File: Codable, Sendable, Hashable {
        /// The name that messages about it carry.
        public var name: String
        /// What is in it.
        public var text: String

        /// Makes a file of a name and its text.
        public init(name: String, text: String) {
            self.name = name
            self.text = text
        }
    }

    /// What is asked of a dynamic ruleset.
    public struct Ruleset: Codable, Sendable, Hashable {
        /// What is to be done.
        public enum Operation: String, Codable, Sendable {
            /// Adds the rule `text`.
            case add
            /// Removes the last rule that is the same as `text`.
            case remove
            /// Removes the rule whose id is `text`.
            case removeByID = "remove-id"
            /// Lists the rules.
            case list
            /// Removes all rules.
            case flush
        }

        /// The ruleset's name.
        public var name: String
        /// What is to be done.
        public var operation: Operation
        /// The rule in its own language, or its id.
        public var text: String?

        /// Makes a request of its parts.
        public init(name: String, operation: Operation, text: String? = nil) {
            self.name = name
            self.operation = operation
            self.text = text
        }
    }

    /// What is asked of a table.
    public struct Table: Codable, Sendable, Hashable {
        /// What is to be done.
        public enum Operation: String, Codable, Sendable {
            /// Adds `address`, for `seconds` if they are given.
            case add
            /// Removes `address`.
            case remove
            /// Asks whether `address` is in the table.
            case test
            /// Lists what is in it.
            case list
            /// Empties it.
            case flush
            /// Puts the contents of the request's file in place of its own, whole or not at all, and `newName` and
            /// `type` in place of its name and type.
            case replace
        }

        /// The table's name.
        public var name: String
        /// What is to be done.
        public var operation: Operation
        /// An address, or a network in CIDR notation.
        public var address: String?
        /// How long an entry stays, more than 0; for good without it.
        public var seconds: Int?
        /// What a table is called once it is replaced; nil for its name.
        public var newName: String?
        /// What type it is then; nil for its type.
        public var type: String?

        /// Makes a request of its parts.
        public init(name: String, operation: Operation, address: String? = nil, seconds: Int? = nil) {
            self.name = name
            self.operation = operation
            self.address = address
            self.seconds = seconds
        }
    }

    /// The protocol's version that the client speaks.
    public var version: Int
    /// What is asked.
    public var command: Command
    /// The file that `reload`, `lua-load` or `table` is about.
    public var file: File?
    /// What `rule` is about.
    public var ruleset: Ruleset?
    /// What `table` is about.
    public var table: Table?
    /// Where a list of connections goes on.
    public var from: Int?
    /// The descriptions that `explain` is about, `maximumPackets` or fewer.
    public var packets: [String]?

    /// The version that this library speaks.
    public static let currentVersion = 1

    /// The longest request that a daemon takes, in bytes without its line feed.
    ///
    /// A table's file of a million IPv6 networks fits.
    public static let maximumLength = 64 << 20

    /// The packets that a request may describe: the daemon explains them while others wait.
    public static let maximumPackets = 16

    /// Makes a request in the current version.
    public init(_ command: Command, file: File? = nil) {
        version = Self.currentVersion
        self.command = command
        self.file = file
    }
}

/// Why a line is not a request.
public struct ControlProtocolError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One sentence for the peer.
    public var description: String

    /// Makes an error of its sentence.
    public init(_ description: String) {
        self.description = description
    }
}
