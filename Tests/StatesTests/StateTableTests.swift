import Packet
import States
import TestSupport
import Testing

struct StateTableTests {
    /// A first packet, its answer, and whether they are a connection: with `alg "icmp"`, and without.
    @Test func protocolsAreTrackedOrNot() {
        func raw(_ number: UInt8, _ from: Address, _ to: Address, _ direction: Direction) -> TestPacket {
            TestPacket(
                ipv4(IPProtocol(rawValue: number), [UInt8](repeating: 0, count: 24), from: from, to: to), direction)
        }
        let cases: [(String, TestPacket, TestPacket, Bool, Bool)] = [
            ("TCP", segment(.syn, 1000), answer([.syn, .ack], 5000, 1001), true, true),
            (
                "TCP over IPv6", segment(.syn, 1000, from: client6, to: server6),
                answer([.syn, .ack], 5000, 1001, from: server6, to: client6), true, true
            ),
            ("UDP", datagram(), datagram(server, client, .in), true, true),
            ("UDP over IPv6", datagram(client6, server6), datagram(server6, client6, .in), true, true),
            ("echo", echo(request: true), echo(request: false, bob, alice, .in), true, false),
            ("echo, reply first", echo(request: false), echo(request: true, bob, alice, .in), true, false),
            ("echo over IPv6", echo(request: true, alice6, bob6), echo(request: false, bob6, alice6, .in), true, false),
            ("GRE", raw(47, alice, bob, .out), raw(47, bob, alice, .in), false, false),
            ("ESP", raw(50, alice, bob, .out), raw(50, bob, alice, .in), false, false),
            ("ICMPv6 in IPv4", raw(58, alice, bob, .out), raw(58, bob, alice, .in), false, false),
            (
                "a timestamp", TestPacket(ipv4(.icmp, icmp(type: 13)), .out),
                TestPacket(ipv4(.icmp, icmp(type: 14), from: bob, to: alice), .in), false, false
            ),
        ]
        for (name, first, reply, withALG, without) in cases {
            for (tracksEcho, isTracked) in [(true, withALG), (false, without)] {
                let fixture = StateFixture { $0.tracksEcho = tracksEcho }
                #expect(fixture.send(first) == (isTracked ? "new" : "rule"), "\(name)")
                #expect(fixture.lookup(first).word == (isTracked ? "pass" : "none"), "\(name)")
                #expect(fixture.lookup(reply).word == (isTracked ? "pass" : "none"), "\(name)")
                #expect(fixture.table.count == (isTracked ? 1 : 0), "\(name)")
            }
        }
    }

