public import ConfigLanguage
public import Packet
import Procedures
import Ruleset
import SystemSupport

/// A filter for packets that no queue delivers: captured ones, and described ones.
public struct OfflineFilter: ~Copyable {
    package var filter: Filter
    /// What the scripts say, without a bound on its rate.
    let messages: ScriptLog
    /// Numbers for the interfaces that have come up, as a kernel would have some.
    private var interfaces: [String: UInt32] = [:]

    /// Makes a filter with fresh states and counters, which does the same each time.
    ///
    /// - Throws: `ConfigurationErrors` where a script cannot be loaded.
    public init(_ configuration: LoadedConfiguration) throws(ConfigurationErrors) {
        let totals = TotalCounters()
        let messages = ScriptLog(totals: totals, interval: 0)
        filter = try Filter(configuration, totals: totals, messages: messages, log: PacketLog(), seed: 0, clock: 0)
        self.messages = messages
    }

    /// Decides a packet, which starts with its IP header; a procedure may change it.
    ///
    /// - Parameters:
    ///   - interface: the interface's name; nil where it is not known.
    ///   - time: nanoseconds since 1970.
    ///   - clock: nanoseconds on a clock that does not go back.
    public mutating func decide(
        _ packet: inout [UInt8], on interface: String?, _ direction: Direction, time: Int64, clock: Int64
    ) -> Decision {
        filter.collectStates(now: clock)
        return unsafe withOrigin(on: interface, direction, time: time, clock: clock) { filter, origin in
            unsafe packet.withUnsafeMutableBytes { unsafe filter.decide($0, from: origin) }
        }
    }

    /// Calls `body` with the filter and the origin that packets of an interface have.
    mutating func withOrigin<Result>(
        on interface: String?, _ direction: Direction, time: Int64, clock: Int64,
        _ body: (inout Filter, PacketOrigin) -> Result
    ) -> Result {
        let name = InterfaceName(interface ?? "")
        let known = filter.ruleset.interfaceNames
        let number = interface.flatMap { known.firstIndex(of: $0) }.map { UInt16($0 + 1) } ?? 0
        let index = interface.map { name in interfaces[name] ?? UInt32(interfaces.count + 1) } ?? 0
        if let interface { interfaces[interface] = index }
        return unsafe withUnsafeBytes(of: name) { text in
            unsafe body(
                &filter,
                PacketOrigin(
                    interface: number, interfaceIndex: index,
                    interfaceName: text.baseAddress!.assumingMemoryBound(to: CChar.self), direction: direction,
                    time: time, clock: clock))
        }
    }
}
