import CLuaShim
public import LuaRuntime

extension LuaState {
    /// Lets scripts `require 'data'`, and `filter` show them memory.
    public mutating func installLuadata() {
        var operations = ls_data_operations.luadata
        unsafe ls_open_data(shim, &operations)
    }

    /// Calls a filter function with a view of one region; `installLuadata` must have been called.
    ///
    /// When it returns the view, and every segment of it, is empty for good. This is on the packet path: all that is
    /// allocated is in Lua's own memory.
    public mutating func filter(
        _ function: FunctionReference, _ packet: Region, context: FilterContext? = nil
    ) -> FilterResult {
        let regions: [1 of ls_region] = unsafe [ls_region(packet)]
        return unsafe filter(function, regions.span, context)
    }

    /// Calls a filter function with views of two regions, as above.
    public mutating func filter(
        _ function: FunctionReference, _ header: Region, _ payload: Region, context: FilterContext? = nil
    ) -> FilterResult {
        let regions: [2 of ls_region] = unsafe [ls_region(header), ls_region(payload)]
        return unsafe filter(function, regions.span, context)
    }

    /// Whether the filter function that was called last, and answered `keep`, returned `true` and not nothing.
    public var isAffirmed: Bool { unsafe ls_affirmed(shim) }

    @inline(__always)
    private func filter(
        _ function: FunctionReference, _ regions: borrowing Span<ls_region>, _ context: FilterContext?
    ) -> FilterResult {
        var changed = false
        let answer = unsafe regions.withUnsafeBufferPointer { regions in
            guard let context = unsafe context else {
                return unsafe ls_filter(
                    shim, function.reference, regions.baseAddress, CInt(regions.count), nil, &changed)
            }
            var third = unsafe ls_context(context)
            return unsafe ls_filter(
                shim, function.reference, regions.baseAddress, CInt(regions.count), &third, &changed)
        }
        return FilterResult(
            answer: FilterAnswer(rawValue: UInt8(truncatingIfNeeded: answer.rawValue)) ?? .failedAnswer,
            changed: changed)
    }
}

extension ls_region {
    fileprivate init(_ region: Region) {
        let marks = unsafe region.marks
        unsafe self.init(
            data: region.bytes.baseAddress, length: region.bytes.count, writable: region.isWritable,
            layout: region.layout?.shim, marks: (0, marks[1], marks[2], marks[3]))
    }
}

extension ls_context {
    fileprivate init(_ context: FilterContext) {
        unsafe self.init(
            interface: context.interface, direction: context.direction, rule: context.rule,
            time_ns: context.nanoseconds, mark: context.mark,
            length: Int64(context.length))
    }
}
