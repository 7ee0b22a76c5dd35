/// A parameter of a procedure that is out of its range.
public struct ParameterError: Error, Equatable, CustomStringConvertible, Sendable {
    /// One sentence: what is wrong, and what would be right.
    public let description: String

    init(_ description: String) {
        self.description = description
    }

    /// Checks that a number that the rules give lies in its range.
    static func check(_ value: Int, in range: ClosedRange<Int>, _ name: String) throws(ParameterError) {
        guard range.contains(value) else {
            throw ParameterError(
                range.upperBound == .max
                    ? "`\(name)` is \(range.lowerBound) or more, not \(value)"
                    : "`\(name)` lies within \(range.lowerBound) and \(range.upperBound), not \(value)")
        }
    }
}
