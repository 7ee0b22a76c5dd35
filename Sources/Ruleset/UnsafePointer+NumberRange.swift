import Packet

extension UnsafePointer {
    /// Whether `number` is in one of the `count` ranges from `first` on, which ascend.
    @inline(always)
    func contains<Number>(_ number: Number, from first: Int32, count: Int32) -> Bool
    where Pointee == NumberRange<Number> {
        let base = unsafe self + Int(first)
        // The ranges before `low` begin at or below the number, those from `high` on above it.
        var low = 0
        var high = Int(count)
        while low < high {
            let middle = (low &+ high) / 2
            if unsafe base[middle].first <= number { low = middle &+ 1 } else { high = middle }
        }
        return unsafe low > 0 && number <= base[low &- 1].last
    }
}
