import ConfigLanguage
import Packet

/// Of the packets of TCP and UDP that a list of items is asked about, those that no item but its last is about, as far
/// as protocol, ports and addresses tell.
///
/// Most packets are such, and one program, or one rule with sets, tells them from the others. It says less than it
/// could, never more: of each item it looks at one criterion, and asks for all that meet it.
struct PlanRemainder: Equatable {
    /// TCP and UDP, as far as all of their packets are not another item's.
    private(set) var protocols: [UInt8] = [6, 17]
    /// The ports that packets of other items come from.
    private(set) var sourcePorts: [NumberRange<UInt16>] = []
    /// The ports that such go to, of packets from all other ports.
    private(set) var destinationPorts: [NumberRange<UInt16>] = []
    /// The addresses that packets of other items come from.
    private(set) var sourceAddresses: [AddressRange] = []
    /// The addresses that such go to, of packets from all other addresses.
    private(set) var destinationAddresses: [AddressRange] = []

    /// What it costs to tell it, counted in elements of sets.
    var size: Int {
        sourcePorts.count + destinationPorts.count + sourceAddresses.count + destinationAddresses.count
    }

    /// All packets of TCP and UDP.
    init() {}

    /// What a list's last item alone is about, of a family; nil where nothing is left.
    ///
    /// Two things are not looked at: whether a packet can be read, and whether its flow has been blocked.
    init?(of items: some Collection<PlanItem>, _ family: Configuration.Family, blocked: UInt32?) {
        for match in items.dropLast().map(\.match) where match.family == nil || match.family == family {
            let concerned = match.protocols.isEmpty ? protocols : protocols.filter(match.protocols.contains)
            if match.isUnreadable || concerned.isEmpty { continue }
            if let mark = match.connectionMark, mark == blocked, match == .any.marked(mark) { continue }
            if !match.source.ports.isEmpty {
                sourcePorts += match.source.ports
            } else if !match.destination.ports.isEmpty {
                destinationPorts += match.destination.ports
            } else if let addresses = match.source.addresses {
                sourceAddresses += addresses
            } else if let addresses = match.destination.addresses {
                destinationAddresses += addresses
            } else {
                protocols.removeAll(where: concerned.contains)
            }
        }
        guard !protocols.isEmpty else { return nil }
        (sourcePorts, destinationPorts) = (NumberRange.merged(sourcePorts), NumberRange.merged(destinationPorts))
        sourceAddresses = AddressRange.merged(sourceAddresses)
        destinationAddresses = AddressRange.merged(destinationAddresses)
    }
}
