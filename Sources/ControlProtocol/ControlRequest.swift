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

    /// The protocol's version that the client speaks.
    public var version: Int
    /// What is asked.
    public var command: Command
    /// The file that `reload` or `lua-load` is about.
    public var file: File?

    /// The version that this library speaks.
    public static let currentVersion = 1

    /// The longest request that a daemon takes, in bytes without its line feed.
    ///
    /// A text of 1 MiB fits whatever is in it: JSON writes a byte with six at most.
    public static let maximumLength = 8 << 20

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
