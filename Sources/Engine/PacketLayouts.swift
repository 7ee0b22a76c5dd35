package import Luadata

/// The headers that scripts find ready-made, as their specifications draw them.
package enum PacketLayouts {
    /// What `require 'layouts'` gives.
    static let library = LayoutLibrary(all)

    /// IEEE Std 802.3, section 3.1.
    static let ethernet = Layout(
        "ethernet",
        """
        destination_address 6 bytes
        source_address 6 bytes
        type 16
        """)

    /// IEEE Std 802.1Q, section 9: the tag behind the addresses, and the type that follows it.
    static let vlan = Layout(
        "vlan",
        """
        tpid 16, pcp 3, dei 1, vid 12
        type 16
        """)

    /// RFC 826, with the names of IANA's "ARP Parameters"; for IPv4 over Ethernet.
    static let arp = Layout(
        "arp",
        """
        hardware_type 16, protocol_type 16
        hardware_address_length 8, protocol_address_length 8, opcode 16
        sender_hardware_address 6 bytes
        sender_protocol_address 32
        target_hardware_address 6 bytes
        target_protocol_address 32
        """)

    /// RFC 791, section 3.1; the type of service as RFC 2474 and RFC 3168 divide it.
    static let ipv4 = Layout(
        "ipv4",
        """
        version 4, ihl 4, tos 8, total_length 16
        identification 16, flags 3, fragment_offset 13
        ttl 8, protocol 8, header_checksum 16
        source_address 32
        destination_address 32
        """, parts: ["dscp": (8, 6), "ecn": (14, 2), "df": (49, 1), "mf": (50, 1)])

    /// RFC 8200, section 3.
    static let ipv6 = Layout(
        "ipv6",
        """
        version 4, traffic_class 8, flow_label 20
        payload_length 16, next_header 8, hop_limit 8
        source_address 16 bytes
        destination_address 16 bytes
        """, parts: ["dscp": (4, 6), "ecn": (10, 2)])

    /// RFC 9293, section 3.1.
    static let tcp = Layout(
        "tcp",
        """
        source_port 16, destination_port 16
        sequence_number 32
        acknowledgment_number 32
        data_offset 4, reserved 4, cwr 1, ece 1, urg 1, ack 1, psh 1, rst 1, syn 1, fin 1, window 16
        checksum 16, urgent_pointer 16
        """, parts: ["control_bits": (104, 8)])

    /// RFC 768.
    static let udp = Layout(
        "udp",
        """
        source_port 16, destination_port 16
        length 16, checksum 16
        """)

    /// RFC 792: echo messages, and what others have in the same place; the MTU is RFC 1191's.
    static let icmp = Layout(
        "icmp",
        """
        type 8, code 8, checksum 16
        identifier 16, sequence_number 16
        """, parts: ["gateway_internet_address": (32, 32), "pointer": (32, 8), "next_hop_mtu": (48, 16)])

    /// RFC 4443: echo messages, and what others have in the same place.
    static let icmpv6 = Layout(
        "icmpv6",
        """
        type 8, code 8, checksum 16
        identifier 16, sequence_number 16
        """, parts: ["mtu": (32, 32), "pointer": (32, 32)])

    /// RFC 1035, section 4.1.1; two of the reserved bits are RFC 4035's.
    static let dns = Layout(
        "dns",
        """
        id 16, qr 1, opcode 4, aa 1, tc 1, rd 1, ra 1, z 3, rcode 4
        qdcount 16, ancount 16
        nscount 16, arcount 16
        """, parts: ["ad": (26, 1), "cd": (27, 1)])

    /// RFC 3550, section 5.1.
    static let rtp = Layout(
        "rtp",
        """
        version 2, padding 1, extension 1, csrc_count 4, marker 1, payload_type 7, sequence_number 16
        timestamp 32
        ssrc 32
        """)

    /// RFC 8446, section 5.1: the start of a record.
    static let tlsRecord = Layout("tls_record", "type 8, legacy_record_version 16, length 16")

    /// RFC 8446, sections 4 and 4.1.2: a handshake message up to the length of its session's name.
    static let tlsClientHello = Layout(
        "tls_client_hello",
        """
        msg_type 8, length 24
        legacy_version 16
        random 32 bytes
        legacy_session_id_length 8
        """)

    /// RFC 4253, section 6: a binary packet, with the message number that its payload begins with (RFC 4250, section 4.1).
    static let ssh = Layout("ssh", "packet_length 32, padding_length 8, message_number 8")

    /// RFC 5905, section 7.3.
    static let ntp = Layout(
        "ntp",
        """
        leap_indicator 2, version_number 3, mode 3, stratum 8, poll 8, precision 8
        root_delay 32
        root_dispersion 32
        reference_id 32
        reference_timestamp 64
        origin_timestamp 64
        receive_timestamp 64
        transmit_timestamp 64
        """)

    /// RFC 2131, section 2, and the cookie that begins the options (section 3).
    static let dhcp = Layout(
        "dhcp",
        """
        op 8, htype 8, hlen 8, hops 8
        xid 32
        secs 16, flags 16
        ciaddr 32
        yiaddr 32
        siaddr 32
        giaddr 32
        chaddr 16 bytes
        sname 64 bytes
        file 128 bytes
        magic_cookie 32
        """)

    /// All of them, as the page of the Lua API lists them.
    package static let all = [
        ethernet, vlan, arp, ipv4, ipv6, tcp, udp, icmp, icmpv6, dns, rtp, tlsRecord, tlsClientHello, ssh, ntp, dhcp,
    ]
}

extension Layout {
    /// A layout drawn as fields one after another, `name bits` or `name count bytes`, with commas or ends of lines
    /// between them; then names for parts of these, by their offsets and widths in bits.
    fileprivate init(
        _ name: String, _ picture: String, parts: KeyValuePairs<String, (offset: Int, width: Int)> = [:]
    ) {
        var offset = 0
        var fields: [Field] = []
        for field in picture.split(whereSeparator: { $0 == "," || $0 == "\n" }) {
            let words = field.split(separator: " ")
            let size = Int(words[1])!
            let isString = words.count > 2
            fields.append(
                Field(
                    String(words[0]),
                    isString ? .string(offset: offset / 8, length: size) : .number(offset: offset, width: size)))
            offset += isString ? size * 8 : size
        }
        for (name, part) in parts { fields.append(Field(name, .number(offset: part.offset, width: part.width))) }
        self.init(name: name, fields: fields)
    }
}
