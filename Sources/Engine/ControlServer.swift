import ControlProtocol
import SystemSupport

/// The daemon's side of the control socket: reads requests, asks `answer`, writes what it says.
///
/// Nothing here waits for a client. What one has sent or not yet taken is kept within fixed bounds; a client that
/// breaks them, or is silent for too long, is let go.
struct ControlServer: ~Copyable {
    /// Who may speak to the daemon besides root: the members of this group.
    static let group = "npflua"

    private static let maximumClients = 32
    /// Nanoseconds that a client may take between one byte and the next.
    private static let patience: UInt64 = 30_000_000_000
    /// Bytes of requests that are not whole yet, of all clients together: two of the longest.
    private static let maximumInput = 2 * ControlRequest.maximumLength

    private let listener: UnixListener
    private var clients: [Client] = []
    private var nextToken: UInt64

    /// Listens at a path.
    ///
    /// Events of its descriptors carry tokens from `firstToken` on.
    init(path: String, firstToken: UInt64, epoll: borrowing Epoll) throws {
        let listener = try UnixListener(path: path, group: Self.group)
        try epoll.add(listener.descriptor.raw, token: firstToken)
        self.listener = listener
        nextToken = firstToken + 1
    }

    /// Handles an event of the listener.
    mutating func accept(_ epoll: borrowing Epoll) {
        while let socket = try? listener.accept() {
            let client = Client(socket: socket, token: nextToken, group: Users.groupID(named: Self.group))
            nextToken += 1
            // The one that has been silent longest makes room: silent clients keep nobody out.
            if clients.count >= Self.maximumClients,
                let idlest = clients.indices.min(by: { clients[$0].lastHeard < clients[$1].lastHeard })
            {
                try? epoll.remove(clients[idlest].descriptor)
                clients.remove(at: idlest)
            }
            guard (try? epoll.add(client.descriptor, token: client.token)) != nil else { continue }
            clients.append(client)
        }
    }

    /// Handles an event of a client; false where the token is none of a client's.
    mutating func handle(
        _ event: Epoll.Event, _ epoll: borrowing Epoll, answer: (ControlRequest) -> ControlResponse
    ) -> Bool {
        guard let index = clients.firstIndex(where: { $0.token == event.token }) else { return false }
        let client = clients[index]
        let room = Self.maximumInput - clients.reduce(0) { $0 + ($1 === client ? 0 : $1.inputCount) }
        let stays = client.turn(room: min(room, ControlRequest.maximumLength), answer: answer)
        if stays {
            // Room to write is there at once, and so is the next turn for a request that has come already.
            let interest: Epoll.Interest = client.hasOutput || client.hasRequest ? .writable : .readable
            try? epoll.modify(client.descriptor, for: interest, token: client.token)
        } else {
            try? epoll.remove(client.descriptor)
            clients.remove(at: index)
        }
        return true
    }

    /// Lets clients go that have been silent for too long.
    mutating func tidy(_ epoll: borrowing Epoll) {
        let now = Clock.monotonic
        for client in clients where now - client.lastHeard > Self.patience { try? epoll.remove(client.descriptor) }
        clients.removeAll { now - $0.lastHeard > Self.patience }
    }
}

/// A connected client.
private final class Client {
    let token: UInt64
    private(set) var lastHeard: UInt64
    private let socket: UnixSocket
    private var input: [UInt8] = []
    /// The place in `input` of its first line feed; nil where there is none.
    private var lineEnd: Int?
    private var output: [UInt8] = []
    /// Bytes of `output` that the peer has taken.
    private var sent = 0
    private let isAllowed: Bool
    private var isClosing = false

    /// - Parameter group: whose members may speak, besides root and the daemon's own user.
    init(socket: consuming UnixSocket, token: UInt64, group: UInt32?) {
        isAllowed = Self.isAllowed(try? socket.peerCredentials(), group: group)
        self.socket = socket
        self.token = token
        lastHeard = Clock.monotonic
    }

    var descriptor: Int32 { socket.descriptor.raw }
    var hasOutput: Bool { !output.isEmpty }
    /// Whether a whole request has come that was not answered yet.
    var hasRequest: Bool { lineEnd != nil }
    var inputCount: Int { input.count }

    private static func isAllowed(_ peer: PeerCredentials?, group: UInt32?) -> Bool {
        guard let peer else { return false }
        if peer.userID == 0 || peer.userID == Users.effective { return true }
        guard let group else { return false }
        return Users.isMember(uid: peer.userID, gid: peer.groupID, ofGroup: group)
    }

    /// Reads, answers and writes what can be without waiting.
    ///
    /// - Parameter room: the bytes that what was read, and not answered, may have.
    /// - Returns: whether the client stays.
    func turn(room: Int, answer: (ControlRequest) -> ControlResponse) -> Bool {
        lastHeard = Clock.monotonic
        // One answer at a time: a client that does not read is not read from either.
        guard send() else { return false }
        if isClosing { return !output.isEmpty }
        guard output.isEmpty else { return true }
        if !hasRequest { guard receive(room: room) else { return false } }
        // One request a turn: others, and the watchdog, wait for this client's.
        if let line = nextLine() {
            do throws(ControlProtocolError) {
                output = answer(try ControlRequest(line: line)).line()
            } catch {
                output = ControlResponse(error: error.description).line()
            }
            // To wait for an answer is not to be silent.
            lastHeard = Clock.monotonic
        }
        return send() && !(isClosing && output.isEmpty)
    }

    /// Takes what has come.
    ///
    /// Returns false at the end of the stream.
    private func receive(room: Int) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count: Int?
        do throws(Errno) {
            var free = buffer.mutableSpan
            count = try unsafe free.withUnsafeMutableBytes { buffer throws(Errno) in
                try unsafe socket.read(into: buffer)
            }
        } catch {
            return false
        }
        guard let count else { return true }
        guard count > 0 else { return false }
        // Refused after its first word only: one that is hung up on while it speaks would not hear why.
        guard isAllowed else {
            refuse("permission denied: the control socket is for root and group \(ControlServer.group)")
            return true
        }
        let end = buffer[..<count].firstIndex(of: UInt8(ascii: "\n"))
        lineEnd = end.map { $0 + input.count }
        input += buffer.prefix(count)
        if input.count > room && !hasRequest {
            refuse(
                room < ControlRequest.maximumLength
                    ? "other long requests are on their way: try again when they are done"
                    : "request is longer than \(room) bytes")
        }
        return true
    }

    /// Says why, and lets the peer go.
    private func refuse(_ sentence: String) {
        input = []
        lineEnd = nil
        output = ControlResponse(error: sentence).line()
        isClosing = true
    }

    private func nextLine() -> [UInt8]? {
        guard let end = lineEnd else { return nil }
        let line = Array(input[..<end])
        input.removeSubrange(...end)
        lineEnd = input.firstIndex(of: UInt8(ascii: "\n"))
        return line
    }

    /// Gives what it takes.
    ///
    /// Returns false where the peer is gone.
    private func send() -> Bool {
        while sent < output.count {
            let all = output
            do throws(Errno) {
                let count = try unsafe all.span.withUnsafeBytes { bytes throws(Errno) in
                    try unsafe socket.write(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
                }
                guard let count else { return true }
                sent += count
            } catch {
                return false
            }
        }
        (output, sent) = ([], 0)
        return true
    }
}
