import ConfigLanguage
import KernelPlan
import Packet
import Ruleset
import States
import TestSupport
import Testing

/// The plan against the rules, on random configurations and packets.
struct RandomPlanTests {
    /// What the kernel decides, the rules decide the same.
    @Test func theKernelDecidesAsTheRulesOrAsksTheDaemon() throws {
        var generator = RandomConfiguration(random: SplitMix64(state: 5))
        var (accepted, dropped, queued, marked, payloadless, disagreements) = (0, 0, 0, 0, 0, 0)
        for round in 0..<4_000 {
            let scene = try Scene(&generator, plain: round % 4 == 0)
            for _ in 0..<250 {
                let packet = scene.packet(&generator)
                let item = PlanSimulator(plan: scene.plan).item(for: packet)
                switch item.action {
                case .queue, .queueFirst: queued += 1
                case .accept: accepted += 1
                case .drop: dropped += 1
                }
                if item.match.connectionMark != nil && item.action == .accept { marked += 1 }
                if item.match.lacksPayload { payloadless += 1 }
                if scene.allows(item, for: packet, bytes: generator.bytes()) { continue }
                disagreements += 1
                if disagreements == 1 { Issue.record("\(packet)\n\(item)\n\(scene.text)") }
            }
        }
        #expect(disagreements == 0)
        // The comparison says little if the kernel decides little.
        #expect(accepted > 30_000 && dropped > 100_000, "\(accepted) \(dropped) \(queued)")
        #expect(marked > 500 && payloadless > 500, "\(marked) \(payloadless)")
    }

    /// What has neither states nor scripts is the kernel's, for the most part.
    @Test func theKernelDecidesMostOfPlainRules() throws {
        var generator = RandomConfiguration(random: SplitMix64(state: 6))
        var decided = 0
        for _ in 0..<1_000 {
            let scene = try Scene(&generator, plain: true)
            for _ in 0..<100 {
                let packet = scene.packet(&generator)
                let item = PlanSimulator(plan: scene.plan).item(for: packet)
                if item.action == .accept || item.action == .drop { decided += 1 }
                #expect(scene.allows(item, for: packet, bytes: []))
            }
        }
        #expect(decided > 50_000, "\(decided) of 100,000")
    }

    /// Whatever a state would pass comes to the daemon, be the state made by these rules or by those before.
    @Test func packetsOfStatesAreQueued() throws {
        var generator = RandomConfiguration(random: SplitMix64(state: 7))
        var (states, passed, lost) = (0, 0, 0)
        for _ in 0..<3_000 {
            let scene = try Scene(&generator)
            let next = try Scene(&generator, after: scene.plan.states)
            var table = StateTable(capacity: 64, seed: (1, 2), parameters: scene.stateParameters)
            var first: [PlanSimulator.Packet] = []
            for _ in 0..<40 {
                let packet = scene.packet(&generator)
                let match = scene.evaluate(packet, bytes: [])
                guard !match.blocks, match.state != .none, let key = scene.key(of: packet, in: table) else { continue }
                let isMade = table.create(
                    key, packet.headers, packet: RawSpan(), kind: match.state == .stateful ? .stateful : .statefulAll,
                    entry: match.entry, procedure: -1, now: 1)
                guard isMade else { continue }
                first.append(packet)
                states += 1
            }
            for packet in first {
                for _ in 0..<8 {
                    let other = scene.relative(of: packet, &generator)
                    guard let key = scene.key(of: other, in: table),
                        case .pass = table.peek(key, other.headers, packet: RawSpan(), now: 2)
                    else { continue }
                    passed += 1
                    for plan in [scene.plan, next.plan] {
                        let item = PlanSimulator(plan: plan).item(for: other)
                        if item.action == .queue || item.action == .queueFirst || item.match.connectionMark != nil {
                            continue
                        }
                        lost += 1
                        if lost == 1 { Issue.record("\(packet)\n\(other)\n\(item)\n\(scene.text)\n\(next.text)") }
                    }
                }
            }
        }
        #expect(lost == 0)
        #expect(states > 1_000 && passed > 6_000, "\(states) \(passed)")
    }

