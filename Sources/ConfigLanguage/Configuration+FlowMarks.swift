extension Configuration {
    /// The values by which connections' marks tell the kernel what scripts have decided about flows, in the bits that
    /// `set flow.mark` names; 0 in them is a flow that is not decided.
    ///
    /// The bits may have more values than there are procedures, or fewer: the procedures get them in the order in which
    /// they are declared, as far as there are any. A procedure that does more than call one script gets none, as its other
    /// calls are made for every packet.
    public struct FlowMarks: Sendable, Hashable {
        /// The bits; 0 where marks are switched off.
        public let mask: UInt32
        /// What a blocked flow has in the bits; 0 where marks are switched off.
        public let blocked: UInt32
        /// What a flow has in the bits that a procedure has passed, by the procedure's name.
        public let passed: [String: UInt32]

        /// All that a connection may have in the bits, ascending.
        public var values: [UInt32] { [blocked] + passed.values.sorted() }

        /// Marks are switched off.
        public static let none = FlowMarks(mask: 0, blocked: 0, passed: [:])
    }

    /// The values of connections' marks.
    public var flowMarks: FlowMarks {
        let setting = settings.last { $0.parameter == .flowMark }?.value ?? Parameter.flowMark.defaultValue
        let mask = UInt32(setting)
        guard mask != 0 else { return .none }
        let shift = UInt32(mask.trailingZeroBitCount)
        var passed: [String: UInt32] = [:]
        var value: UInt32 = 2
        for procedure in procedures where procedure.isOneScript {
            guard value <= mask >> shift else { break }
            passed[procedure.name] = value << shift
            value += 1
        }
        return FlowMarks(mask: mask, blocked: 1 << shift, passed: passed)
    }
}

extension Configuration.Procedure {
    /// Whether the procedure calls one script and does nothing else, so that a flow which that passes needs it no more.
    fileprivate var isOneScript: Bool {
        guard calls.count == 1, case .lua = calls[0] else { return false }
        return true
    }
}
