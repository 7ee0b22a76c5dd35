import AddressTables
import Packet
import PacketQueue
import Ruleset
import SystemSupport

/// A worker's loop: packets out of its queue, each through the filter, the verdicts back to the kernel.
@safe
struct PacketLoop: ~Copyable {
    private var queue: PacketQueue
    /// Where a burst comes in segments; its place is taken by `queue` while they are decided.
    private var segments: PacketQueue
    private let segmentQueue: UInt16
    private var isDecidingSegments = false
    /// More than a burst of datagrams has (128).
    private static let segmentsOfABurst: UInt32 = 1024
    /// The packets of `queue`, prepared; empty where that would not pay.
    private var batch = PreparedBatch(capacity: PacketQueue.capacity)
    private let mailbox: WorkerMailbox
    private var filter: UnsafeMutablePointer<Filter>
    private var interfaces = InterfaceTable()
    private var answers: RawSocket?
    private let answer: UnsafeMutableRawBufferPointer
    private var interfaceGeneration = 0
    private let nextQueue: UInt16?
    private var coalescing: Coalescing
    /// An errand that waits for packets that were copied whole enough.
    private var errand: Errand?
    /// What the tables are read in: held while a batch is decided.
    private let tables: ReaderEpochs.Reader

    /// Takes the worker's queue.
    ///
    /// - Throws: where it cannot be had, a sentence that says why.
    init(
        _ place: WorkerPlace, configuration: LoadedConfiguration, filter: PreparedFilter, mailbox: WorkerMailbox,
        answers: consuming RawSocket?
    ) throws {
        guard let tables = configuration.readers.register() else {
            throw SystemError("too many workers read the tables")
        }
        let parameters = configuration.parameters
        let queue = try PacketQueue(
            number: place.queue, maximumLength: parameters.queueLength, failOpen: parameters.failOpen,
            copyLength: configuration.copyLength)
        let segments = try PacketQueue(
            number: place.segmentQueue, maximumLength: Self.segmentsOfABurst, failOpen: parameters.failOpen,
            takesBursts: false)
        mailbox.isServing(queue.port)
        self.queue = queue
        self.segments = segments
        segmentQueue = place.segmentQueue
        self.mailbox = mailbox
        self.answers = answers
        self.tables = tables
        nextQueue = place.nextQueue
        coalescing = Coalescing(queueLength: parameters.queueLength)
        unsafe self.filter = unsafe filter.take()
        unsafe answer = .allocate(byteCount: Refusal.maximumLength, alignment: 16)
        unsafe interfaces.learn(self.filter.pointee.ruleset.interfaceNames)
    }

    deinit {
        unsafe answer.deallocate()
        unsafe PreparedFilter.free(filter)
    }

    /// Runs until it is told to stop and the queue is empty.
    mutating func run() throws(PacketQueueError) {
        var isEmpty = false
        var waiting = Coalescing.Waiting.asleep
        while true {
            mailbox.turns.add()
            if mailbox.hasMail || errand != nil { try takeMail() }
            let isStopping = mailbox.isStopping
            let isWaiting = isEmpty && errand == nil && !isStopping
            let count = try isWaiting ? queue.receive(after: waiting) : queue.receive()
            isEmpty = !queue.mayHaveMore
            let (time, clock) = (Int64(bitPattern: Clock.realtime), Int64(bitPattern: Clock.monotonic))
            unsafe filter.pointee.collectStates(now: clock)
            guard count > 0 else {
                // Having polled it sleeps, once it has looked at its mail.
                waiting = .asleep
                publish()
                if isStopping { return }
                continue
            }
            tables.enter()
            prepare(count)
            for index in 0..<count {
                try unsafe decide(queue.packet(at: index), batch[index], time: time, clock: clock)
            }
            tables.leave()
            try queue.sendVerdicts()
            // What can wait for the verdicts does.
            waiting = coalescing.note(
                batchOf: count, isBurst: queue.packet(at: 0).isSegmentationOffload, at: clock)
            publish()
        }
    }

    /// Tells the control thread what it may read at any time.
    private func publish() {
        mailbox.overruns.set(queue.overruns &+ segments.overruns)
        mailbox.lostVerdicts.set(queue.lostVerdicts &+ segments.lostVerdicts)
        // Here they are in the next worker's queue.
        mailbox.handedOn.set(unsafe filter.pointee.totals.handedOn.value)
        unsafe filter.pointee.publishStates()
    }

    /// Prepares the packets that have come, where many states or large tables make that pay.
    private mutating func prepare(_ count: Int) {
        batch.removeAll()
        guard unsafe filter.pointee.gainsFromPreparing(count) else { return }
        for index in 0..<count {
            let packet = queue.packet(at: index)
            unsafe batch.append(
                packet.payload, originalLength: packet.originalLength, interface: packet.interface,
                direction: packet.direction, for: filter.pointee)
        }
        unsafe batch.prefetch(for: filter.pointee)
    }

