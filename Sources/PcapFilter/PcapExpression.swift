internal import CPcap
public import Packet
internal import Synchronization

/// Why an expression cannot be compiled: libpcap's own words, or one sentence.
public struct PcapExpressionError: Error, Equatable, CustomStringConvertible, Sendable {
    /// The words.
    public let description: String
}

/// The language of pcap-filter(7): what `pcap-filter "…"` has between its quotes.
public enum PcapExpression {
    /// Bytes of a packet that a program says it wants of one that matches; of others it says 0.
    public static let snapLength = 65_535

    // Before 1.8 the parser of libpcap kept its state in global variables.
    private static let compiler = Mutex<Void>(())

    /// Compiles an expression to a program for packets that begin with their IPv4 or IPv6 header (DLT_RAW).
    ///
    /// Not for the packet path. Names of hosts and networks are those of /etc/hosts and /etc/networks: from the first
    /// expression on the process asks no name server any more, for as long as that may take.
    /// - Returns: the program, optimized; it ends at a `ret`, and jumps only forwards and within itself.
    /// - Throws: `PcapExpressionError`.
    public static func compile(_ expression: String) throws(PcapExpressionError) -> [BPFInstruction] {
        // Of no expression libpcap makes a program that matches all, and it would read one up to a NUL only.
        guard expression.contains(where: { !$0.isWhitespace }) else {
            throw PcapExpressionError(description: "the expression is empty; write one such as `tcp port 22`")
        }
        guard !expression.utf8.contains(0) else {
            throw PcapExpressionError(description: "the expression contains a NUL character")
        }
        return try compiler.withLock { _ throws(PcapExpressionError) in try compileAlone(expression) }
    }

    /// Has the C library look for hosts and networks in files alone, as nsswitch.conf(5) would.
    private static func stayOffline() throws(PcapExpressionError) {
        for database in ["hosts", "networks"] {
            guard unsafe __nss_configure_lookup(database, "files") == 0 else {
                throw PcapExpressionError(description: "no memory is left to compile it")
            }
        }
    }

    private static func compileAlone(_ expression: String) throws(PcapExpressionError) -> [BPFInstruction] {
        guard let library = unsafe PcapLibrary.shared else {
            throw PcapExpressionError(description: "`pcap-filter` needs libpcap: install the package libpcap0.8")
        }
        try stayOffline()
        guard let handle = unsafe library.openDead(DLT_RAW, CInt(snapLength)) else {
            throw PcapExpressionError(description: "no memory is left to compile it")
        }
        defer { unsafe library.close(handle) }
        var program = unsafe bpf_program()
        guard unsafe library.compile(handle, &program, expression, 1, PCAP_NETMASK_UNKNOWN) == 0 else {
            let message = unsafe String(cString: library.message(handle))
            let isName = message.hasPrefix("unknown host") || message.hasPrefix("unknown network")
            throw PcapExpressionError(
                description: isName ? "\(message): name servers are not asked; write its address" : message)
        }
        defer { unsafe library.freeCode(&program) }
        return unsafe UnsafeBufferPointer(start: program.bf_insns, count: Int(program.bf_len)).map {
            BPFInstruction(code: $0.code, jt: $0.jt, jf: $0.jf, k: $0.k)
        }
    }
}
