/// The names of numbers that the language knows; IANA's registries but where a table says otherwise.
package enum WellKnown {
    /// The letters of the TCP flags from the lowest bit on (RFC 9293, section 3.1; RFC 3168 for `E` and `W`).
    static let tcpFlags = "FSRPAUEW"

    package static let protocols: [String: UInt8] = [
        "icmp": 1, "igmp": 2, "ipencap": 4, "ipip": 4, "tcp": 6, "egp": 8, "igp": 9, "udp": 17, "dccp": 33, "ipv6": 41,
        "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58,
        "ipv6-nonxt": 59, "ipv6-opts": 60, "eigrp": 88, "ospf": 89, "etherip": 97, "pim": 103, "ipcomp": 108,
        "vrrp": 112, "carp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
    ]

    /// The names of ports; the first of several names of one port is the one it is called by.
    package static let services: KeyValuePairs<String, UInt16> = [
        "echo": 7, "discard": 9, "daytime": 13, "ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25,
        "time": 37, "whois": 43, "tacacs": 49, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "gopher": 70,
        "finger": 79, "http": 80, "www": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "auth": 113, "ident": 113,
        "nntp": 119, "ntp": 123, "epmap": 135, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139, "imap": 143,
        "imap2": 143, "snmp": 161, "snmptrap": 162, "snmp-trap": 162, "bgp": 179, "irc": 194, "ldap": 389, "https": 443,
        "microsoft-ds": 445, "kpasswd": 464, "submissions": 465, "isakmp": 500, "exec": 512, "login": 513,
        "syslog": 514,
        "shell": 514, "printer": 515, "rip": 520, "dhcpv6-client": 546, "dhcpv6-server": 547, "rtsp": 554,
        "submission": 587, "ipp": 631, "ldaps": 636, "domain-s": 853, "rsync": 873, "ftps-data": 989, "ftps": 990,
        "telnets": 992, "imaps": 993, "pop3s": 995, "socks": 1080, "openvpn": 1194, "ms-sql-s": 1433, "l2tp": 1701,
        "pptp": 1723, "radius": 1812, "radius-acct": 1813, "mqtt": 1883, "nfs": 2049, "mysql": 3306,
        "ms-wbt-server": 3389, "stun": 3478, "ipsec-nat-t": 4500, "sip": 5060, "sip-tls": 5061, "xmpp-client": 5222,
        "xmpp-server": 5269, "mdns": 5353, "postgresql": 5432, "amqp": 5672, "x11": 6000, "redis": 6379, "ircd": 6667,
        "http-alt": 8080,
    ]

    package static let ports = Dictionary(uniqueKeysWithValues: services.map { ($0.key, $0.value) })

    /// The names of ICMP types by protocol, in the spelling of NetBSD's tools.
    package static let icmpTypes: [UInt8: [String: UInt8]] = [
        1: [
            "echoreply": 0, "unreach": 3, "sourcequench": 4, "redir": 5, "althost": 6, "echo": 8, "routeradv": 9,
            "routersol": 10, "timxceed": 11, "paramprob": 12, "timereq": 13, "timerep": 14, "inforeq": 15,
            "inforep": 16, "maskreq": 17, "maskrep": 18,
        ],
        58: [
            "unreach": 1, "toobig": 2, "timxceed": 3, "paramprob": 4, "echo": 128, "echoreq": 128, "echoreply": 129,
            "echorep": 129, "listqry": 130, "listenrep": 131, "listendone": 132, "routersol": 133, "routeradv": 134,
            "neighborsol": 135, "neighbrsol": 135, "neighboradv": 136, "neighbradv": 136, "redir": 137,
        ],
    ]

    /// The names of ICMP codes by protocol and type, in the spelling of NetBSD's tools.
    package static let icmpCodes: [UInt8: [UInt8: [String: UInt8]]] = [
        1: [
            3: [
                "net-unr": 0, "host-unr": 1, "proto-unr": 2, "port-unr": 3, "needfrag": 4, "srcfail": 5, "net-unk": 6,
                "host-unk": 7, "isolate": 8, "net-prohib": 9, "host-prohib": 10, "net-tos": 11, "host-tos": 12,
                "filter-prohib": 13, "host-preced": 14, "cutoff-preced": 15,
            ],
            5: ["redir-net": 0, "redir-host": 1, "redir-tos-net": 2, "redir-tos-host": 3],
            11: ["transit": 0, "reassemb": 1],
            12: ["badhead": 0, "optmiss": 1, "badlen": 2],
        ],
        58: [
            1: ["noroute": 0, "admin": 1, "beyond": 2, "addr": 3, "port": 4],
            3: ["transit": 0, "reassemb": 1],
            4: ["badhead": 0, "nxthdr": 1],
        ],
    ]
}
