/// The numbers from `first` to `last`, both included: addresses, ports, protocols.
public struct NumberRange<Number: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable>: BitwiseCopyable,
    Sendable, Hashable
{
    /// The lowest.
    public var first: Number
    /// The highest, at least `first`.
    public var last: Number

    /// The numbers from `first` to `last`.
    public init(first: Number, last: Number) {
        self.first = first
        self.last = last
    }

    /// The ranges in ascending order, those that touch each other merged.
    public static func merged(_ ranges: [NumberRange]) -> [NumberRange] {
        var merged: [NumberRange] = []
        for range in ranges.sorted(by: { $0.first < $1.first }) {
            if let last = merged.last?.last, last == .max || range.first <= last + 1 {
                merged[merged.count - 1].last = max(last, range.last)
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}