    /// What is asked before its turn about flows that have passed would have been asked first in its turn as well.
    @Test func leadingItemsAreThoseThatDecide() throws {
        var generator = RandomConfiguration(random: SplitMix64(state: 10))
        var (leading, matched, wrong) = (0, 0, 0)
        for _ in 0..<10_000 {
            let scene = try Scene(&generator)
            let simulator = PlanSimulator(plan: scene.plan)
            for list in scene.plan.lists {
                for (offset, item) in list.leading {
                    leading += 1
                    for _ in 0..<20 {
                        var packet = scene.packet(&generator)
                        packet.direction = list.isInbound ? .in : .out
                        packet.connectionMark = item.match.connectionMark ?? 0
                        (packet.isUnreadable, packet.headers.isFragment) = (false, false)
                        guard simulator.matches(item.match, packet) else { continue }
                        matched += 1
                        let decisive = (list.isInbound ? scene.plan.inbound : scene.plan.outbound)[offset]
                        if decisive.action == .accept, simulator.item(for: packet) == decisive { continue }
                        wrong += 1
                        if wrong == 1 { Issue.record("\(packet)\n\(item)\n\(scene.text)") }
                    }
                }
            }
        }
        #expect(wrong == 0)
        #expect(leading > 200 && matched > 200, "\(leading) \(matched)")
    }

    /// The one rule before the others decides what they would, for packets with and without a mark.
    @Test(arguments: [(Configuration.Family.inet4, 8 as UInt64), (.inet6, 9)])
    func shortcutsDecideAsTheItemsDo(_ family: Configuration.Family, _ seed: UInt64) throws {
        var generator = RandomConfiguration(random: SplitMix64(state: seed))
        var (shortcuts, marked, taken, wrong) = (0, 0, 0, 0)
        for _ in 0..<2_000 {
            let scene = try Scene(&generator)
            let lines = scene.plan.iptablesRestore(family).split(separator: "\n")
            let marks = scene.configuration.flowMarks
            let isValid = " -m conntrack ! --ctstate INVALID,UNTRACKED"
            let isUnmarked =
                scene.plan.marks == nil
                ? isValid : " -m mark --mark 0/\(marks.mask) -m connmark ! --mark \(marks.blocked)/\(marks.mask)"
            for (chain, direction) in [("npflua-in", Direction.in), ("npflua-out", .out)] {
                for (start, isOfSYN) in [(isUnmarked, false), (" -p tcp --tcp-flags SYN SYN\(isValid)", true)] {
                    guard let line = lines.first(where: { $0.hasPrefix("-A \(chain)\(start) -m bpf ") }) else {
                        continue
                    }
                    if scene.plan.marks != nil && !isOfSYN { marked += 1 }
                    let program = try Bytecode(inRule: line)
                    let last = direction == .in ? scene.plan.inbound.last! : scene.plan.outbound.last!
                    #expect(line.hasSuffix(" -j \(last.action == .drop ? "DROP" : "RETURN")"))
                    shortcuts += 1
                    for _ in 0..<50 {
                        var packet = scene.packet(&generator)
                        packet.direction = direction
                        let values = marks.passed.values.sorted() + [marks.opened ?? 0, 0]
                        packet.connectionMark = isOfSYN ? 0 : values.randomElement(using: &generator.random)!
                        let isSYN = packet.headers.transportProtocol == .tcp && packet.headers.tcpFlags.contains(.syn)
                        guard (family == .inet4) == (packet.headers.family == .ipv4), !isOfSYN || isSYN,
                            program.accepts(packet.bytes)
                        else { continue }
                        taken += 1
                        let item = PlanSimulator(plan: scene.plan).item(for: packet)
                        if item == last && (isOfSYN || scene.plan.marks == nil || !isSYN) { continue }
                        wrong += 1
                        if wrong == 1 { Issue.record("\(packet)\n\(line)\n\(item)\n\(scene.text)") }
                    }
                }
            }
        }
        #expect(wrong == 0)
        #expect(shortcuts > 300 && marked > 100 && taken > 500, "\(shortcuts) \(marked) \(taken)")
    }

    /// What a connection's mark alone decides the rules decide the same.
    @Test func connectionsPassUnaskedWhereTheRulesPassThem() throws {
        var generator = RandomConfiguration(random: SplitMix64(state: 11))
        var (passing, taken, wrong) = (0, 0, 0)
        for _ in 0..<20_000 {
            let scene = try Scene(&generator)
            for list in scene.plan.lists where list.isOfFlows {
                let marks = scene.configuration.flowMarks
                guard let (offset, last) = scene.plan.passingConnections(list) else { continue }
                passing += 1
                #expect((list.isInbound ? scene.plan.inbound : scene.plan.outbound)[offset] == last)
                for _ in 0..<50 {
                    var packet = scene.packet(&generator)
                    packet.direction = list.isInbound ? .in : .out
                    packet.connectionMark = ([0] + marks.passed.values).randomElement(using: &generator.random)!
                    // Connection tracking has put it together, or does not follow it.
                    (packet.isUnreadable, packet.headers.isFragment) = (false, false)
                    guard packet.headers.family == .ipv4, packet.headers.transportProtocol != .icmp else { continue }
                    taken += 1
                    let item = PlanSimulator(plan: scene.plan).item(for: packet)
                    if item == last && scene.allows(last, for: packet, bytes: []) { continue }
                    wrong += 1
                    if wrong == 1 { Issue.record("\(packet)\n\(scene.text)") }
                }
            }
        }
        #expect(wrong == 0)
        #expect(passing > 100 && taken > 1_000, "\(passing) \(taken)")
    }
}

