import Procedures
import Testing

struct RandomBlockerTests {
    @Test(
        arguments: [
            (1, [true, true, true]), (2, [false, true, false, true]), (3, [false, false, true, false, false, true]),
            (.max, [false, false, false]),
        ] as [(Int, [Bool])])
    func `every so many packets one is blocked`(modulus: Int, expected: [Bool]) throws {
        var blocker = RandomBlocker(try RandomBlockParameters(modulus: modulus), seed: 0)
        #expect(expected.indices.map { _ in blocker.blocksNext() } == expected)
    }

    /// A million packets each: the share lies within five standard deviations.
    @Test(arguments: [1, 50, 100, 3333, 5000, 9950, 9999])
    func `the share of blocked packets is the percentage`(hundredths: Int) throws {
        var blocker = RandomBlocker(try RandomBlockParameters(hundredths: hundredths), seed: 42)
        let count = 1_000_000
        let blocked = (0..<count).count { _ in blocker.blocksNext() }
        let share = Double(hundredths) / 10_000
        let deviation = (share * (1 - share) * Double(count)).squareRoot()
        #expect(abs(Double(blocked) - share * Double(count)) < 5 * deviation, "\(blocked)")
    }

    @Test func `count and chance block each by itself`() throws {
        var blocker = RandomBlocker(try RandomBlockParameters(modulus: 2, hundredths: 5000), seed: 1)
        let blocked = (0..<100_000).map { _ in blocker.blocksNext() }
        #expect(blocked.indices.allSatisfy { $0 % 2 == 0 || blocked[$0] })
        #expect((74_000...76_000).contains(blocked.count { $0 }))
    }
}
