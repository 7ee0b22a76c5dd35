import ConfigLanguage
public import Packet

// What rules mean for a flow and not for one packet of it.
extension CompiledRuleset {
    /// Whether a procedure, applied to a packet, may be applied to packets of its flow in the other direction as well.
    ///
    /// By a rule that is about them, wherever they come in or go out and whatever flags they have, or by a state that a
    /// rule makes for the flow. Rules that ask `pcap-filter` or a script count as if those held. Part of the packet path.
    ///
    /// - Complexity: O(entries), so it is asked once a flow.
    public func appliesBothWays(_ procedure: Int32, to headers: PacketHeaders, tables: TableLookup) -> Bool {
        var reversed = headers
        (reversed.source, reversed.destination) = (headers.destination, headers.source)
        (reversed.sourcePort, reversed.destinationPort) = (headers.destinationPort, headers.sourcePort)
        let forward = PacketFacts(headers, interface: 0, direction: .in)
        let backward = PacketFacts(reversed, interface: 0, direction: .in)
        let program = unsafe program
        var index = 0
        while unsafe index < program.count {
            let entry = unsafe program.entries + index
            if unsafe entry.pointee.kind == .rule && entry.pointee.procedure == procedure {
                if unsafe program.isAbout(entry, backward, tables) { return true }
                if unsafe entry.pointee.state != .none && program.isAbout(entry, forward, tables) { return true }
            }
            index &+= 1
        }
        return false
    }
}