extension PlanSimulator.Packet {
    /// The packet itself, with options or extension headers where it cannot be read.
    fileprivate var bytes: [UInt8] {
        var transport: [UInt8] = TestSupport.bytes(headers.sourcePort) + TestSupport.bytes(headers.destinationPort)
        transport += .zeros(8) + [0x50, headers.tcpFlags.rawValue] + .zeros(6)
        let proto = headers.transportProtocol
        guard headers.family == .ipv6 else {
            return ipv4(
                proto, transport, from: headers.source, to: headers.destination,
                options: .zeros(isUnreadable ? 4 : 0),
                fragmentField: headers.isLaterFragment ? 1 : headers.isFragment ? 0x2000 : 0)
        }
        let fragment = fragmentHeader(
            next: proto, offset: headers.isLaterFragment ? 8 : 0, moreFollow: !headers.isLaterFragment)
        return headers.isFragment
            ? ipv6(.fragment, fragment + transport, from: headers.source, to: headers.destination)
            : isUnreadable
                ? ipv6(
                    .hopByHop, extensionHeader(next: proto) + transport, from: headers.source, to: headers.destination)
                : ipv6(proto, transport, from: headers.source, to: headers.destination)
    }
}

/// A random configuration with its plan and its compiled rules.
private struct Scene {
    let text: String
    let configuration: Configuration
    let ruleset: CompiledRuleset
    let plan: KernelPlan
    private let tables: TestTables

    init(_ generator: inout RandomConfiguration, plain: Bool = false, after states: PlanStates = PlanStates()) throws {
        generator.startConfiguration()
        text = generator.text()
        var configuration = try Configuration(parsing: Array(text.utf8), file: "npf.conf")
        if plain { configuration = configuration.plain }
        self.configuration = configuration
        var ruleset = try CompiledRuleset(compiling: configuration, packetFilter: compileByteFilter)
        var dynamicRules: [String: [Configuration.Rule]] = [:]
        for name in ruleset.dynamicRulesets.map(\.name) where !plain {
            for _ in 0..<Int.random(in: 0...2, using: &generator.random) {
                ruleset = try ruleset.adding(rule: generator.rule(isDynamic: true), to: name).ruleset
            }
            dynamicRules[name] = try ruleset.dynamicRules(of: name).map(\.rule)
        }
        self.ruleset = ruleset
        tables = TestTables(of: ruleset, RandomConfiguration.tables)
        // Of the tables one is constant.
        plan = KernelPlan(
            compiling: configuration,
            tables: [
                "c-2": PlanTable(
                    inet4: [AddressRange(first: 0x8000_0000, last: 0x8000_0000)],
                    inet6: [AddressRange(first: 1, last: 1)])
            ], dynamicRules: dynamicRules, formerStates: states, marks: configuration.flowMarks, queues: 1...2,
            failOpen: false)
    }

    func packet(_ generator: inout RandomConfiguration) -> PlanSimulator.Packet {
        let (headers, interface, direction) = generator.packet()
        var packet = PlanSimulator.Packet(headers: headers, interface: interface, direction: direction)
        packet.isUnreadable = Int.random(in: 0..<20, using: &generator.random) == 0
        packet.lacksPayload = Bool.random(using: &generator.random)
        let marks = configuration.flowMarks
        let values = [0, 0, 0, marks.blocked] + marks.passed.values.sorted() + marks.passed.values.sorted()
        packet.connectionMark = values.randomElement(using: &generator.random)! | 0x11
        return packet
    }

