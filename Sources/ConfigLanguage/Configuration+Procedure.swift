extension Configuration {
    /// `procedure "NAME" { CALL … }`.
    public struct Procedure: Sendable, Hashable {
        /// The name that `apply` refers to.
        public var name: String
        /// What the procedure does, in this order; nothing for an empty one.
        public var calls: [Call]
        /// The place of the name.
        public var location: SourceLocation
    }

    /// A call of a procedure.
    public enum Call: Sendable, Hashable {
        /// A function of a Lua script.
        case lua(LuaCall)
        /// The packet is written down.
        case log(LogCall)
        /// The packet is made ordinary.
        case normalize(NormalizeCall)
        /// The packet is blocked at random.
        case randomBlock(RandomBlockCall)
        /// The packet is blocked where its kind takes more than its share.
        case rateLimit(RateLimitCall)
    }

    /// `lua: call NAME [, file "FILE"] [, error block|pass] [, edit on|off] [, payload] [, inspect N [packets]]
    /// [, instructions N] [, memory N] [, time MS]`.
    public struct LuaCall: Sendable, Hashable {
        /// The Lua function's global name.
        public var function = "filter"
        /// The script's path within the script directory; nil stands for the function's name with `.lua`.
        public var file: String?
        /// What a script error does to the packet; nil stands for what `set fail` says.
        public var errorPolicy: ErrorPolicy?
        /// Whether the script may change the packet: 1 or 0.
        public var edit: Limit?
        /// Whether the function is called with packets alone that have payload of layer 4.
        public var payloadOnly = false
        /// How much of a flow the function looks at; nil for all of it.
        public var inspection: InspectionLimit?
        /// The instructions a call may take.
        public var instructions: Limit?
        /// The bytes the Lua state may take.
        public var memory: Limit?
        /// The milliseconds a call may take.
        public var milliseconds: Limit?
        /// The place of `lua`.
        public var location: SourceLocation
    }

    /// `inspect N [packets]`: what a script looks at of each direction of a flow before the flow is passed.
    public struct InspectionLimit: Sendable, Hashable {
        /// What is counted.
        public enum Unit: Sendable, Hashable {
            /// Bytes of payload.
            case bytes
            /// Packets with payload.
            case packets
        }

        /// How many, 1 or more.
        public var amount: Int
        /// What is counted.
        public var unit: Unit

        /// Makes a limit of its parts.
        public init(amount: Int, unit: Unit) {
            self.amount = amount
            self.unit = unit
        }
    }

    /// A limit that a procedure sets for itself.
    public struct Limit: Sendable, Hashable {
        /// The limit in its parameter's unit.
        public var value: Int
        /// The place of the value.
        public var location: SourceLocation
    }

    /// `log: NAME` or `log: file "FILE"`: packets are appended to a pcapng file in the log directory.
    public struct LogCall: Sendable, Hashable {
        /// The file's name in the log directory; `log: npflog0` is `npflog0.pcapng`.
        public var file: String
        /// The place of `log`.
        public var location: SourceLocation
    }

    /// `normalize: ["random-id"] [, "no-df"] [, "min-ttl" N] [, "max-mss" N]`.
    public struct NormalizeCall: Sendable, Hashable {
        /// Whether IPv4 identifications become random.
        public var randomizesIdentification = false
        /// Whether IPv4's Don't Fragment is cleared.
        public var clearsDontFragment = false
        /// The time to live, or hop limit, that lower ones are raised to; nil for none.
        public var minimumTTL: UInt8?
        /// The maximum segment size in bytes that larger ones in TCP's SYN are lowered to; nil for none.
        public var maximumSegmentSize: UInt16?
        /// The place of `normalize`.
        public var location: SourceLocation
    }

    /// `rndblock: mod N` or `rndblock: percentage F`.
    public struct RandomBlockCall: Sendable, Hashable {
        /// Which packets are blocked.
        public enum Choice: Sendable, Hashable {
            /// Each packet whose number is a multiple of this one, 1 or more.
            case every(Int)
            /// This share of all, in hundredths of a percent: 1 to 9999.
            case share(hundredths: Int)
        }

        /// Which packets are blocked.
        public var choice: Choice
        /// The place of `rndblock`.
        public var location: SourceLocation
    }

    /// `ratelimit: bitrate N [, "normal-burst" N] [, "extended-burst" N]`: Committed Access Rate.
    public struct RateLimitCall: Sendable, Hashable {
        /// The rate in bits a second, 1 or more.
        public var bitrate: Int
        /// The burst in bytes that always passes, 1 or more; nil where the limiter derives it from the rate.
        public var normalBurst: Int?
        /// The burst in bytes beyond which nothing passes, 1 or more; nil where the limiter derives it.
        public var extendedBurst: Int?
        /// The place of `ratelimit`.
        public var location: SourceLocation
    }
}

/// What a script error does to the packet.
public enum ErrorPolicy: String, Sendable, Hashable {
    /// The packet is blocked.
    case block
    /// The rule's own decision stands.
    case pass
}
