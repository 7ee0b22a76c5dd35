import Procedures
import TestSupport
import Testing

/// Committed Access Rate with one exact number: bits times nanoseconds in the bucket, negative in debt.
private struct SlowLimiter {
    let cost: Int128
    let rate: Int128
    let normal: Int128
    let extended: Int128
    var level: Int128
    var compound: Int128 = 0
    var last: Int64?

    init(_ parameters: RateLimitParameters, workers: Int = 1) {
        cost = 8_000_000_000 * Int128(workers)
        rate = Int128(parameters.bitrate)
        normal = Int128(parameters.normalBurst)
        extended = Int128(parameters.extendedBurst)
        level = normal * cost
    }

    mutating func allows(bytes: Int, now: Int64) -> Bool {
        if let last { level = min(level + Int128(max(now - last, 0)) * rate, normal * cost) }
        last = max(now, last ?? now)
        if level >= Int128(bytes) * cost {
            level -= Int128(bytes) * cost
            return true
        }
        let (tokens, rest) = level.quotientAndRemainder(dividingBy: cost)
        let debt = Int128(bytes) - (rest < 0 ? tokens - 1 : tokens)
        if debt > extended || compound + debt > extended {
            compound = 0
            return false
        }
        compound += debt
        level -= Int128(bytes) * cost
        return true
    }
}

struct RateLimiterTests {
    static let second: Int64 = 1_000_000_000

    @Test func `decides as the slow way does`() throws {
        var generator = SplitMix64(state: 12)
        var passed = 0
        var blocked = 0
        for round in 0..<400 {
            let bitrate = 1 << Int.random(in: 0...34, using: &generator) + Int.random(in: 0...7, using: &generator)
            let parameters = try RateLimitParameters(
                bitrate: bitrate, normalBurst: Int.random(in: 1...100_000, using: &generator),
                extendedBurst: Int.random(in: 1...300_000, using: &generator))
            var limiter = RateLimiter(parameters, workers: 1)
            var slow = SlowLimiter(parameters)
            var now = Int64.random(in: -5...1_000_000, using: &generator)
            // So that packets come about twice as fast as they may.
            let pause = 8 * 1500 * Self.second / Int64(bitrate)
            for step in 0..<500 {
                now += Int64.random(in: -(pause / 16)...pause, using: &generator)
                let bytes = Int.random(in: 0...3000, using: &generator)
                let allowed = limiter.allows(bytes: bytes, now: now)
                let expected = slow.allows(bytes: bytes, now: now)
                #expect(allowed == expected, "round \(round), step \(step)")
                if allowed { passed += 1 } else { blocked += 1 }
            }
        }
        #expect(passed > 50_000 && blocked > 20_000, "\(passed) \(blocked)")
    }

