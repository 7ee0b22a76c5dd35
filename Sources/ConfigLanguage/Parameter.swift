/// A parameter of `set`, by its name in the language.
public enum Parameter: String, Sendable, Hashable, CaseIterable {
    /// What happens to packets that cannot be judged: `open` or `closed`.
    case fail
    /// The first NFQUEUE number.
    case queueNumber = "queue.number"
    /// The packets that wait in a queue at most.
    case queueLength = "queue.length"
    /// The Lua instructions that a call may take.
    case luaInstructions = "lua.instructions"
    /// The bytes that a Lua state may take.
    case luaMemory = "lua.memory"
    /// The milliseconds that a call may take.
    case luaTime = "lua.time"
    /// Whether scripts may change packets: `on` or `off`.
    case luaEdit = "lua.edit"

    /// The value that holds where nothing is set.
    public var defaultValue: Int {
        switch self {
        case .fail: 0
        case .queueNumber: 2014
        case .queueLength: 1024
        case .luaInstructions: 1_000_000
        case .luaMemory: 8 << 20
        case .luaTime: 20
        case .luaEdit: 1
        }
    }

    /// The values that it may have; 0 and 1 stand for the ``words`` of a parameter that has some.
    public var range: ClosedRange<Int> {
        switch self {
        case .fail, .luaEdit: 0...1
        case .queueNumber: 0...65_535
        case .queueLength: 1...1_048_576
        case .luaInstructions: 1...1_000_000_000
        case .luaMemory: 65_536...4_294_967_296
        case .luaTime: 1...10_000
        }
    }

    /// The words for the values 0 and 1; nil where the value is a number.
    var words: [String]? {
        switch self {
        case .fail: ["closed", "open"]
        case .luaEdit: ["off", "on"]
        case .queueNumber, .queueLength, .luaInstructions, .luaMemory, .luaTime: nil
        }
    }

    /// What the suffix `k` stands for; `m`, `g` and `t` are its powers.
    var kilo: UInt64 { self == .luaMemory ? 1024 : 1000 }
}