    /// A packet like it or like an answer to it, in ways that a state may or may not care for.
    func relative(of packet: PlanSimulator.Packet, _ generator: inout RandomConfiguration) -> PlanSimulator.Packet {
        var other = packet
        if Bool.random(using: &generator.random) {
            (other.headers.source, other.headers.destination) = (packet.headers.destination, packet.headers.source)
            (other.headers.sourcePort, other.headers.destinationPort) = (
                packet.headers.destinationPort, packet.headers.sourcePort
            )
            other.direction = packet.direction == .in ? .out : .in
            other.headers.tcpFlags = [.syn, .ack]
            if packet.headers.icmpType == 8 { other.headers.icmpType = 0 }
            if packet.headers.icmpType == 128 { other.headers.icmpType = 129 }
        } else if Bool.random(using: &generator.random) {
            other.headers.tcpFlags = .ack
        }
        if Int.random(in: 0..<4, using: &generator.random) == 0 {
            other.direction = packet.direction == .in ? .out : .in
        }
        if Int.random(in: 0..<4, using: &generator.random) == 0 {
            other.interface = RandomConfiguration.interfaces.randomElement(using: &generator.random)!
        }
        other.connectionMark = 0
        return other
    }

    /// What the rules say, with the scripts that the tests know.
    func evaluate(_ packet: PlanSimulator.Packet, bytes: [UInt8]) -> Match {
        let interface = ruleset.interfaceNames.firstIndex(of: packet.interface).map { UInt16($0 + 1) } ?? 0
        var walk = RuleWalk(packet.headers, interface: interface, direction: packet.direction)
        while true {
            switch unsafe ruleset.evaluate(&walk, bytes: bytes.span.bytes, tables: tables.lookup) {
            case .decided(let match): return match
            case .needsScript(let script, _):
                walk.resume(matching: ruleset.scriptFilters[Int(script)].file == "yes.lua")
            }
        }
    }

    /// Whether the kernel may do with a packet what an item says.
    func allows(_ item: PlanItem, for packet: PlanSimulator.Packet, bytes: [UInt8]) -> Bool {
        if item.action == .queue || item.action == .queueFirst { return true }
        let marks = configuration.flowMarks
        if packet.connectionMark & marks.mask == marks.blocked && plan.marks != nil { return item.action == .drop }
        if packet.isUnreadable || packet.headers.isFragment { return false }
        let match = evaluate(packet, bytes: bytes)
        if item.action == .drop { return match.blocks && match.procedure < 0 && !answers(match, packet) }
        guard !match.blocks, match.state == .none else { return false }
        guard match.procedure >= 0 else { return true }
        let procedure = ruleset.procedures[Int(match.procedure)]
        if let mark = marks.passed[procedure.name], packet.connectionMark & marks.mask == mark { return true }
        let isOfPayload = procedure.calls.count == 1 && procedure.scripts.first?.payloadOnly == true
        let proto = packet.headers.transportProtocol
        return isOfPayload && packet.lacksPayload && (proto == .tcp || proto == .udp)
    }

    private func answers(_ match: Match, _ packet: PlanSimulator.Packet) -> Bool {
        switch packet.headers.transportProtocol {
        case .tcp:
            (match.returnPolicy == .rst || match.returnPolicy == .both) && !packet.headers.tcpFlags.contains(.rst)
        case .udp: match.returnPolicy == .icmp || match.returnPolicy == .both
        default: false
        }
    }

    var stateParameters: StateParameters {
        var parameters = StateParameters()
        parameters.keyInterface = ruleset.parameters[.stateKeyInterface] == 1
        parameters.keyDirection = ruleset.parameters[.stateKeyDirection] == 1
        parameters.tracksEcho = !configuration.algorithms.isEmpty
        return parameters
    }

    func key(of packet: PlanSimulator.Packet, in table: borrowing StateTable) -> StateKey? {
        let interface = (RandomConfiguration.interfaces + ["other", "eth7"]).firstIndex(of: packet.interface)!
        return table.key(
            packet.headers, packet: RawSpan(), interface: UInt32(interface + 1), direction: packet.direction)
    }
}

extension Configuration {
    /// The same without states, procedures, scripts and filters, and without rules that look into tables that change.
    fileprivate var plain: Configuration {
        var configuration = self
        configuration.groups = groups.map { plain($0) }
        return configuration
    }

    private func plain(_ group: Group) -> Group {
        var group = group
        group.items = group.items.compactMap { item in
            switch item {
            case .group(let group): return .group(plain(group))
            case .ruleset: return item
            case .rule(var rule):
                (rule.state, rule.procedure, rule.scriptFilter) = (.none, nil, nil)
                return rule.packetFilter == nil ? .rule(rule) : nil
            }
        }
        return group
    }
}
