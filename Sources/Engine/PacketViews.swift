public import LuaRuntime
package import Luadata
import Packet

extension LuaState {
    /// Lets scripts `require 'layouts'`: the usual protocols' headers.
    public mutating func installPacketLayouts() {
        installLayouts(PacketLayouts.library, module: "layouts")
    }
}

/// The layouts that the views of a packet have from the start, prepared for one state.
///
/// Each is prepared for the first packet that needs it: together they would be a quarter of what a state takes.
package struct PacketViews {
    /// By family, and then by what the transport header is.
    private var layouts = [8 of PreparedLayout?](repeating: nil)
    /// Held, so that the first packet finds it made.
    private let library = Self.library

    /// The layout for a packet, in the state that these views are of.
    @inline(__always)
    mutating func layout(_ headers: PacketHeaders, in state: inout LuaState) -> PreparedLayout {
        let transport =
            switch headers.transportProtocol {
            case _ where headers.isLaterFragment: 0
            case .tcp: 1
            case .udp: 2
            case .icmp, .icmpv6: 3
            default: 0
            }
        let index = (headers.family == .ipv4 ? 0 : 4) &+ transport
        return layouts[index] ?? prepare(index, in: &state)
    }

    @inline(never)
    private mutating func prepare(_ index: Int, in state: inout LuaState) -> PreparedLayout {
        let layout = state.prepare(library, at: index)
        layouts[index] = layout
        return layout
    }

    /// The marks that these layouts count from, for a packet.
    @inline(__always)
    static func marks(_ headers: PacketHeaders) -> [4 of Int32] {
        [
            0, Int32(truncatingIfNeeded: headers.transportOffset), Int32(truncatingIfNeeded: headers.payloadOffset),
            Int32(truncatingIfNeeded: headers.protocolOffset),
        ]
    }

    private enum Mark {
        static let transport = 1
        static let payload = 2
        static let transportProtocol = 3
    }

    private static let library = LayoutLibrary(all)

    /// What the names of both families' headers lead to, in the order of `layout`.
    package static let all: [Layout] = {
        let options = Layout.Field("options", .rest(offset: 20, upTo: Mark.transport))
        let ipv4 = PacketLayouts.ipv4.fields + [options]
        let ipv6 =
            PacketLayouts.ipv6.fields + [
                Layout.Field("protocol", mark: Mark.transportProtocol, .number(offset: 0, width: 8)),
                Layout.Field("ttl", .number(offset: 56, width: 8)),
                Layout.Field("extension_headers", .rest(offset: 40, upTo: Mark.transport)),
            ]
        let tcpOptions = Layout.Field(
            "tcp_options", mark: Mark.transport, .rest(offset: 20, upTo: Mark.payload))
        func transport(_ layout: Layout) -> [Layout.Field] {
            layout.fields.map { Layout.Field($0.name, mark: Mark.transport, $0.content) }
        }
        let (tcp, udp) = (transport(PacketLayouts.tcp) + [tcpOptions], transport(PacketLayouts.udp))
        return [
            ipv4, ipv4 + tcp, ipv4 + udp, ipv4 + transport(PacketLayouts.icmp),
            ipv6, ipv6 + tcp, ipv6 + udp, ipv6 + transport(PacketLayouts.icmpv6),
        ].map { Layout(name: "header", fields: $0) }
    }()
}
