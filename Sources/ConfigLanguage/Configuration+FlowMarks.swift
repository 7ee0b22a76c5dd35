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

        /// What a connection of TCP has in the bits once a packet with contents has come that a script is to see, and what
        /// that packet has in its own mark; nil where no script wants contents alone, or no value is left.
        ///
        /// So the daemon knows a new connection from an old one between the same ports, and need not see its SYN.
        public let opened: UInt32?

        /// What decides about flows, ascending.
        public var values: [UInt32] { [blocked] + passed.values.sorted() }

        /// Marks are switched off.
        public static let none = FlowMarks(mask: 0, blocked: 0, passed: [:], opened: nil)
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
        let opened = value <= mask >> shift && procedures.contains(where: \.wantsContents) ? value << shift : nil
        return FlowMarks(mask: mask, blocked: 1 << shift, passed: passed, opened: opened)
    }
}

extension Configuration.Procedure {
    /// Whether the procedure is one script's, which is called for packets with contents alone.
    public var wantsContents: Bool {
        guard calls.count == 1, case .lua(let call) = calls[0] else { return false }
        return call.payloadOnly
    }

    /// Whether the procedure calls one script and does nothing else, so that a flow which that passes needs it no more.
    fileprivate var isOneScript: Bool {
        guard calls.count == 1, case .lua = calls[0] else { return false }
        return true
    }
}
