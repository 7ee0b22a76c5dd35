import AddressTables
import Packet
import PacketQueue
import Ruleset
import SystemSupport

/// A worker's loop: packets out of its queue, each through the filter, the verdicts back to the kernel.
@safe
struct PacketLoop: ~Copyable {
    private var queue: PacketQueue
    private let mailbox: WorkerMailbox
    private var filter: UnsafeMutablePointer<Filter>
    private var interfaces = InterfaceTable()
    private var epoll: Epoll
    private var answers: RawSocket?
    private let answer: UnsafeMutableRawBufferPointer
    private var interfaceGeneration = 0
    private let nextQueue: UInt16?
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
        let epoll = try Epoll(capacity: 2)
        try epoll.add(queue.descriptor, token: 0)
        try epoll.add(mailbox.wake.descriptor.raw, token: 1)
        self.epoll = epoll
        self.queue = queue
        self.mailbox = mailbox
        self.answers = answers
        self.tables = tables
        nextQueue = place.nextQueue
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
        while true {
            mailbox.turns.add()
            if mailbox.hasMail || errand != nil { try takeMail() }
            let count = try queue.receive()
            let (time, clock) = (Int64(bitPattern: Clock.realtime), Int64(bitPattern: Clock.monotonic))
            unsafe filter.pointee.collectStates(now: clock)
            guard count > 0 else {
                unsafe filter.pointee.publishStates()
                if mailbox.isStopping { return }
                if errand == nil { wait() }
                continue
            }
            tables.enter()
            for index in 0..<count { decide(queue.packet(at: index), time: time, clock: clock) }
            tables.leave()
            try queue.sendVerdicts()
            unsafe filter.pointee.publishStates()
            mailbox.overruns.set(queue.overruns)
            mailbox.lostVerdicts.set(queue.lostVerdicts)
        }
    }

    @inline(__always)
    private mutating func decide(_ packet: QueuedPacket, time: Int64, clock: Int64) {
        // A batch of packets whose scripts all reach their limits is slow, not stuck.
        mailbox.turns.add()
        guard mailbox.isInspecting else { return queue.accept(packet.id) }
        guard !mailbox.isHurrying else {
            if unsafe filter.pointee.failOpen { queue.accept(packet.id) } else { queue.drop(packet.id) }
            return
        }
        let direction: Direction = packet.isInbound ? .in : .out
        let index = direction == .in ? packet.inInterface : packet.outInterface
        let (interface, name) = unsafe interfaces.find(index)
        let decision = unsafe filter.pointee.decide(
            packet.payload,
            from: PacketOrigin(
                interface: interface, interfaceIndex: index, interfaceName: name, direction: direction, time: time,
                clock: clock, mark: packet.mark, originalLength: packet.originalLength))

        if decision.isForNextWorker, let nextQueue { return queue.handOn(packet.id, to: nextQueue) }
        switch decision.verdict {
        case .pass where unsafe decision.isChanged && packet.payload.count < packet.originalLength:
            // What the queue has not shown of a packet cannot be sent.
            queue.drop(packet.id)
            unsafe filter.pointee.countTooLong()
        case .pass where decision.isChanged:
            unsafe queue.replace(packet.id, with: UnsafeRawBufferPointer(packet.payload))
        case .pass: queue.accept(packet.id)
        case .block:
            queue.drop(packet.id)
            if decision.isAnswered { refuse(packet) }
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
        let interface = packet.isInbound ? packet.inInterface : packet.outInterface
        let sent: ()? = unsafe try? answers?.send(
            UnsafeRawBufferPointer(rebasing: answer[..<length]), interface: interface)
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
            if unsafe filter.pointee.failOpen != failOpen { try queue.setFailOpen(!failOpen) }
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

    private mutating func wait() {
        _ = try? epoll.wait()
        mailbox.wake.drain()
    }
}