    @Test func neighboursOfAConnectionAreNotPartOfIt() {
        let fixture = StateFixture { $0.tracksEcho = true }
        for packet in [datagram(), segment(.syn, 1000), echo(request: true)] { #expect(fixture.send(packet) == "new") }
        let carol = Address("203.0.113.5")!
        for (name, packet) in [
            ("another port", datagram(End(address: bob, port: 81), client, .in)),
            ("another port here", datagram(server, End(address: alice, port: 40001), .in)),
            ("another host", datagram(End(address: carol, port: 80), client, .in)),
            ("another host here", datagram(server, End(address: carol, port: 40000), .in)),
            ("ports the wrong way round", datagram(End(address: bob, port: 40000), End(address: alice, port: 80), .in)),
            ("a request instead of a reply", echo(request: true, bob, alice, .in)),
            ("another identifier", echo(request: false, identifier: 2, bob, alice, .in)),
            ("a fragment", TestPacket(ipv4(.udp, udp(), from: bob, to: alice, fragmentField: 0x2000), .in)),
        ] { #expect(fixture.lookup(packet).word == "none", "\(name)") }
        // The same bits in the other family.
        let mapped = (Address(high: 0, low: alice.low), Address(high: 0, low: bob.low))
        let packet = datagram(End(address: mapped.1, port: 80), End(address: mapped.0, port: 40000), .in)
        #expect(fixture.lookup(packet).word == "none")
    }

    /// Where a packet of the connection, and one against it, pass: (interface, direction), the first packet having left
    /// through interface 2.
    @Test func interfaceAndDirectionCountAsSet() {
        let everywhere: [(UInt32, Direction)] = [(2, .out), (2, .in), (3, .out), (3, .in)]
        let cases: [(Bool, Bool, StateKind, Set<Int>, Set<Int>)] = [
            (true, true, .stateful, [0], [1]), (true, true, .statefulAll, [0], [1]),
            (true, false, .stateful, [0], [1]), (true, false, .statefulAll, [0, 1], [0, 1]),
            (false, true, .stateful, [0], [1]), (false, true, .statefulAll, [0, 2], [1, 3]),
            (false, false, .stateful, [0], [1]), (false, false, .statefulAll, [0, 1, 2, 3], [0, 1, 2, 3]),
        ]
        // Either end may be the one that comes first in keys; and a host may talk to itself.
        let pairs = [(client, server), (server, client), (client6, server6)]
        for (interface, direction, kind, forward, backward) in cases {
            for (from, to) in pairs {
                let fixture = StateFixture {
                    $0.keyInterface = interface
                    $0.keyDirection = direction
                }
                #expect(fixture.create(datagram(from, to), kind))
                for (number, place) in everywhere.enumerated() {
                    let name = "\(interface) \(direction) \(kind) \(place)"
                    let along = fixture.lookup(datagram(from, to, place.1, interface: place.0))
                    #expect((along.word == "pass") == forward.contains(number), "\(name)")
                    let against = fixture.lookup(datagram(to, from, place.1, interface: place.0))
                    #expect((against.word == "pass") == backward.contains(number), "\(name)")
                    if let match = along.match { #expect(match.flow == .forward) }
                    if let match = against.match { #expect(match.flow == .backward) }
                }
            }
        }
    }

    @Test func aHostMayTalkToItself() {
        let fixture = StateFixture()
        #expect(fixture.send(datagram(client, client)) == "new")
        #expect(fixture.lookup(datagram(client, client)).match?.flow == .forward)
        #expect(fixture.lookup(datagram(client, client, .in)).match?.flow == .backward)
        #expect(fixture.list().first?.phase == .answered)
    }

    /// Interfaces are told apart by all 32 bits of their index.
    @Test func interfacesDoNotShareStates() {
        let fixture = StateFixture()
        for interface in [0, 1, 2, 0x1_0002, 0xffff_ffff] as [UInt32] {
            #expect(fixture.send(datagram(interface: interface)) == "new", "\(interface)")
        }
    }

    @Test func genericStatesHaveTwoTimeouts() throws {
        for (configured, new, answered) in [(false, 30, 60), (true, 10, 20)] as [(Bool, Int64, Int64)] {
            let fixture = StateFixture {
                $0.tracksEcho = true
                if configured {
                    $0.timeouts.genericNew = 10
                    $0.timeouts.genericEstablished = 20
                }
            }
            for (packet, reply) in [
                (datagram(), datagram(server, client, .in)),
                (echo(request: true), echo(request: false, bob, alice, .in)),
            ] {
                #expect(fixture.send(packet) == "new")
                fixture.pass(seconds: new)
                #expect(fixture.send(packet) == "state")
                fixture.pass(seconds: new)
                #expect(fixture.send(reply) == "state")
                #expect(fixture.list().last?.phase == .answered)
                fixture.pass(seconds: answered)
                #expect(fixture.send(packet) == "state")
                fixture.pass(seconds: answered)
                fixture.now += 1
                #expect(fixture.send(packet) == "new")
                fixture.pass(seconds: new)
                fixture.now += 1
                #expect(fixture.lookup(reply).word == "none")
            }
        }
    }

    @Test func aStateKnowsItsRuleAndWhatItCarried() throws {
        let fixture = StateFixture()
        #expect(fixture.create(datagram(), .statefulAll, entry: 12, procedure: 3))
        #expect(!fixture.create(datagram(), entry: 13))
        #expect(!fixture.create(datagram(server, client, .in), entry: 13))
        fixture.now += 5
        let match = try #require(fixture.lookup(datagram(server, client, .in)).match)
        #expect((match.entry, match.procedure, match.decision) == (12, 3, 0))
        fixture.table[decisionAt: match.place] = 2
        #expect(fixture.table[decisionAt: match.place] == 2)
        let next = try #require(fixture.lookup(datagram(server, client, .in)).match)
        #expect(next.decision == 2)

        let state = try #require(fixture.list().first)
        #expect((state.source.address, state.source.port) == (alice, 40000))
        #expect((state.destination.address, state.destination.port) == (bob, 80))
        #expect(state.transportProtocol == .udp)
        #expect((state.interface, state.direction, state.kind) == (2, .out, .statefulAll))
        #expect((state.entry, state.procedure, state.decision) == (12, 3, 2))
        #expect((state.source.traffic.packets, state.source.traffic.bytes) == (1, 29))
        #expect((state.destination.traffic.packets, state.destination.traffic.bytes) == (2, 58))
        #expect(state.lastSeen == fixture.now)
        #expect(fixture.table.statistics.created == 1)
    }

    /// A change of what keys are made of loses no state.
    @Test func statesOutliveTheirFormOfKey() {
        let forms = [(true, true), (true, false), (false, true), (false, false)]
        let fixture = StateFixture()
        for (number, form) in forms.enumerated() {
            (fixture.table.parameters.keyInterface, fixture.table.parameters.keyDirection) = form
            let end = End(address: alice, port: UInt16(number))
            #expect(fixture.send(datagram(end, server)) == "new")
        }
        for form in forms {
            (fixture.table.parameters.keyInterface, fixture.table.parameters.keyDirection) = form
            for number in forms.indices {
                let end = End(address: alice, port: UInt16(number))
                #expect(fixture.send(datagram(server, end, .in)) == "state", "\(form) \(number)")
                #expect(!fixture.create(datagram(end, server)))
            }
            #expect(fixture.lookup(datagram(server, client, .in)).word == "none")
        }
        fixture.pass(seconds: 61)
        #expect(fixture.table.collect(step: 4, now: fixture.now) == 4)
    }

    /// A SYN that may take over from one state of its connection does not hide another, whose key is of an older form.
    @Test func noStateHidesOneOfAnotherForm() {
        let fixture = StateFixture()
        let syn = segment(.syn, 1000)
        let isOpen = [syn, answer([.syn, .ack], 5000, 1001), segment(.ack, 1001, 5001)].map { fixture.send($0) }
        #expect(isOpen == ["new", "state", "state"])
        fixture.table.parameters.keyDirection = false
        #expect(fixture.send(syn.on(2, .in)) == "new")
        #expect(fixture.send(syn) == "rule")
        #expect(fixture.list().map(\.phase) == [.established])
        #expect(fixture.send(segment([.psh, .ack], 1001, 5001, length: 9)) == "state")
    }

    /// What is described, not captured, can be asked about.
    @Test func describedPacketsHaveStates() {
        let fixture = StateFixture()
        func described(_ flags: TCPFlags, _ from: End, _ to: End) -> PacketHeaders {
            PacketHeaders(
                transportProtocol: .tcp, source: from.address, destination: to.address, sourcePort: from.port,
                destinationPort: to.port, tcpFlags: flags)
        }
        let nothing: [UInt8] = []
        let span = unsafe nothing.span.bytes
        let syn = described(.syn, client, server)
        let key = fixture.table.key(syn, packet: span, interface: 2, direction: .out)!
        let isMade = fixture.table.create(
            key, syn, packet: span, kind: .stateful, entry: 0, procedure: -1, now: 0)
        #expect(isMade)
        let synAck = described([.syn, .ack], server, client)
        let back = fixture.table.key(synAck, packet: span, interface: 2, direction: .in)!
        let lookup = fixture.table.lookup(back, synAck, packet: span, now: 0)
        #expect(lookup.word == "pass")
    }
}