    /// - Parameter prepared: what was prepared of the packet, if anything.
    @inline(__always)
    private mutating func decide(
        _ packet: QueuedPacket, _ prepared: UnsafePointer<PreparedPacket>?, time: Int64, clock: Int64
    ) throws(PacketQueueError) {
        // A batch of packets whose scripts all reach their limits is slow, not stuck.
        mailbox.turns.add()
        guard mailbox.isInspecting else { return accept(packet) }
        guard !mailbox.isHurrying else {
            if unsafe filter.pointee.failOpen { accept(packet) } else { queue.drop(packet.id) }
            return
        }
        let (interface, name) = unsafe interfaces.find(packet.interface)
        let decision = unsafe filter.pointee.decide(
            packet.payload, prepared,
            from: PacketOrigin(
                interface: interface, interfaceIndex: packet.interface, interfaceName: name,
                direction: packet.direction, time: time, clock: clock, mark: packet.mark,
                originalLength: packet.originalLength))

        if decision.isForNextWorker, let nextQueue { return queue.handOn(packet.id, to: nextQueue) }
        guard decision.connectionMark == 0 else {
            // What follows for this packet as well is the kernel's to do.
            unsafe queue.decideFlow(
                packet.id, mark: packet.mark & ~filter.pointee.flowMask | decision.connectionMark)
            if decision.verdict == .block && decision.isAnswered { refuse(packet) }
            return
        }
        switch decision.verdict {
        case .pass where unsafe decision.isChanged && packet.payload.count < packet.originalLength:
            // What the queue has not shown of a packet cannot be sent.
            queue.drop(packet.id)
            unsafe filter.pointee.countTooLong()
        case .pass where decision.isChanged && packet.isSegmentationOffload && !isDecidingSegments && !packet.isTCP:
            // The kernel can cut what was sent as a burst, but not what we put in its place: its segments' checksums would
            // be wrong. Of TCP it makes them anew.
            queue.handOn(packet.id, to: segmentQueue)
            try decideSegments(time: time, clock: clock)
        case .pass where decision.isChanged:
            unsafe queue.replace(packet.id, with: UnsafeRawBufferPointer(packet.payload), mark: ownMark(of: packet))
        case .pass: accept(packet)
        case .block:
            queue.drop(packet.id)
            if decision.isAnswered { refuse(packet) }
        }
    }

    @inline(__always)
    private mutating func accept(_ packet: QueuedPacket) {
        if let mark = ownMark(of: packet) {
            queue.accept(packet.id, mark: mark)
        } else {
            queue.accept(packet.id)
        }
    }

    /// The mark that a packet had before the kernel told by it that a connection has begun; nil where it did not.
    ///
    /// What comes after our rules, a choice of routes by the mark for one, is not to see that.
    @inline(__always)
    private func ownMark(of packet: QueuedPacket) -> UInt32? {
        unsafe filter.pointee.isOpening(packet.mark) ? packet.mark & ~filter.pointee.flowMask : nil
    }

    /// Decides the segments of a burst that was just handed on, before what came behind it.
    ///
    /// The kernel has them in their queue when it has taken the verdict.
    @inline(never)
    private mutating func decideSegments(time: Int64, clock: Int64) throws(PacketQueueError) {
        try queue.sendVerdicts()
        swap(&queue, &segments)
        isDecidingSegments = true
        defer {
            isDecidingSegments = false
            swap(&queue, &segments)
        }
        while true {
            let count = try queue.receive()
            if count == 0 { return }
            // What is prepared is of the batch that the burst came in.
            for index in 0..<count { try unsafe decide(queue.packet(at: index), nil, time: time, clock: clock) }
            try queue.sendVerdicts()
        }
    }

    /// Tells the sender of a blocked packet.
    private mutating func refuse(_ packet: QueuedPacket) {
        let parsed = unsafe try? PacketHeaders(
            parsing: packet.payload.bytes, originalLength: packet.originalLength)
        guard let headers = parsed else { return }
        var buffer = unsafe answer.mutableBytes
        let length = unsafe Refusal.write(answering: packet.payload.bytes, headers: headers, into: &buffer)
        guard length > 0 else { return }
        // An answer that cannot be sent is lost like any other packet.
        let sent: ()? = unsafe try? answers?.send(
            UnsafeRawBufferPointer(rebasing: answer[..<length]), interface: packet.interface)
        if sent != nil { unsafe filter.pointee.countAnswer() }
    }

    /// Does what the control thread has for this worker.
    private mutating func takeMail() throws(PacketQueueError) {
        if let new = mailbox.takeErrand() {
            errand = new
            if let wanted = new.copyLength, wanted > queue.copyLength { try queue.setCopyLength(wanted) }
        }
        // A filter that looks further than the one before gets no packet that was copied for that one.
        if let errand, (errand.copyLength ?? 0) <= queue.assuredCopyLength {
            self.errand = nil
            let failOpen = unsafe filter.pointee.failOpen
            unsafe errand.work(&filter)
            if unsafe filter.pointee.failOpen != failOpen {
                try queue.setFailOpen(!failOpen)
                try segments.setFailOpen(!failOpen)
            }
            if let enough = errand.copyLength, enough < queue.copyLength { try queue.setCopyLength(enough) }
            unsafe interfaces.learn(filter.pointee.ruleset.interfaceNames)
            unsafe filter.pointee.publishStates()
            mailbox.finishErrand()
        }
        let generation = mailbox.interfaceGeneration
        if generation != interfaceGeneration {
            interfaceGeneration = generation
            interfaces.forget()
        }
    }
}

extension QueuedPacket {
    fileprivate var direction: Direction { isInbound ? .in : .out }

    /// The index of the interface at which it is queued.
    fileprivate var interface: UInt32 { isInbound ? inInterface : outInterface }

    /// Whether TCP follows the fixed part of the IP header.
    ///
    /// Part of the packet path.
    fileprivate var isTCP: Bool {
        guard let first = unsafe payload.first, unsafe payload.count >= 20 else { return false }
        return unsafe payload[first >> 4 == 4 ? 9 : 6] == IPProtocol.tcp.rawValue
    }
}
