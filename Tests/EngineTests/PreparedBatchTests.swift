import AddressTables
import CAllocationCounter
import Engine
import Packet
import Ruleset
import States
import TestSupport
import Testing

/// A batch that is prepared as a whole is decided as its packets are one at a time.
@Suite struct PreparedBatchTests {
    /// A packet where it is queued.
    private struct Arrival {
        var bytes: [UInt8]
        var interface: UInt32
        var direction: Direction
        var originalLength: Int
    }

    /// One filter prepares its batches, the other one is given the packets as they come; each has tables of its own, which
    /// its scripts change.
    private struct Pair: ~Copyable {
        private let folder: ScriptFolder
        private var configurations: (batched: LoadedConfiguration, single: LoadedConfiguration)
        var batched: Filter
        var single: Filter
        var batch: PreparedBatch

        init(_ folder: ScriptFolder, _ text: String, entries: [TableEntry]) throws {
            self.folder = folder
            let configurations = (batched: try folder.load(text), single: try folder.load(text))
            try configurations.batched.tables["large"]!.replace(with: entries, now: 0)
            try configurations.single.tables["large"]!.replace(with: entries, now: 0)
            let batched = try Filter(configurations.batched, seed: 1)
            let single = try Filter(configurations.single, seed: 1)
            self.configurations = configurations
            self.batched = batched
            self.single = single
            batch = PreparedBatch(capacity: 32)
        }

        mutating func reload(_ text: String) throws {
            let next = try (
                batched: folder.load(text, after: configurations.batched),
                single: folder.load(text, after: configurations.single)
            )
            var filter = try Filter(next.batched, seed: 2, after: configurations.batched)
            filter.takeOver(&batched)
            batched = filter
            filter = try Filter(next.single, seed: 2, after: configurations.single)
            filter.takeOver(&single)
            single = filter
            configurations = next
        }

