/// What `rndblock:` says.
public struct RandomBlockParameters: BitwiseCopyable, Hashable, Sendable {
    /// Every so many packets one is blocked (`mod`); 0: none.
    public let modulus: Int
    /// Hundredths of a percent of the packets that are blocked at random (`percentage`); 0: none.
    public let hundredths: Int

    /// Makes parameters of what the rules say; with both, a packet is blocked by either.
    ///
    /// - Parameters:
    ///   - modulus: 1 or more.
    ///   - hundredths: 1 to 9,999, for 0.01 % to 99.99 %.
    /// - Throws: `ParameterError` for a number out of its range, or where there is none.
    public init(modulus: Int? = nil, hundredths: Int? = nil) throws(ParameterError) {
        guard modulus != nil || hundredths != nil else {
            throw ParameterError("`rndblock` needs `mod N` or `percentage N`")
        }
        if let modulus { try ParameterError.check(modulus, in: 1 ... .max, "mod") }
        if let hundredths, !(1...9_999).contains(hundredths) {
            throw ParameterError("`percentage` lies within 0.01 and 99.99")
        }
        self.modulus = modulus ?? 0
        self.hundredths = hundredths ?? 0
    }
}

/// The procedure `rndblock`: blocks packets by count or by chance, to try out how networks bear loss.
///
/// Part of the packet path. Each worker counts its own packets.
public struct RandomBlocker: BitwiseCopyable, Sendable {
    private let parameters: RandomBlockParameters
    /// Packets since the last one that was blocked by count.
    private var count = 0
    private var generator: RandomGenerator

    /// - Parameter seed: of the chance; a daemon takes a random one for each worker.
    public init(_ parameters: RandomBlockParameters, seed: UInt64) {
        self.parameters = parameters
        generator = RandomGenerator(seed: seed)
    }

    /// Whether the next packet is blocked.
    public mutating func blocksNext() -> Bool {
        var blocks = false
        if parameters.modulus > 0 {
            count &+= 1
            if count >= parameters.modulus {
                count = 0
                blocks = true
            }
        }
        if parameters.hundredths > 0 {
            let chance = generator.next().multipliedFullWidth(by: 10_000).high
            if chance < UInt64(truncatingIfNeeded: parameters.hundredths) { blocks = true }
        }
        return blocks
    }
}
