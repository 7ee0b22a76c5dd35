import CAllocationCounter
import Glibc
import PacketQueue
import SystemSupport
import Testing

@Suite(.serialized, .enabled(if: runsLive, "NPFLUA_SKIP_LIVE=1"))
struct LiveQueueTests {
    private static let number: UInt16 = 2014

    /// Sends what leaves by the port of `Loopback` to the queue.
    private static func queueDatagrams() throws {
        try run(
            "iptables", "-w", "-t", "mangle", "-A", "OUTPUT", "-p", "udp", "--dport", "\(Loopback.port)",
            "-j", "NFQUEUE", "--queue-num", "\(number)")
    }

    /// Takes all that waits and gives each packet a verdict.
    private static func serve(
        _ queue: inout PacketQueue, _ verdict: (inout PacketQueue, QueuedPacket) -> Void
    ) throws -> Int {
        var total = 0
        while true {
            let count = try queue.receive()
            if count == 0 { return total }
            for index in 0..<count { verdict(&queue, queue.packet(at: index)) }
            try queue.sendVerdicts()
            total += count
        }
    }

    /// The first byte of a queued UDP datagram.
    private static func tag(_ packet: QueuedPacket) -> UInt8 { unsafe packet.payload[28] }

    @Test func acceptPassesDropDropsAndReplaceReplaces() throws {
        let arrived = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            let loopback = try Loopback()
            for tag in UInt8(0)..<9 { try loopback.send([tag, 1, 2, 3]) }
            let before = loopback.receiveAll().count
            _ = try Self.serve(&queue) { queue, packet in
                switch Self.tag(packet) % 3 {
                case 0: queue.accept(packet.id)
                case 1: queue.drop(packet.id)
                default:
                    // Without a UDP checksum, as RFC 768 allows.
                    unsafe packet.payload.storeBytes(of: 0, toByteOffset: 26, as: UInt16.self)
                    unsafe packet.payload.storeBytes(of: 0xff, toByteOffset: 31, as: UInt8.self)
                    unsafe queue.replace(packet.id, with: UnsafeRawBufferPointer(packet.payload))
                }
            }
            return [[UInt8(before)]] + loopback.receiveAll()
        }
        #expect(
            arrived == [
                [0], [0, 1, 2, 3], [2, 1, 2, 0xff], [3, 1, 2, 3], [5, 1, 2, 0xff], [6, 1, 2, 3], [8, 1, 2, 0xff],
            ])
    }

    @Test func verdictMayChangeThePacketsMark() throws {
        let arrived = try inNewNamespace {
            try Self.queueDatagrams()
            try run("iptables", "-w", "-t", "mangle", "-A", "POSTROUTING", "-m", "mark", "--mark", "7", "-j", "DROP")
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            let loopback = try Loopback()
            for tag in UInt8(0)..<4 { try loopback.send([tag]) }
            _ = try Self.serve(&queue) { queue, packet in
                let mark: UInt32 = Self.tag(packet) % 2 == 0 ? 7 : 8
                if Self.tag(packet) < 2 {
                    queue.accept(packet.id, mark: mark)
                } else {
                    // Without a UDP checksum, as RFC 768 allows.
                    unsafe packet.payload.storeBytes(of: 0, toByteOffset: 26, as: UInt16.self)
                    unsafe queue.replace(packet.id, with: UnsafeRawBufferPointer(packet.payload), mark: mark)
                }
            }
            return loopback.receiveAll()
        }
        #expect(arrived == [[1], [3]])
    }

    @Test func waitingEndsWithAPacketOrWhenItIsEnded() throws {
        let (counts, woken, arrived) = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            let loopback = try Loopback()
            let waker = try QueueWaker()
            // One that came before the waiting ends it as well.
            waker.wake(queue.port)
            var counts = [try queue.receive(waiting: true)]
            try loopback.send([1])
            waker.wake(queue.port)
            counts.append(try queue.receive(waiting: true))
            queue.accept(queue.packet(at: 0).id)
            counts.append(try queue.receive())
            let port = queue.port
            let begin = Clock.monotonic
            let other = try WorkerThread(name: "waker") {
                usleep(50_000)
                waker.wake(port)
            }
            counts.append(try queue.receive(waiting: true))
            let woken = Clock.monotonic - begin
            other.join()
            return (counts, woken, loopback.receiveAll())
        }
        #expect(counts == [0, 1, 0, 0])
        #expect(woken >= 50_000_000)
        #expect(arrived == [[1]])
    }

    @Test func aReplacedPacketMayBeLongerOrTooLong() throws {
        let arrived = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            let loopback = try Loopback()
            for tag in UInt8(0)..<3 { try loopback.send([tag]) }
            _ = try Self.serve(&queue) { queue, packet in
                switch Self.tag(packet) {
                case 0:
                    var longer = unsafe Array(packet.payload) + [7, 8]
                    longer[3] += 2
                    longer[25] += 2
                    (longer[26], longer[27]) = (0, 0)
                    (longer[10], longer[11]) = (0, 0)
                    var sum = stride(from: 0, to: 20, by: 2).reduce(0) {
                        $0 + Int(longer[$1]) << 8 + Int(longer[$1 + 1])
                    }
                    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
                    (longer[10], longer[11]) = (UInt8(~sum >> 8 & 0xff), UInt8(~sum & 0xff))
                    unsafe longer.withUnsafeBytes { unsafe queue.replace(packet.id, with: $0) }
                case 1:
                    let tooLong = [UInt8](repeating: 0x45, count: 65_532)
                    unsafe tooLong.withUnsafeBytes { unsafe queue.replace(packet.id, with: $0) }
                default: queue.accept(packet.id)
                }
            }
            return loopback.receiveAll()
        }
        #expect(arrived == [[0, 7, 8], [2]])
    }

    @Test func tellsWhatThePacketIs() throws {
        try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            let loopback = try Loopback(mark: 0xbeef)
            try loopback.send([1, 2, 3])
            let count = try queue.receive()
            let packet = queue.packet(at: 0)
            let said =
                unsafe "\(packet.id) \(packet.hook) \(packet.isInbound) \(packet.hardwareProtocol) "
                + "\(packet.inInterface) \(packet.outInterface == Interfaces.index(name: "lo")) \(packet.mark) "
                + "\(packet.payload.count) \(packet.originalLength) \(packet.payload[0])"
            guard count == 1, said == "1 3 false 2048 0 true 48879 31 31 69" else {
                throw CommandFailed(description: "\(count) packets: \(said)")
            }
        }
    }

    @Test func everyPacketOfALargeBurstGetsItsVerdict() throws {
        let (arrived, counters, overruns) = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 2000, failOpen: false)
            let loopback = try Loopback()
            for number in 0..<1000 { try loopback.send([UInt8(number & 0xff), UInt8(number >> 8)]) }
            let served = try Self.serve(&queue) { queue, packet in
                if Self.tag(packet) % 10 == 3 { queue.drop(packet.id) } else { queue.accept(packet.id) }
            }
            guard served == 1000 else { throw CommandFailed(description: "\(served) packets") }
            return (loopback.receiveAll(), PacketQueue.kernelCounters(of: Self.number...Self.number), queue.overruns)
        }
        let expected = (0..<1000).filter { ($0 & 0xff) % 10 != 3 }.map { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
        #expect(arrived == expected)
        #expect(counters?.queued == 0 && counters?.sequence == 1000 && counters?.droppedSocketFull == 0)
        #expect(overruns == 0)
    }

    @Test func verdictsOutOfTurnHitNobodyElse() throws {
        let (first, second) = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            let loopback = try Loopback()
            for tag in UInt8(0)..<6 { try loopback.send([tag]) }
            _ = try queue.receive()
            let ids = (0..<6).map { queue.packet(at: $0).id }
            // An accept of a later one must not take along the ones before it.
            queue.accept(ids[5])
            queue.accept(ids[4])
            try queue.sendVerdicts()
            let first = loopback.receiveAll()
            queue.drop(ids[0])
            queue.accept(ids[1])
            queue.accept(ids[1] &+ 1000)
            // 2 and 3 get none: the next receive() drops them.
            _ = try queue.receive()
            let left = PacketQueue.kernelCounters(of: Self.number...Self.number)?.queued
            return (first, [[UInt8(left ?? 99)]] + loopback.receiveAll())
        }
        #expect(first == [[5], [4]])
        #expect(second == [[0], [1]])
    }

    @Test func aFullQueueIsClosedOrOpen() throws {
        let (closed, open) = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 10, failOpen: false)
            let loopback = try Loopback()
            for tag in UInt8(0)..<20 { try loopback.send([tag]) }
            _ = try Self.serve(&queue) { queue, packet in queue.accept(packet.id) }
            let closed = loopback.receiveAll().map { $0[0] }
            guard PacketQueue.kernelCounters(of: Self.number...Self.number)?.droppedQueueFull == 10 else {
                throw CommandFailed(description: "not counted")
            }
            try queue.setFailOpen(true)
            for tag in UInt8(0)..<20 { try loopback.send([tag]) }
            _ = try Self.serve(&queue) { queue, packet in queue.accept(packet.id) }
            return (closed, loopback.receiveAll().map { $0[0] })
        }
        #expect(closed == Array(0..<10))
        #expect(open == Array(10..<20) + Array(0..<10), "those that found it full went ahead")
    }

    @Test func aDecidedFlowsPacketMeetsTheChainAgainWithItsMark() throws {
        let (arrived, left) = try inNewNamespace {
            for (mark, target) in [("0x80000000", "DROP"), ("0x40000000", "ACCEPT")] {
                try run(
                    "iptables", "-w", "-t", "mangle", "-A", "OUTPUT", "-m", "mark", "--mark", "\(mark)/0xc0000000",
                    "-j",
                    target)
            }
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            let loopback = try Loopback()
            for tag in UInt8(0)..<8 { try loopback.send([tag]) }
            let served = try Self.serve(&queue) { queue, packet in
                switch Self.tag(packet) {
                case 2, 3: queue.decideFlow(packet.id, mark: packet.mark | 0x4000_0000)
                case 5: queue.decideFlow(packet.id, mark: packet.mark | 0x8000_0000)
                default: queue.accept(packet.id)
                }
            }
            guard served == 8 else { throw CommandFailed(description: "\(served) packets: one came twice") }
            return (loopback.receiveAll(), PacketQueue.kernelCounters(of: Self.number...Self.number)?.queued)
        }
        #expect(arrived == [[0], [1], [2], [3], [4], [6], [7]])
        #expect(left == 0)
    }

    @Test func aPacketThatIsHandedOnWaitsInTheOtherQueue() throws {
        let (first, second, closed, open) = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            var other = Optional(try PacketQueue(number: Self.number + 1, maximumLength: 64, failOpen: false))
            let loopback = try Loopback()
            func sendAndHandOnOddOnes() throws {
                for tag in UInt8(0)..<4 { try loopback.send([tag, 7]) }
                _ = try Self.serve(&queue) { queue, packet in
                    if Self.tag(packet) % 2 == 1 {
                        queue.handOn(packet.id, to: Self.number + 1)
                    } else {
                        queue.accept(packet.id)
                    }
                }
            }
            try sendAndHandOnOddOnes()
            let first = loopback.receiveAll()
            let served = try Self.serve(&other!) { queue, packet in queue.accept(packet.id) }
            guard served == 2 else { throw CommandFailed(description: "\(served) were handed on") }
            let second = loopback.receiveAll()
            // Nobody has the other queue now.
            other = nil
            try sendAndHandOnOddOnes()
            let closed = loopback.receiveAll()
            try queue.setFailOpen(true)
            try sendAndHandOnOddOnes()
            return (first, second, closed, loopback.receiveAll())
        }
        #expect(first == [[0, 7], [2, 7]])
        #expect(second == [[1, 7], [3, 7]])
        #expect(closed == [[0, 7], [2, 7]])
        #expect(open == [[0, 7], [1, 7], [2, 7], [3, 7]])
    }

    @Test func copiesNoMoreThanIsAskedFor() throws {
        let (lengths, assured) = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false, copyLength: 100)
            let loopback = try Loopback()
            var lengths: [[Int]] = []
            var assured: [Int] = []
            func send(_ count: Int) throws {
                for _ in 0..<count { try loopback.send([UInt8](repeating: 5, count: 1000)) }
            }
            func receive(_ queue: inout PacketQueue) throws {
                let count = try queue.receive()
                for index in 0..<count {
                    let packet = queue.packet(at: index)
                    lengths.append(unsafe [packet.payload.count, packet.originalLength])
                    queue.accept(packet.id)
                }
                assured.append(queue.assuredCopyLength)
            }
            // Three that were copied before the change come after it, and then one that was not.
            try send(3)
            assured.append(queue.assuredCopyLength)
            try queue.setCopyLength(PacketQueue.maximumCopyLength)
            try receive(&queue)
            try receive(&queue)
            try send(1)
            try receive(&queue)
            // A queue that is never seen empty is sure of it once all that can have waited has come.
            try queue.setCopyLength(200)
            try receive(&queue)
            try queue.setCopyLength(300)
            for _ in 0..<3 {
                try send(32)
                try receive(&queue)
            }
            while try queue.receive() > 0 {}
            return (lengths, assured)
        }
        #expect(
            lengths.prefix(6) == [[100, 1028], [100, 1028], [100, 1028], [1028, 1028], [300, 1028], [300, 1028]])
        #expect(lengths.count > 90 && lengths.dropFirst(4).allSatisfy { $0 == [300, 1028] })
        #expect(assured == [100, 100, 65_531, 65_531, 200, 200, 200, 300])
    }

    @Test func countsWhatTheSocketCouldNotHold() throws {
        let (overruns, counters, last) = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 256, failOpen: false)
            // The queue's own buffer holds whatever waits.
            var size: CInt = 1 << 20
            _ = unsafe setsockopt(
                queue.descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<CInt>.size))
            let loopback = try Loopback()
            var last: UInt8 = 0
            for tag in UInt8(0)..<200 { try loopback.send([tag] + [UInt8](repeating: 0, count: 40_000)) }
            // As soon as there is room again the next packet comes, and shows the gap before it.
            let count = try queue.receive()
            for index in 0..<count { queue.accept(queue.packet(at: index).id) }
            try queue.sendVerdicts()
            try loopback.send([222])
            _ = try Self.serve(&queue) { queue, packet in
                last = Self.tag(packet)
                queue.accept(packet.id)
            }
            return (queue.overruns, PacketQueue.kernelCounters(of: Self.number...Self.number), last)
        }
        #expect(overruns > 0)
        #expect(last == 222)
        #expect(counters?.droppedSocketFull == overruns)
        #expect(counters?.queued == 0)
    }

    @Test func countsAVerdictThatComesTooLate() throws {
        let (lost, again) = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            let loopback = try Loopback()
            try loopback.send([1])
            _ = try queue.receive()
            try run("ip", "link", "set", "lo", "down")
            queue.accept(queue.packet(at: 0).id)
            let after = try queue.receive()
            guard after == 0 else { throw CommandFailed(description: "an answer taken for a packet") }
            try run("ip", "link", "set", "lo", "up")
            try loopback.send([2])
            _ = try Self.serve(&queue) { queue, packet in queue.accept(packet.id) }
            return (queue.lostVerdicts, loopback.receiveAll())
        }
        #expect(lost == 1)
        #expect(again == [[2]])
    }

    @Test func aSecondOwnerIsToldWhoTheFirstIs() throws {
        let (error, sockets, name) = try inNewNamespace {
            let first = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            func lines() throws -> Int {
                try Descriptor(reading: "/proc/thread-self/net/netlink").readToEnd().count { $0 == 10 }
            }
            // The table is one for all namespaces, and what is read while it grows may lack a line or have it twice.
            func sockets() throws -> Int {
                var counts = try [lines(), lines()]
                while counts.suffix(2).first != counts.last { counts.append(try lines()) }
                return counts.last!
            }
            let before = try sockets()
            var refused: PacketQueueError?
            do throws(PacketQueueError) {
                _ = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: false)
            } catch {
                refused = error
            }
            let left = try sockets() - before
            let name = String(decoding: try Descriptor(reading: "/proc/self/comm").readToEnd(), as: UTF8.self)
            _ = first.descriptor
            return (refused, left, String(name.dropLast()))
        }
        #expect(error?.code == .notPermitted)
        #expect(
            try #require(error).description.hasPrefix("queue 2014 is already taken by process ")
                && error!.description.hasSuffix(" (\(name)): stop it or set queue.number to another"))
        #expect(sockets == 0, "a refused queue leaves no socket open")
    }

    @Test func aQueueThatIsGivenUpCanBeTakenAgain() throws {
        try inNewNamespace {
            for _ in 0..<3 { _ = try PacketQueue(number: Self.number, maximumLength: 64, failOpen: true) }
        }
    }

    @Test func tellsWhetherAQueueIsTaken() throws {
        let (before, during, other, after) = try inNewNamespace {
            let before = PacketQueue.isTaken(Self.number)
            let queue = try PacketQueue(number: Self.number, maximumLength: 16, failOpen: false)
            let during = PacketQueue.isTaken(Self.number)
            let other = PacketQueue.isTaken(Self.number + 1)
            _ = consume queue
            return (before, during, other, PacketQueue.isTaken(Self.number))
        }
        #expect(!before)
        #expect(during)
        #expect(!other)
        #expect(!after)
    }

    // With more than a batch a round a queue of 256 overflows; with a batch a round it is full all the time and loses
    // nothing. With `failOpen` the kernel drops nothing.
    @Test(arguments: [(40, false, 0...128), (32, false, 150...256), (40, true, 150...256)])
    func queueThatDropsAllTheTimeIsShortUntilItIsEmpty(
        _ arrivals: Int, _ failOpen: Bool, _ standing: ClosedRange<UInt64>
    ) throws {
        let (under, after, allocations) = try inNewNamespace {
            func counters() throws -> QueueCounters {
                try #require(PacketQueue.kernelCounters(of: Self.number...Self.number))
            }
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 256, failOpen: failOpen)
            let loopback = try Loopback()
            for _ in 0..<200 { try loopback.send([0]) }
            var allocations: UInt = 0
            for _ in 0..<80 {
                for _ in 0..<arrivals { try loopback.send([0]) }
                let before = allocation_count()
                for index in 0..<(try queue.receive()) { queue.accept(queue.packet(at: index).id) }
                try queue.sendVerdicts()
                allocations += allocation_count() - before
            }
            let under = try counters()
            _ = try Self.serve(&queue) { queue, packet in queue.accept(packet.id) }
            for _ in 0..<256 { try loopback.send([0]) }
            return (under, try counters(), allocations)
        }
        #expect(standing.contains(under.queued), "\(under)")
        #expect((under.droppedQueueFull > 0) == (arrivals > 32 && !failOpen), "\(under)")
        #expect(after.queued == 256 && after.droppedQueueFull == under.droppedQueueFull, "\(after)")
        #expect(allocations == 0)
    }

    @Test(.enabled(if: countsAllocations, "a sanitizer has replaced malloc"))
    func tenThousandPacketsAllocateNothing() throws {
        let (allocations, served) = try inNewNamespace {
            try Self.queueDatagrams()
            var queue = try PacketQueue(number: Self.number, maximumLength: 1000, failOpen: false)
            let loopback = try Loopback()
            var (allocations, served) = (UInt(0), 0)
            for _ in 0..<100 {
                for number in 0..<100 { try loopback.send([UInt8(number)]) }
                let before = allocation_count()
                served += try Self.serve(&queue) { queue, packet in
                    switch Self.tag(packet) % 8 {
                    case 0: queue.drop(packet.id)
                    case 1: unsafe queue.replace(packet.id, with: UnsafeRawBufferPointer(packet.payload))
                    default: queue.accept(packet.id)
                    }
                }
                allocations += allocation_count() - before
            }
            return (allocations, served)
        }
        #expect(served == 10_000)
        #expect(allocations == 0)
    }
}

/// Whether the counter counts: false where a sanitizer has its own malloc.
private let countsAllocations: Bool = {
    let before = allocation_count()
    let block = UnsafeMutableRawPointer.allocate(byteCount: Int.random(in: 1...64), alignment: 1)
    unsafe block.deallocate()
    return allocation_count() > before
}()

@Suite struct PacketQueueErrorTests {
    @Test func saysWhatToDo() {
        let table: [(code: Errno, isPrivileged: Bool, text: String)] = [
            (
                .notPermitted, false,
                "taking packets from queue 9 needs CAP_NET_ADMIN: run as root or under the service"
            ),
            (
                .notPermitted, true,
                "queue 9 is already taken by another process: stop it or set queue.number to another"
            ),
            (.busy, true, "queue 9 is already taken by another process: stop it or set queue.number to another"),
            (.invalidArgument, true, "this kernel has no nfnetlink_queue: modprobe nfnetlink_queue"),
            (.noBufferSpace, true, "queue 9 cannot be taken: No buffer space available (ENOBUFS)"),
        ]
        for (code, isPrivileged, text) in table {
            let error = PacketQueueError(taking: 9, code, isPrivileged: isPrivileged)
            #expect(error.description == text && error.code == code)
        }
    }
}