        /// What both filters say of each packet, and leave of it.
        mutating func decide(_ arrivals: [Arrival], clock: Int64) -> [(batched: Decided, single: Decided)] {
            batched.collectStates(now: clock)
            single.collectStates(now: clock)
            let packets = unsafe arrivals.map { arrival in
                let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: arrival.bytes.count, alignment: 1)
                unsafe packet.copyBytes(from: arrival.bytes)
                return unsafe packet
            }
            defer { for index in arrivals.indices { unsafe packets[index].deallocate() } }
            batch.removeAll()
            for (index, arrival) in arrivals.enumerated() {
                unsafe batch.append(
                    packets[index], originalLength: arrival.originalLength, interface: arrival.interface,
                    direction: arrival.direction, for: batched)
            }
            batch.prefetch(for: batched)
            return arrivals.enumerated().map { index, arrival in
                let name: StaticString = "eth0"
                let origin = unsafe PacketOrigin(
                    interface: 0, interfaceIndex: arrival.interface,
                    interfaceName: UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self),
                    direction: arrival.direction, time: clock, clock: clock, originalLength: arrival.originalLength)
                var bytes = arrival.bytes
                let alone = unsafe bytes.withUnsafeMutableBytes { unsafe single.decide($0, from: origin) }
                let together = unsafe batched.decide(packets[index], batch[index], from: origin)
                return unsafe (Decided(together, Array(packets[index])), Decided(alone, bytes))
            }
        }
    }

    /// A decision, and the packet as it is then.
    private struct Decided: Equatable {
        let state: StateOutcome
        let cause: Cause
        let entry: Int32
        let rest: String
        let bytes: [UInt8]

        init(_ decision: Decision, _ bytes: [UInt8]) {
            (state, cause, entry) = (decision.state, decision.cause, decision.entry)
            rest = "\(decision)"
            self.bytes = bytes
        }
    }

    private static let script = """
        local net, large = require('net'), require('npf').table('large')
        local hosts = { net.parse('192.0.2.1'), net.parse('2001:db8::1') }
        local n = 0
        function filter(hdr, pld)
          n = n + 1
          for _, host in ipairs(hosts) do
            if n % 11 == 0 then large:add(host, 60) elseif n % 11 == 5 then large:remove(host) end
          end
          if n % 500 == 0 then return 'block-flow' end
          if n % 3 == 0 then hdr:layout{ ttl = {64, 8} } hdr.ttl = 3 end
          return n % 7 ~= 0
        end
        """

    private static let rules = """
        alg "icmp"
        table <large> type lpm
        procedure "p" { lua: call filter }
        group default {
        \tblock all
        \tpass stateful out proto { tcp, udp } all
        \tpass stateful in proto tcp to any port 80 apply "p"
        \tpass stateful-all in proto udp to any port 80
        \tpass stateful proto { icmp, ipv6-icmp } all
        \tblock proto udp from <large>
        \tblock in proto tcp to <large> port 81
        }

        """

    /// So many that what is asked of them is fetched; the scripts' hosts are beside them.
    private static let entries = (0..<20_000 as Range<UInt64>).flatMap { number in
        [
            TableEntry(Prefix(Address(ipv4: 0xc000_0280 + UInt32(number)), length: 32)!),
            TableEntry(Prefix(Address(high: 0x2001_0db8_0000_0000, low: 0x100 + number), length: 128)!),
        ]
    }

    private static func arrival(_ random: inout SplitMix64) -> Arrival {
        func choice<T>(_ values: [T]) -> T { values[Int(random.next() % UInt64(values.count))] }
        let hosts = choice([[alice, bob], [alice, bob], [alice6, bob6]])
        let (source, destination) = choice([(hosts[0], hosts[1]), (hosts[1], hosts[0])])
        let isIPv4 = source.family == .ipv4
        func ip(_ transport: IPProtocol, _ payload: [UInt8], from: Address, to: Address, fragment: UInt16 = 0)
            -> [UInt8]
        {
            if isIPv4 { return ipv4(transport, payload, from: from, to: to, fragmentField: fragment) }
            if fragment == 0 { return ipv6(transport, payload, from: from, to: to) }
            let header = fragmentHeader(next: transport, offset: fragment & 0xfff8, moreFollow: true)
            return ipv6(.fragment, header + payload, from: from, to: to)
        }
        let ports = bytes(choice([80, 81]) as UInt16) + bytes(choice([80, 80, 81]) as UInt16)
        let transport: IPProtocol = choice([.tcp, .tcp, .udp, isIPv4 ? .icmp : .icmpv6])
        var segment =
            switch transport {
            case .tcp:
                tcp(
                    choice([.syn, .syn, [.syn, .ack], .ack, .ack, [.fin, .ack], .rst]),
                    payload: choice([[], [1, 2, 3]]), sequence: choice([1000, 1001, 1004, 900_000]),
                    acknowledgment: choice([1000, 1001, 1004]))
            case .udp: udp([4])
            default: icmp(type: isIPv4 ? choice([8, 0]) : choice([128, 129]))
            }
        if transport == .tcp || transport == .udp { segment.replaceSubrange(0..<4, with: ports) }
        var packet = ip(transport, segment, from: source, to: destination)
        switch random.next() % 16 {
        case 0, 1:
            // An error about a packet that went the other way.
            let message = icmp(type: isIPv4 ? 3 : 1, payload: packet)
            packet = ip(isIPv4 ? .icmp : .icmpv6, message, from: destination, to: source)
        case 2: packet = ip(transport, segment, from: source, to: destination, fragment: choice([0x2000, 0x2008]))
        case 3: packet.removeLast(Int(random.next() % UInt64(packet.count)))
        case 4: packet[0] = 0x50
        default: break
        }
        return Arrival(
            bytes: packet, interface: choice([1, 1, 2]), direction: choice([.in, .out]),
            originalLength: choice([0, 0, 0, packet.count + 20]))
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func aPreparedBatchIsDecidedAsItsPacketsAre(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let folder = try ScriptFolder(["filter.lua": Self.script])
        let settings = [
            "set state.limit 24\n", "set state.key.interface off\n",
            "set state.key.interface off\nset state.key.direction off\n",
            "set state.tcp.strict_order_rst off\nset ip4.drop_options on\n",
        ]
        var pair = try Pair(folder, settings[0] + Self.rules, entries: Self.entries)
        let gains = pair.batched.gainsFromPreparing(2)
        #expect(gains)
        var seen: [StateOutcome: Int] = [:]
        var causes: [Cause: Int] = [:]
        var clock: Int64 = 0
        var madeAndMet = 0
        var addedAndMet = 0
        for round in 0..<3_000 {
            clock += Int64(random.next() % 1_000_000_000)
            if random.next() % 200 == 0 { clock += 100_000_000_000 }
            if random.next() % 100 == 0 {
                try pair.reload(settings[Int(random.next() % UInt64(settings.count))] + Self.rules)
            }
            // Some packets come several times.
            var arrivals = (0..<(1 + random.next() % 16)).map { _ in Self.arrival(&random) }
            arrivals += (0..<(random.next() % 16)).map { _ in arrivals[Int(random.next() % UInt64(arrivals.count))] }
            var made: Set<[UInt8]> = []
            var rules: [[UInt8]: Int32] = [:]
            for (index, decided) in pair.decide(arrivals, clock: clock).enumerated() {
                guard decided.batched == decided.single else {
                    Issue.record("round \(round), packet \(index): \(decided.batched), not \(decided.single)")
                    return
                }
                seen[decided.single.state, default: 0] += 1
                causes[decided.single.cause, default: 0] += 1
                if decided.single.state == .created { made.insert(arrivals[index].bytes) }
                if decided.single.cause == .rule {
                    let former = rules.updateValue(decided.single.entry, forKey: arrivals[index].bytes)
                    if let former, former != decided.single.entry { addedAndMet += 1 }
                }
                if decided.single.state == .known && made.contains(arrivals[index].bytes) { madeAndMet += 1 }
            }
            #expect(pair.batched.stateStatistics == pair.single.stateStatistics)
            #expect(pair.batched.stateCount == pair.single.stateCount)
        }
        // Nothing is compared often if it happens seldom.
        for outcome in [StateOutcome.none, .known, .invalid, .created, .refused] {
            #expect(seen[outcome, default: 0] > 50, "\(outcome): \(seen)")
        }
        for cause in [Cause.rule, .state, .malformed, .procedure] {
            #expect(causes[cause, default: 0] > 100, "\(cause): \(causes)")
        }
        let statistics = pair.single.stateStatistics
        #expect(madeAndMet > 200)
        #expect(addedAndMet > 20)
        #expect(min(statistics.replaced, statistics.evicted, statistics.expired) > 5, "\(statistics)")
    }

    @Test func preparingIsForManyStatesAndSeveralPackets() throws {
        let configuration = try ScriptFolder([:]).load("group default { pass stateful all }\n")
        var filter = try Filter(configuration, seed: 1)
        let gainsAtFirst = filter.gainsFromPreparing(32)
        for number in 0..<10_000 {
            var packet = ipv4(.udp, udp(), from: Address(ipv4: 0x0a00_0000 | UInt32(number)))
            #expect(filter.decide(&packet, time: 1).state == .created)
        }
        let (gains, gainsOfOne) = (filter.gainsFromPreparing(2), filter.gainsFromPreparing(1))
        #expect(!gainsAtFirst && gains && !gainsOfOne)
    }

    @Test func preparingIsForLargeTablesThatRulesAskFor() throws {
        let configuration = try ScriptFolder([:]).load(
            """
            table <other> type lpm
            table <asked> type lpm
            group default {
            \tpass all
            \tblock to <asked>
            \truleset "more"
            }

            """)
        var filter = try Filter(configuration, seed: 1)
        try configuration.tables["other"]!.replace(with: Self.entries, now: 0)
        let gainsAtFirst = filter.gainsFromPreparing(32)
        try configuration.tables["asked"]!.replace(with: Self.entries, now: 0)
        let (gains, gainsOfOne) = (filter.gainsFromPreparing(2), filter.gainsFromPreparing(1))
        try configuration.tables["asked"]!.flush()
        let gainsNoMore = !filter.gainsFromPreparing(32)
        let rules = try configuration.ruleset.adding(rule: "block from <other>", to: "more").ruleset
        _ = filter.exchangeRules(for: rules)
        let gainsByDynamicRule = filter.gainsFromPreparing(2)
        #expect(!gainsAtFirst && gains && !gainsOfOne && gainsNoMore && gainsByDynamicRule)
        withExtendedLifetime(configuration) {}
    }

    @Test func preparingAllocatesNothing() throws {
        let configuration = try ScriptFolder([:]).load(
            "table <large> type lpm\ngroup default { pass stateful all; block proto icmp from <large> }\n")
        try configuration.tables["large"]!.replace(with: Self.entries, now: 0)
        var filter = try Filter(configuration, seed: 1)
        // The last has no state, so it is looked up.
        var packets = [
            segment(.syn), segment(.ack, "x"), datagram("y"), datagram("z", ipv6: true),
            ipv4(.icmp, icmp(type: 3), from: Address(ipv4: 0xc000_0280)),
        ]
        for index in packets.indices { _ = filter.decide(&packets[index], time: 1) }
        var batch = PreparedBatch(capacity: 32)
        func run(_ rounds: Int) {
            for round in 0..<rounds {
                batch.removeAll()
                for index in packets.indices {
                    unsafe packets[index].withUnsafeMutableBytes {
                        unsafe batch.append($0, originalLength: 0, interface: 0, direction: .in, for: filter)
                    }
                }
                batch.prefetch(for: filter)
                for index in packets.indices {
                    unsafe packets[index].withUnsafeMutableBytes {
                        let name: StaticString = "eth0"
                        let origin = unsafe PacketOrigin(
                            interface: 0,
                            interfaceName: UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self),
                            direction: .in, time: Int64(round), clock: Int64(round))
                        _ = unsafe filter.decide($0, batch[index], from: origin)
                    }
                }
            }
        }
        run(1)
        let before = allocation_count()
        run(10_000)
        #expect(allocation_count() == before)
        #expect(filter.stateStatistics.created == 3)
    }
}
