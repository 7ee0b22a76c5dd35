import ConfigLanguage
import KernelPlan
import Packet

/// What the kernel would do by a plan, as its items are described.
struct PlanSimulator {
    let plan: KernelPlan

    struct Packet {
        var headers: PacketHeaders
        var interface: String
        var direction: Direction
        /// Options, extension headers, or what connection tracking does not follow.
        var isUnreadable = false
        var lacksPayload = false
        var connectionMark: UInt32 = 0
    }

    func item(for packet: Packet) -> PlanItem {
        let items = packet.direction == .in ? plan.inbound : plan.outbound
        return items.first { matches($0.match, packet) }!
    }

    func matches(_ match: PlanMatch, _ packet: Packet) -> Bool {
        let headers = packet.headers
        if match.isUnreadable && !packet.isUnreadable && !headers.isFragment { return false }
        if let interface = match.interface, interface != packet.interface { return false }
        if let family = match.family, (family == .inet4) != (headers.family == .ipv4) { return false }
        let proto = headers.transportProtocol.rawValue
        if !match.protocols.isEmpty && !match.protocols.contains(proto) { return false }
        for (end, address, port) in [
            (match.source, headers.source, headers.sourcePort),
            (match.destination, headers.destination, headers.destinationPort),
        ] {
            let value = UInt128(address.high) << 64 | UInt128(address.low)
            if let ranges = end.addresses, !ranges.contains(where: { $0.first <= value && value <= $0.last }) {
                return false
            }
            if !end.ports.isEmpty && !end.ports.contains(where: { $0.first <= port && port <= $0.last }) {
                return false
            }
        }
        if let flags = match.flags, headers.tcpFlags.rawValue & flags.mask != flags.match { return false }
        if !match.icmpTypes.isEmpty && !match.icmpTypes.contains(headers.icmpType) { return false }
        if let code = match.icmpCode, code != headers.icmpCode { return false }
        if let mark = match.connectionMark, packet.connectionMark & (plan.marks?.mask ?? 0) != mark { return false }
        if match.lacksPayload && !(packet.lacksPayload && (proto == 6 || proto == 17)) { return false }
        let coming: TCPFlags = plan.marks?.opened == nil ? [.fin, .rst, .syn] : [.fin, .rst]
        if match.lacksPayload && !headers.tcpFlags.isDisjoint(with: coming) { return false }
        return true
    }
}
