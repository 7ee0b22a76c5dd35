extension KernelPlan {
    /// Our table, in the family of IPv4 and IPv6.
    private static let table = nftablesTable.joined(separator: " ")

    /// The family and the name of our table, as arguments of `nft list table`.
    public static let nftablesTable = ["inet", "npflua"]

    /// The plan as one transaction for `nft -f -`.
    ///
    /// It installs, and updates what is installed.
    public var nftables: String {
        // The hash is over addresses and ports, and the same for both directions of a flow.
        let target =
            queues.count == 1 ? "\(queues.lowerBound)" : "symhash mod \(queues.count) offset \(queues.lowerBound)"
        let queue = (failOpen ? "queue flags bypass to " : "queue to ") + target
        // To ask for a packet's state is to ask for connection tracking, and that puts fragments together before they come
        // here: a script would see none of what a later fragment carries.
        return Self.nftablesIdle + """
            add rule \(Self.table) inbound ct state invalid counter
            add rule \(Self.table) outbound meta mark \(Self.answerMark) counter accept
            add rule \(Self.table) inbound iifname != "lo" counter \(queue)
            add rule \(Self.table) outbound oifname != "lo" counter \(queue)

            """
    }

    /// For `nft -f -`: the table with empty chains.
    ///
    /// Packets pass untouched.
    public static var nftablesIdle: String {
        """
        add table \(table)
        add chain \(table) inbound { type filter hook prerouting priority mangle; policy accept; }
        add chain \(table) outbound { type filter hook postrouting priority mangle; policy accept; }
        flush chain \(table) inbound
        flush chain \(table) outbound

        """
    }

    /// For `nft -f -`: removes the table, whether it is there or not.
    public static var nftablesRemoval: String {
        """
        add table \(table)
        delete table \(table)

        """
    }
}
