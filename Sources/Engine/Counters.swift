import Synchronization

/// A count that one thread makes and others read.
///
/// The one writer makes a plain load, addition and store of it: no locked instruction on the packet path.
public struct Counter: ~Copyable, Sendable {
    private let count = Atomic<UInt64>(0)

    init() {}

    /// What has been counted so far.
    public var value: UInt64 {
        count.load(ordering: .relaxed)
    }

    @inline(__always)
    func add(_ amount: UInt64 = 1) {
        count.store(count.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// Takes a measured value in place of a count.
    @inline(__always)
    func set(_ value: UInt64) {
        count.store(value, ordering: .relaxed)
    }
}

/// Two cache lines, because processors fetch them in pairs: between what one thread writes and what is another's.
struct CacheLines: BitwiseCopyable, Sendable {
    static let size = 128
    private let bytes = [16 of UInt64](repeating: 0)
}

extension UnsafeMutablePointer where Pointee: ~Copyable {
    /// Room for values in cache lines that they share with nothing else.
    static func allocateApart(capacity: Int) -> Self {
        let size = (capacity * MemoryLayout<Pointee>.stride + CacheLines.size - 1) / CacheLines.size * CacheLines.size
        return unsafe UnsafeMutableRawPointer.allocate(byteCount: size, alignment: CacheLines.size)
            .bindMemory(to: Pointee.self, capacity: capacity)
    }
}

/// What a rule counts.
struct RuleCounters: ~Copyable, Sendable {
    let packets = Counter()
    let bytes = Counter()
    let calls = Counter()
    let blocks = Counter()
    let errors = Counter()
}

/// What a worker counts over all rules, since it started.
///
/// The worker writes it and the control thread reads it, for as long as either holds it.
package final class TotalCounters: Sendable {
    private let before = CacheLines()
    let passedByRule = Counter()
    let passedByDefault = Counter()
    let passedByFlow = Counter()
    let passedByState = Counter()
    let passedByErrorPolicy = Counter()
    let blockedByRule = Counter()
    let blockedByDefault = Counter()
    let blockedByFlow = Counter()
    let blockedByProcedure = Counter()
    let blockedByErrorPolicy = Counter()
    let malformed = Counter()
    let headersCut = Counter()
    let optionsDropped = Counter()
    let bytes = Counter()
    let scriptCalls = Counter()
    let scriptErrors = Counter()
    let changed = Counter()
    let answered = Counter()
    let tooLong = Counter()
    let flowsPassed = Counter()
    let flowsBlocked = Counter()
    let flowsInspected = Counter()
    let flowsMarked = Counter()
    let handedOn = Counter()
    let flowsForgotten = Counter()
    package let failuresUnlogged = Counter()
    // These the control thread counts, when it empties the logs.
    let packetsNotLogged = Counter()
    let messagesLogged = Counter()
    let messagesDropped = Counter()
    let flowsTakenBack = Counter()
    let states = StateCounters()
    private let behind = CacheLines()

    /// Counters at zero.
    package init() {}

    var passed: UInt64 {
        passedByDefault.value + passedByRule.value + passedByState.value + passedByFlow.value
            + passedByErrorPolicy.value
    }

    var blocked: UInt64 {
        blockedByDefault.value + blockedByRule.value + blockedByFlow.value + blockedByProcedure.value
            + blockedByErrorPolicy.value + malformed.value + headersCut.value + optionsDropped.value
    }
}

/// What the worker's states count; set after each batch of packets.
struct StateCounters: ~Copyable, Sendable {
    let current = Counter()
    let created = Counter()
    let expired = Counter()
    let replaced = Counter()
    let evicted = Counter()
    let flushed = Counter()
    let refused = Counter()
    let invalid = Counter()
    let beyondWindow = Counter()
    let beforeWindow = Counter()
    let acknowledgment = Counter()
}

/// The counters of one configuration's rules on one worker, indexed by the rules' places in the flattened ruleset.
@safe
final class RuleCounterTable: Sendable {
    /// Entry 0 is the default of a packet that no rule matched.
    nonisolated(unsafe) let base: UnsafeMutablePointer<RuleCounters>
    let count: Int

    init(entries: Int) {
        count = entries + 1
        unsafe base = .allocateApart(capacity: count)
        for entry in 0..<count { unsafe (base + entry).initialize(to: RuleCounters()) }
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }
}
