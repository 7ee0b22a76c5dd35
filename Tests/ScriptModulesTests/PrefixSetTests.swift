import Packet
import ScriptModules
import TestSupport
import Testing

@Suite struct PrefixSetTests {
    /// What a set has to find: the entry of the longest network that has the address.
    private func reference(_ entries: [PrefixEntry], _ address: Address) -> UInt32 {
        var best: PrefixEntry?
        for entry in entries where entry.prefix.contains(address) {
            if let found = best, found.prefix.length >= entry.prefix.length { continue }
            best = entry
        }
        return best?.value ?? 0
    }

    /// A set of these networks, for the time of a call.
    private func withSet<R>(_ networks: [Prefix], _ body: ([PrefixEntry], PrefixSet, Int) throws -> R) rethrows -> R {
        let entries = UnsafeMutablePointer<PrefixEntry>.allocate(capacity: networks.count)
        defer { unsafe entries.deallocate() }
        for (count, network) in networks.enumerated() {
            unsafe PrefixEntry.push(
                PrefixEntry(network, value: UInt32(count + 1), isListed: true), onto: entries, count: count)
        }
        for left in stride(from: networks.count, to: 1, by: -1) {
            unsafe PrefixEntry.popLargest(of: entries, count: left)
        }
        let sorted = unsafe UnsafeBufferPointer(start: entries, count: networks.count)
        let size = unsafe PrefixSet.size(of: sorted)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
        defer { unsafe memory.deallocate() }
        let count = unsafe PrefixSet.build(sorted, at: memory)
        return try unsafe body(Array(sorted), PrefixSet(at: memory), count)
    }

    /// Addresses at and around the edges of networks, and elsewhere.
    private func addresses(_ networks: [Prefix], _ generator: inout SplitMix64) -> [Address] {
        var addresses: [Address] = []
        for network in networks {
            for change in [0, 1, UInt64.max, generator.next()] {
                var address = network.address
                address.low &+= change
                if change == .max, network.address.low == 0 { address.high &-= 1 }
                if address.family == .ipv4 { address = Address(ipv4: UInt32(truncatingIfNeeded: address.low)) }
                addresses.append(address)
            }
            // The last address, and the one behind it.
            let width = network.address.family == .ipv4 ? 32 : 128
            var last = network.address
            for bit in 0..<(width - network.length) {
                if bit < 64 { last.low |= 1 << UInt64(bit) } else { last.high |= 1 << UInt64(bit - 64) }
            }
            addresses.append(last)
            var behind = last
            behind.low &+= 1
            if behind.low == 0 { behind.high &+= 1 }
            addresses.append(
                behind.family == .ipv4 ? Address(ipv4: UInt32(truncatingIfNeeded: behind.low)) : behind)
        }
        return addresses
    }

    /// Networks that lie in one another often.
    private func randomNetworks(_ count: Int, _ generator: inout SplitMix64) -> [Prefix] {
        (0..<count).map { _ in
            let sparse = generator.next() & generator.next() & generator.next()
            let bits = generator.next()
            // Every bit set, or few, so that ranges end at the last address.
            let filled = bits & 7 == 0 ? ~UInt64(0) : sparse
            if bits & 8 == 0 {
                return Prefix(Address(ipv4: UInt32(truncatingIfNeeded: filled)), length: Int(bits >> 8 % 33))!
            }
            return Prefix(Address(high: filled, low: bits & 16 == 0 ? 0 : filled), length: Int(bits >> 8 % 129))!
        }
    }

    @Test func findsWhatALinearSearchFinds() {
        var generator = SplitMix64(state: 11)
        var found = 0
        for round in 0..<2_000 {
            let networks = randomNetworks(round % 41, &generator)
            let asked = addresses(networks, &generator) + [Address(ipv4: .max), Address(high: .max, low: .max)]
            unsafe withSet(networks) { entries, set, count in
                #expect(count == Set(networks).count)
                for address in asked {
                    let expected = reference(entries, address)
                    if expected != 0 { found += 1 }
                    guard unsafe set.find(address) == expected else {
                        Issue.record("\(address) in \(networks): \(unsafe set.find(address)), not \(expected)")
                        return
                    }
                }
            }
        }
        #expect(found > 50_000)
    }

    @Test func sortingIsByAddressThenLength() {
        var generator = SplitMix64(state: 12)
        for count in [0, 1, 2, 3, 100, 1000] {
            let networks = randomNetworks(count, &generator)
            unsafe withSet(networks) { entries, _, _ in
                let expected = networks.enumerated().sorted {
                    if $0.element.address != $1.element.address { return $0.element.address < $1.element.address }
                    if $0.element.length != $1.element.length { return $0.element.length < $1.element.length }
                    return $0.offset < $1.offset
                }
                #expect(entries.map(\.value) == expected.map { UInt32($0.offset + 1) })
            }
        }
    }

    /// The same through Lua: sets as scripts make and ask them.
    @Test func scriptsFindTheSame() throws {
        var generator = SplitMix64(state: 13)
        for _ in 0..<40 {
            let networks = Array(Set(randomNetworks(60, &generator))).sorted { "\($0)" < "\($1)" }
            let asked = addresses(networks, &generator)
            let list = networks.map { "'\($0)'" }.joined(separator: ",")
            let questions = asked.map { "'\($0)'" }.joined(separator: ",")
            var script = try Script(limits: .unhurried(instructions: 10_000_000))
            let error = script.run(
                "local set = net.set{\(list)} for _, text in ipairs{\(questions)} do print(set:match(net.parse(text))) end"
            )
            #expect(error == nil)
            let entries = networks.enumerated().map { PrefixEntry($1, value: UInt32($0 + 1), isListed: true) }
            let expected = asked.map { address -> String in
                let value = reference(entries, address)
                return value == 0 ? "nil" : "\(networks[Int(value) - 1])"
            }
            #expect(script.lines == expected)
        }
    }
}
