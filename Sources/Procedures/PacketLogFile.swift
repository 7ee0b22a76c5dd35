internal import CaptureFile
internal import Glibc
internal import Packet
public import SystemSupport

/// A file of the procedure `log`, for the control thread: pcapng that tcpdump and Wireshark read.
///
/// The file is made when its first packet comes, and begun anew when it is full: NAME becomes NAME.1, NAME.1 becomes NAME.2,
/// and so on, and the oldest goes. So a log never takes more than its share of the disk, and what an earlier daemon left,
/// maybe cut short, stays readable by itself.
public struct PacketLogFile: ~Copyable {
    /// Where the packets go.
    public let path: String
    /// Packets that could not be written, since the start.
    public private(set) var lostPackets: UInt64 = 0

    private let maximumSize: Int
    private let keptFiles: Int
    private let snapLength: Int
    private var descriptor: Descriptor?
    /// Bytes of the file that are whole blocks.
    private var size = 0
    private var writer: CaptureWriter
    /// Packets in `writer` that are not in the file yet.
    private var pendingPackets: UInt64 = 0
    private var failure: SystemError?

    /// Bytes that are gathered before they are written.
    private static let bufferSize = 256 << 10

    /// Prepares a log; nothing is written yet.
    ///
    /// - Parameters:
    ///   - maximumSize: bytes of a file; one that holds a single packet may be longer.
    ///   - keptFiles: how many full files are kept.
    ///   - snapLength: bytes of a packet that are written at most, as the ring has them.
    public init(path: String, maximumSize: Int = 16 << 20, keptFiles: Int = 4, snapLength: Int = 65_535) {
        self.path = path
        self.maximumSize = maximumSize
        self.keptFiles = max(keptFiles, 0)
        self.snapLength = snapLength
        writer = CaptureWriter(.pcapng, snapLength: snapLength)
    }

    /// Puts a packet into the log, with the verdict and the rule as its comment.
    ///
    /// After a failure packets are only counted, until `flush` has told of it.
    /// - Parameter rule: the rule's place and text; empty: no rule decided.
    public mutating func append(_ packet: LoggedPacket, bytes: UnsafeRawBufferPointer, rule: String) {
        let verdict = packet.isBlocked ? "block" : "pass"
        let comment = rule.isEmpty ? verdict : "\(verdict), rule: \(rule)"
        // More than the blocks of a packet and of an interface take besides the packet and the comment.
        let length = min(bytes.count, snapLength) + comment.utf8.count + 160
        if size > 0 || pendingPackets > 0, size + writer.bytes.count + length > maximumSize {
            write()
            endFile()
        }
        guard failure == nil else {
            lostPackets += 1
            return
        }
        let interface = packet.interface.description
        unsafe writer.append(
            Array(bytes), time: packet.time, interface: interface.isEmpty ? nil : interface,
            direction: packet.direction == .in ? .in : .out, originalLength: packet.originalLength, comment: comment)
        pendingPackets += 1
        if writer.bytes.count >= Self.bufferSize { write() }
    }

    /// Writes what was gathered.
    ///
    /// - Throws: `SystemError`, what went wrong first since the last call: one sentence with the path. The log goes on.
    public mutating func flush() throws(SystemError) {
        write()
        if let failure {
            self.failure = nil
            throw failure
        }
    }

    private mutating func write() {
        guard pendingPackets > 0, failure == nil else { return }
        do throws(Errno) {
            if descriptor == nil { try open() }
            let bytes = writer.takeBytes()
            try append(bytes)
            size += bytes.count
            pendingPackets = 0
        } catch {
            failure = SystemError("cannot log packets to \(path): \(error.text)", code: error)
            lostPackets += pendingPackets
            // What is in the file stays readable, and what comes later does not build on what was lost.
            if let raw = descriptor?.raw { _ = ftruncate(raw, off_t(size)) }
            writer = CaptureWriter(.pcapng, snapLength: snapLength)
            pendingPackets = 0
        }
    }

    /// The next packet begins a new file.
    private mutating func endFile() {
        descriptor = nil
        size = 0
        writer = CaptureWriter(.pcapng, snapLength: snapLength)
    }

    private mutating func open() throws(Errno) {
        try rotate()
        let path = self.path
        descriptor = try Descriptor(opening: {
            unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o640)
        })
    }

    /// Moves the files that are there out of the way.
    private func rotate() throws(Errno) {
        guard unsafe access(path, F_OK) == 0 else { return }
        guard keptFiles > 0 else {
            try Errno.check { unsafe unlink(path) }
            return
        }
        for number in stride(from: keptFiles - 1, through: 0, by: -1) {
            let old = number == 0 ? path : "\(path).\(number)"
            do throws(Errno) {
                try Errno.check { unsafe rename(old, "\(path).\(number + 1)") }
            } catch {
                if error != .noSuchEntry { throw error }
            }
        }
    }

    private mutating func append(_ bytes: [UInt8]) throws(Errno) {
        guard let raw = descriptor?.raw else { return }
        var start = 0
        while start < bytes.count {
            start += try Errno.check {
                unsafe bytes.withUnsafeBytes { unsafe Glibc.write(raw, $0.baseAddress! + start, $0.count - start) }
            }
        }
    }
}
