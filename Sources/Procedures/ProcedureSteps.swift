public import Packet

/// One call of a procedure, as the rules have it.
public enum ProcedureStep: Hashable, Sendable {
    /// `lua:`, a script of the caller's, by its place there.
    case script(Int)
    /// `normalize:`.
    case normalize(NormalizeParameters)
    /// `rndblock:`.
    case randomBlock(RandomBlockParameters)
    /// `ratelimit:`.
    case rateLimit(RateLimitParameters)
    /// `log:`, to a file by its place in the configuration.
    case log(file: Int)
}

/// What has become of a packet when steps end, or come to a script.
public struct ProcedureOutcome: BitwiseCopyable, Hashable, Sendable {
    /// Whether the packet is blocked: it was before, or a step has blocked it.
    public var isBlocked: Bool
    /// Whether a step of this run changed the packet; its checksums are right again.
    public var isChanged: Bool
    /// The script to call now; -1: all steps are done.
    public var script: Int32
    /// Where `run` goes on after the script.
    public var next: Int
}

/// A procedure as one worker runs it: its steps in order, each with its own state.
///
/// There is one for each procedure and worker: as in NPF, rules that apply the same procedure share its limits and counts.
/// Part of the packet path.
@safe
public struct ProcedureSteps: ~Copyable {
    private enum Step: BitwiseCopyable {
        case script(Int32)
        case normalize(Normalizer)
        case randomBlock(RandomBlocker)
        case rateLimit(RateLimiter)
        case log(UInt16)
    }

    private let steps: UnsafeMutablePointer<Step>
    private let count: Int

    /// Makes the steps ready.
    ///
    /// - Parameters:
    ///   - seed: of what the steps do at random; a daemon takes a random one for each worker.
    ///   - workers: how many workers share the procedure's rate limits.
    public init(_ steps: [ProcedureStep], seed: UInt64, workers: Int) {
        var seeds = RandomGenerator(seed: seed)
        count = steps.count
        unsafe self.steps = .allocate(capacity: count)
        for (place, step) in steps.enumerated() {
            let ready: Step =
                switch step {
                case .script(let script): .script(Int32(script))
                case .normalize(let parameters): .normalize(Normalizer(parameters, seed: seeds.next()))
                case .randomBlock(let parameters): .randomBlock(RandomBlocker(parameters, seed: seeds.next()))
                case .rateLimit(let parameters): .rateLimit(RateLimiter(parameters, workers: workers))
                case .log(let file): .log(UInt16(file))
                }
            unsafe (self.steps + place).initialize(to: ready)
        }
    }

    deinit {
        unsafe steps.deallocate()
    }

    /// Runs the steps from `first` on, up to the end or the next script.
    ///
    /// A blocked packet is logged and goes to scripts, but no other step does anything with it.
    /// - Parameters:
    ///   - first: 0, or the `next` of the outcome before the script that was called since.
    ///   - packet: the IP packet, whose bytes steps may change in place.
    ///   - headers: its headers as they are now: parsed again where a script has changed the packet.
    ///   - isBlocked: the decision so far.
    ///   - log: the worker's.
    public mutating func run(
        from first: Int = 0, _ packet: UnsafeMutableRawBufferPointer, headers: PacketHeaders,
        context: ProcedureContext, isBlocked: Bool, log: PacketLog
    ) -> ProcedureOutcome {
        var outcome = ProcedureOutcome(isBlocked: isBlocked, isChanged: false, script: -1, next: count)
        // Scripts and logs see right checksums, and they are computed as seldom as that allows.
        var isStale = false
        var place = first
        while place < count {
            let step = unsafe steps + place
            place &+= 1
            switch unsafe step.pointee {
            case .script(let script):
                if isStale { unsafe Self.mend(packet, headers) }
                outcome.script = script
                outcome.next = place
                return outcome
            case .log(let file):
                if isStale { unsafe Self.mend(packet, headers) }
                isStale = false
                unsafe log.note(
                    UnsafeRawBufferPointer(packet), file: file, isBlocked: outcome.isBlocked, context)
            case .normalize(var normalizer):
                guard !outcome.isBlocked else { continue }
                var bytes = unsafe packet.mutableBytes
                if normalizer.apply(to: &bytes, headers: headers) {
                    outcome.isChanged = true
                    isStale = true
                }
                unsafe step.pointee = .normalize(normalizer)
            case .randomBlock(var blocker):
                guard !outcome.isBlocked else { continue }
                outcome.isBlocked = blocker.blocksNext()
                unsafe step.pointee = .randomBlock(blocker)
            case .rateLimit(var limiter):
                guard !outcome.isBlocked else { continue }
                outcome.isBlocked = unsafe !limiter.allows(bytes: context.originalLength, now: context.clock)
                unsafe step.pointee = .rateLimit(limiter)
            }
        }
        if isStale { unsafe Self.mend(packet, headers) }
        return outcome
    }

    private static func mend(_ packet: UnsafeMutableRawBufferPointer, _ headers: PacketHeaders) {
        var bytes = unsafe packet.mutableBytes
        Checksum.mend(&bytes, headers: headers)
    }
}