    /// The bucket, then the debt, then the compound debt: by hand, after the algorithm's description.
    @Test func `lends up to the extended burst, and blocks early`() throws {
        var limiter = RateLimiter(
            try RateLimitParameters(bitrate: 8_000, normalBurst: 1_000, extendedBurst: 1_000), workers: 1)
        let table: [(milliseconds: Int64, bytes: Int, allowed: Bool, why: String)] = [
            (0, 600, true, "400 tokens are left"),
            (0, 400, true, "none are left"),
            (0, 300, true, "a debt of 300, compound 300"),
            (0, 300, true, "a debt of 600, compound 900"),
            (0, 50, false, "a debt of 650 would make the compound 1550; that becomes 0"),
            (0, 50, true, "a debt of 650, compound 650"),
            (0, 300, false, "a debt of 950 would make the compound 1600"),
            (0, 400, false, "a debt of 1050 is beyond the burst"),
            (650, 0, true, "the debt is paid"),
            (650, 1_001, false, "no packet longer than the burst"),
            (2_650, 1_001, true, "a full bucket, one borrowed"),
            (2_651, 0, true, "one earned, paid back"),
            (3_150, 500, true, "499 are there, one borrowed"),
        ]
        for (milliseconds, bytes, allowed, why) in table {
            #expect(
                limiter.allows(bytes: bytes, now: milliseconds * 1_000_000) == allowed, "\(milliseconds) ms: \(why)")
        }
    }

    /// Twice the rate for 100 seconds in packets of each size.
    @Test(arguments: [40, 1_500, 65_535])
    func `passes the rate in the long run`(bytes: Int) throws {
        let parameters = try RateLimitParameters(bitrate: 8_000_000)
        var limiter = RateLimiter(parameters, workers: 1)
        var passed = 0
        let count = 200_000_000 / bytes
        for index in 0..<count {
            let now = Int64(index) * (100 * Self.second / Int64(count))
            if limiter.allows(bytes: bytes, now: now) { passed += bytes }
        }
        let committed = 100_000_000
        let bursts = parameters.normalBurst + parameters.extendedBurst
        #expect(passed > committed - bursts && passed < committed + bursts, "\(passed)")
    }

    @Test func `workers share the rate and the bursts`() throws {
        let parameters = try RateLimitParameters(bitrate: 30_000_000, normalBurst: 900_000, extendedBurst: 1_200_000)
        let share = try RateLimitParameters(bitrate: 10_000_000, normalBurst: 300_000, extendedBurst: 400_000)
        var limiter = RateLimiter(parameters, workers: 3)
        var alone = RateLimiter(share, workers: 1)
        var generator = SplitMix64(state: 13)
        var now: Int64 = 0
        for _ in 0..<20_000 {
            now += Int64.random(in: 0...2_000_000, using: &generator)
            let bytes = Int.random(in: 40...1500, using: &generator)
            let (shared, single) = (limiter.allows(bytes: bytes, now: now), alone.allows(bytes: bytes, now: now))
            #expect(shared == single)
        }
    }

    @Test func `a share of a burst still has room for the longest packet`() throws {
        let parameters = try RateLimitParameters(bitrate: 8_000, normalBurst: 100_000, extendedBurst: 1)
        var limiter = RateLimiter(parameters, workers: 64)
        let allowed = [65_535, 2].map { limiter.allows(bytes: $0, now: 0) }
        #expect(allowed == [true, false])
    }

    @Test func `a clock that steps back earns nothing`() throws {
        var limiter = RateLimiter(try RateLimitParameters(bitrate: 8, normalBurst: 10, extendedBurst: 1), workers: 1)
        let allowed = [(10, 100), (5, 0), (5, 100), (5, 105)].map { bytes, seconds in
            limiter.allows(bytes: bytes, now: seconds * Self.second)
        }
        #expect(allowed == [true, false, false, true])
    }

    @Test func `the largest numbers do no harm`() throws {
        var generator = SplitMix64(state: 14)
        let numbers = [1, 2, 1_500, 65_535, 1 << 32, 1 << 61, .max - 1, .max]
        let times: [Int64] = [.min, .min + 1, -1, 0, 1, 1_000, .max - 1, .max]
        for bitrate in numbers {
            for normal in numbers {
                for extended in numbers {
                    let parameters = try RateLimitParameters(
                        bitrate: bitrate, normalBurst: normal, extendedBurst: extended)
                    for workers in [0, 1, 7, 1 << 20] {
                        var limiter = RateLimiter(parameters, workers: workers)
                        for _ in 0..<20 {
                            _ = limiter.allows(
                                bytes: [.min, -1, 0, 1, 1_500, 65_535, .max].randomElement(using: &generator)!,
                                now: times.randomElement(using: &generator)!)
                        }
                    }
                }
            }
        }
        var largest = RateLimiter(try RateLimitParameters(bitrate: .max), workers: 1)
        let passed = (0..<1_000).count { _ in largest.allows(bytes: 65_535, now: 0) }
        #expect(passed == 1_000)
    }
}
