public import ConfigLanguage
public import Packet

/// A configuration compiled for the packet path; immutable.
///
/// The entries are the groups' headers and the rules in pre-order with the default group last; a header has the index
/// behind its group. So a walk runs over one array of plain memory, forwards.
@safe
public final class CompiledRuleset: @unchecked Sendable {  // its buffers are written by the initializer only
    /// The `set` parameters.
    public let parameters: Parameters
    /// The procedures; `Match.procedure` is an index.
    public let procedures: [Procedure]
    /// What to show of every entry; the index is `Match.entry`, so the first stands for "no rule matched".
    public let rules: [RuleDescription]
    /// The interfaces that the configuration names; an interface's id is its index plus 1.
    public let interfaceNames: [String]

    private let configuration: Configuration
    private let entries: UnsafeBufferPointer<Entry>
    private let addresses: UnsafeBufferPointer<NumberRange<UInt128>>
    private let ports: UnsafeBufferPointer<NumberRange<UInt16>>
    private let protocols: UnsafeBufferPointer<NumberRange<UInt8>>
    private let blocksUnmatched: Bool

    /// Compiles `configuration`.
    ///
    /// - Throws: A diagnostic for what only shows in the whole, such as a procedure's limit beyond the `set` one.
    public convenience init(compiling configuration: Configuration) throws(ConfigurationErrors) {
        do throws(Diagnostic) {
            self.init(configuration, try RulesetCompiler(configuration), blocksUnmatched: true)
        } catch {
            throw ConfigurationErrors(error)
        }
    }

    /// No rules at all: every packet passes, as in NPF after `flush`.
    public static let empty: CompiledRuleset = {
        let configuration = Configuration.empty
        do throws(Diagnostic) {
            return CompiledRuleset(configuration, try RulesetCompiler(configuration), blocksUnmatched: false)
        } catch {
            preconditionFailure("the empty configuration has nothing to refuse")
        }
    }()

    private init(_ configuration: Configuration, _ compiler: RulesetCompiler, blocksUnmatched: Bool) {
        self.configuration = configuration
        self.blocksUnmatched = blocksUnmatched
        parameters = compiler.parameters
        procedures = compiler.procedures
        rules = compiler.descriptions
        interfaceNames = compiler.interfaceNames
        unsafe entries = Self.copy(compiler.entries)
        unsafe addresses = Self.copy(compiler.addresses)
        unsafe ports = Self.copy(compiler.ports)
        unsafe protocols = Self.copy(compiler.protocols)
    }

    deinit {
        unsafe entries.deallocate()
        unsafe addresses.deallocate()
        unsafe ports.deallocate()
        unsafe protocols.deallocate()
    }

    private static func copy<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeBufferPointer<Element> {
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: elements.count)
        _ = unsafe buffer.initialize(fromContentsOf: elements)
        return UnsafeBufferPointer(buffer)
    }

    /// The configuration in canonical form, as `npfctl validate` and `npfctl show` print it.
    ///
    /// - Parameter annotation: Text to append as a comment to the line of the entry with this number; empty for none.
    public func canonicalText(annotation: (Int) -> String = { _ in "" }) -> String {
        configuration.text(annotation: annotation)
    }
}

// MARK: The packet path

extension CompiledRuleset {
    /// The decision about a packet: the walk of NPF's rules.
    ///
    /// The last rule that matches decides, unless a `final` one matched before. A group is entered if its header matches
    /// and no rule did yet: once one did, the next group ends the walk.
    ///
    /// - Parameter interface: The packet's interface as an id of this ruleset, 0 for one that no rule names.
    /// - Complexity: O(entries), and logarithmic in the length of a rule's lists.
    public func evaluate(_ headers: PacketHeaders, interface: UInt16, direction: Direction) -> Match {
        let packet = PacketFacts(headers, interface: interface, direction: direction)
        var best = -1
        var index = 0
        while index < (unsafe entries.count) {
            let entry = unsafe entries.baseAddress.unsafelyUnwrapped + index
            let isGroup = unsafe entry.pointee.isGroup
            if isGroup && best >= 0 { break }
            if unsafe matches(entry, packet) {
                if !isGroup {
                    best = index
                    if unsafe entry.pointee.isFinal { break }
                }
            } else if isGroup {
                index = unsafe Int(entry.pointee.end)
                continue
            }
            index += 1
        }
        guard best >= 0 else {
            return Match(entry: 0, blocks: blocksUnmatched, returnPolicy: .none, procedure: -1)
        }
        let entry = unsafe entries.baseAddress.unsafelyUnwrapped + best
        return unsafe Match(
            entry: Int32(truncatingIfNeeded: best + 1), blocks: entry.pointee.blocks,
            returnPolicy: entry.pointee.returnPolicy, procedure: entry.pointee.procedure)
    }

    @inline(always)
    private func matches(_ pointer: UnsafePointer<Entry>, _ packet: PacketFacts) -> Bool {
        guard unsafe pointer.pointee.key.matches(packet.key) else { return false }
        if unsafe pointer.pointee.protocolCount > 0 {
            guard
                unsafe Self.contains(
                    protocols, pointer.pointee.firstProtocol, pointer.pointee.protocolCount, packet.transportProtocol)
            else { return false }
        }
        return unsafe matches(pointer.pointee.source, address: packet.source, port: packet.sourcePort)
            && matches(pointer.pointee.destination, address: packet.destination, port: packet.destinationPort)
    }

    @inline(always)
    private func matches(_ test: EndpointTest, address: UInt128, port: UInt16) -> Bool {
        if test.portCount > 0 {
            guard unsafe Self.contains(ports, test.firstPort, test.portCount, port) else { return false }
        }
        guard test.addressCount > 0 else { return true }
        return unsafe Self.contains(addresses, test.firstAddress, test.addressCount, address) != test.isNegated
    }

    /// Whether `number` is in one of the `count` ranges from `first` on, which ascend.
    @inline(always)
    private static func contains<Number>(
        _ ranges: UnsafeBufferPointer<NumberRange<Number>>, _ first: Int32, _ count: Int32, _ number: Number
    ) -> Bool {
        let base = unsafe ranges.baseAddress.unsafelyUnwrapped + Int(first)
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

/// A packet's headers in the form of the entries' criteria.
private struct PacketFacts {
    let key: UInt64
    let source: UInt128
    let destination: UInt128
    let sourcePort: UInt16
    let destinationPort: UInt16
    let transportProtocol: UInt8

    @inline(always)
    init(_ headers: PacketHeaders, interface: UInt16, direction: Direction) {
        let icmp = UInt16(headers.icmpType) << 8 | UInt16(headers.icmpCode)
        key =
            KeyField.interface.bits(interface) | KeyField.icmp.bits(icmp)
            | KeyField.flags.bits(headers.tcpFlags.rawValue)
            | KeyField.transportProtocol.bits(headers.transportProtocol.rawValue)
            | KeyField.direction.bits(direction.rawValue) | KeyField.isIPv6.bits(headers.family == .ipv6 ? 1 : 0)
            | KeyField.isLaterFragment.bits(headers.isLaterFragment ? 1 : 0)
        source = UInt128(headers.source.high) << 64 | UInt128(headers.source.low)
        destination = UInt128(headers.destination.high) << 64 | UInt128(headers.destination.low)
        sourcePort = headers.sourcePort
        destinationPort = headers.destinationPort
        transportProtocol = headers.transportProtocol.rawValue
    }
}
