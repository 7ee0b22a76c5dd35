/// Why a script failed, in words for whoever wrote it.
public struct ScriptError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Kind: Sendable, Hashable {
        /// The text is not Lua.
        case syntax
        /// An error was raised.
        case runtime
        /// The call used up its instructions.
        case instructions
        /// The state reached its memory limit.
        case memory
        /// The call used up its time.
        case time
        /// A filter returned something that is no answer.
        case answer
        /// A file could not be read.
        case file
    }

    /// What kind of failure it is.
    public var kind: Kind
    /// The message, with the script's file and line, and a traceback on the lines that follow.
    public var message: String

    /// An error with a message for the user.
    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
