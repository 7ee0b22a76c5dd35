/// What `ratelimit:` says.
public struct RateLimitParameters: BitwiseCopyable, Hashable, Sendable {
    /// The committed rate in bits a second (`bitrate`).
    public let bitrate: Int
    /// Bytes that may come at once after a pause (`normal-burst`).
    public let normalBurst: Int
    /// Bytes that may be borrowed beyond that (`extended-burst`).
    public let extendedBurst: Int

    /// Makes parameters of what the rules say.
    ///
    /// - Parameters:
    ///   - bitrate: 1 or more.
    ///   - normalBurst: 1 or more; what comes in 1.5 seconds at the rate where the rules do not say.
    ///   - extendedBurst: 1 or more; twice the normal burst where the rules do not say.
    /// - Throws: `ParameterError` for a number out of its range.
    public init(bitrate: Int, normalBurst: Int? = nil, extendedBurst: Int? = nil) throws(ParameterError) {
        try ParameterError.check(bitrate, in: 1 ... .max, "bitrate")
        // 1.5 seconds at an eighth of the bits.
        let normalBurst = normalBurst ?? max(bitrate / 8 + bitrate / 16, 1)
        try ParameterError.check(normalBurst, in: 1 ... .max, "normal-burst")
        let extendedBurst = extendedBurst ?? (normalBurst > .max / 2 ? .max : normalBurst * 2)
        try ParameterError.check(extendedBurst, in: 1 ... .max, "extended-burst")
        self.bitrate = bitrate
        self.normalBurst = normalBurst
        self.extendedBurst = extendedBurst
    }
}

/// The procedure `ratelimit`: Committed Access Rate, a token bucket that lends.
///
/// The algorithm is that of S. Vegesna, "IP Quality of Service", Cisco Press 2001, pages 36 to 38, as NPF has it.
/// A packet that finds its tokens, one a byte, passes. One that does not borrows them, as long as neither the debt nor the
/// compound debt, the sum of the debts that packets have left since one was blocked last, exceeds the extended burst.
/// So packets are blocked the more likely the deeper the debt is, and TCP slows down before all of its packets are.
///
/// Part of the packet path.
public struct RateLimiter: BitwiseCopyable, Sendable {
    /// A floor under a worker's share of a burst, where the whole has room for it: no IP packet is longer, and one that is
    /// longer than both bursts would never pass.
    private static let longestPacket = 65_535

    private let bitrate: UInt128
    /// Bits times nanoseconds that a token costs at the rate: 8 · 10⁹, as often as there are workers.
    private let tokenCost: UInt128
    private let normalBurst: Int64
    private let extendedBurst: UInt64
    /// Bytes that may pass now; the debt where it is negative.
    private var tokens: Int64
    private var compoundDebt: UInt64 = 0
    /// What has been earned towards the next token.
    private var earned: UInt128 = 0
    /// When tokens were earned last; nil before the first packet.
    private var last: Int64?

    /// A limiter with a full bucket.
    ///
    /// - Parameter workers: how many workers share the limit. Each keeps to its part of the rate, so that a single flow,
    ///   which is always one worker's, gets no more than that part.
    public init(_ parameters: RateLimitParameters, workers: Int) {
        let workers = max(workers, 1)
        func share(_ burst: Int) -> Int { max(burst / workers, min(burst, Self.longestPacket)) }
        bitrate = UInt128(parameters.bitrate)
        tokenCost = 8_000_000_000 * UInt128(workers)
        normalBurst = Int64(share(parameters.normalBurst))
        extendedBurst = UInt64(share(parameters.extendedBurst))
        tokens = normalBurst
    }

    /// Whether a packet is within the limit; if it is, it is charged for.
    ///
    /// - Parameters:
    ///   - bytes: of the IP packet.
    ///   - now: nanoseconds on a clock that does not go back.
    public mutating func allows(bytes: Int, now: Int64) -> Bool {
        earn(until: now)
        let bytes = UInt64(clamping: bytes)
        if tokens >= 0 && bytes <= UInt64(bitPattern: tokens) {
            tokens &-= Int64(bitPattern: bytes)
            return true
        }
        // The debts are computed as they would be if the packet passed. Both stay below 2^64: the debt so far and the compound
        // debt are at most the burst, which is below 2^63, and so is a packet.
        let debt = UInt64(bitPattern: 0 &- tokens) &+ bytes
        guard debt <= extendedBurst, compoundDebt &+ debt <= extendedBurst else {
            compoundDebt = 0
            return false
        }
        tokens = 0 &- Int64(bitPattern: debt)
        compoundDebt &+= debt
        return true
    }

    @inline(__always)
    private mutating func earn(until now: Int64) {
        guard let last else {
            self.last = now
            return
        }
        guard now > last else { return }
        self.last = now
        // At most 2^64 nanoseconds of less than 2^63 bits: no overflow.
        let (new, rest) = (UInt128(UInt64(bitPattern: now &- last)) &* bitrate &+ earned)
            .quotientAndRemainder(dividingBy: tokenCost)
        if new >= UInt128(UInt64(bitPattern: normalBurst &- tokens)) {
            tokens = normalBurst
            earned = 0
        } else {
            tokens &+= Int64(truncatingIfNeeded: new)
            earned = rest
        }
    }
}
