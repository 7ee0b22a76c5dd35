import AddressTables
import CAllocationCounter
import Engine
import Packet
import TestSupport
import Testing

@Suite struct AllocationTests {
    /// A hundred thousand packets through rules, a flow table and a Lua procedure: whatever is allocated is Lua's.
    @Test func decidingAllocatesNothingOutsideLua() throws {
        var filter = try ScriptedFilter(
            """
            local data, net, npf = require 'data', require 'net', require 'npf'
            local known = net.set{ '192.0.2.0/24', '198.51.100.0/24', '2001:db8::/32', ['192.0.2.1'] = 'alice' }
            local rtp = data.layout{ version = {0, 2}, payload_type = {9, 7}, marker = {8, 1} }
            local count = 0
            function filter(hdr, pld, ctx)
              count = count + 1
              local address = net.parse(net.format(count)) + net.checksum(pld)
              npf.log('info', known:match(address), net.service(count % 1000), npf.time())
              known:match(net.parse('2001:db8::1'))
              if count % 1000 == 0 then net.set{ '10.0.0.0/8', net.format(count) } end
              local seg = pld:segment(0, 255)
              local software = tostring(seg):match('SSH%-[^-%G]+%-([^-%G]+)')
              pld:layout(rtp)
              if count % 3 == 0 then pld.marker = 1 end
              if count % 5 == 0 then error('failed ' .. count) end
              if count % 7 == 0 then return 'pass-flow' end
              return software ~= 'OpenSSH_6.4' and ctx.direction == 'in'
            end
            """)
        // No malformed packet: the test library has a hook in every throw, and the hook allocates.
        var packets = [
            segment(.ack, "SSH-2.0-OpenSSH_6.4\r\n"), segment(.ack, "SSH-2.0-OpenSSH_9.7\r\n"), segment(.syn),
            datagram("payload"), datagram("payload", ipv6: true), ipv4(.icmp, icmp(type: 8)),
        ]
        var failures = 0
        func run(_ filter: inout ScriptedFilter, _ packets: inout [[UInt8]], _ rounds: Int) {
            for round in 0..<rounds {
                for index in packets.indices {
                    let decision = filter.decide(&packets[index], time: Int64(round) * 1_000_000)
                    if decision.cause == .error { failures += 1 }
                }
            }
        }
        let luaBefore = filter.filter.luaAllocations
        let before = allocation_count()
        run(&filter, &packets, 100_000 / packets.count + 1)
        let all = allocation_count() - before
        let lua = filter.filter.luaAllocations - luaBefore
        #expect(failures > 1000, "the scripts did not run")
        #expect(lua < 1000, "small blocks are to come from the states' pools")
        #expect(all == lua, "\(all) allocations, of which Lua's \(lua)")
    }

    /// As many packets of flows that are counted, passed, blocked and forgotten.
    @Test func flowsAllocateNothing() throws {
        let folder = try ScriptFolder([
            "filter.lua": """
            local n = 0
            function filter(hdr, pld)
              n = n + 1
              return n % 5000 ~= 0 or 'block-flow'
            end
            """
        ])
        let configuration = try folder.load(
            """
            procedure "p" { lua: call filter, payload, inspect 20 }
            procedure "q" { lua: call filter, inspect 3 packets }
            group default {
            \tpass all
            \tpass proto tcp all apply "p"
            \tpass proto udp to { 198.51.100.0/24, 192.0.2.9 } apply "q"
            }

            """)
        var filter = try Filter(configuration, seed: 1)
        filter.tellsKernel = true
        var packets = [segment(.syn), segment(.ack, "payload"), segment(.ack), datagram("payload"), datagram("")]
        var marks = 0
        func run(_ rounds: Int) {
            for round in 0..<rounds {
                for index in packets.indices {
                    // Every third round it is another host's flow.
                    unsafe withUnsafeBytes(of: UInt32(truncatingIfNeeded: round / 3).bigEndian) { address in
                        for byte in 0..<4 { packets[index][12 + byte] = unsafe address[byte] }
                    }
                    let time = Int64(round) * 1_000_000
                    if filter.decide(&packets[index], time: time).connectionMark != 0 { marks += 1 }
                }
            }
        }
        run(1)
        let luaBefore = filter.luaAllocations
        let before = allocation_count()
        run(100_000 / packets.count + 1)
        let all = allocation_count() - before
        let lua = filter.luaAllocations - luaBefore
        #expect(all == lua, "\(all) allocations, of which Lua's \(lua)")
        #expect(marks > 1000, "no flow was decided")
    }

    /// As many packets by states, tables, scripts that rules ask, and procedures of several calls.
    @Test func statesTablesAndProceduresAllocateNothing() throws {
        let folder = try ScriptFolder([
            "odd.lua": "local n = 0 function odd(hdr, pld) n = n + 1 return n % 2 == 1 end",
            "filter.lua": """
            local bad = require('npf').table('bad')
            local n = 0
            function filter(hdr, pld)
              n = n + 1
              assert(bad:add(0x01000000 + n % 5000, 1) and not bad:test(0x02000000))
              if n % 3 == 0 then bad:remove(0x01000000 + n % 7000) end
              return #pld < 100
            end
            """,
        ])
        let configuration = try folder.load(
            """
            set gc.interval_min 10
            table <bad> type lpm
            procedure "p" {
            \tnormalize: "random-id", "min-ttl" 64
            \tratelimit: bitrate 1m
            \trndblock: percentage 1.5
            \tlua: call filter
            \tlog: npflog0
            }
            group default {
            \tblock return all apply "p"
            \tpass stateful proto { tcp, udp } from ! <bad> apply "p"
            \tpass proto icmp all lua-filter "odd.lua" call odd
            }

            """)
        let table = try #require(configuration.tables["bad"])
        try table.insert(try #require(Prefix("203.0.113.0/24")), now: 0)
        var filter = try Filter(configuration, seed: 1)
        var packets = [
            segment(.syn), segment(.ack, "x"), datagram("payload"), datagram("payload", ipv6: true),
            ipv4(.icmp, icmp(type: 8)), ipv4(.udp, udp(Array("y".utf8)), from: Address("203.0.113.9")!),
        ]
        func run(_ rounds: Int) {
            for round in 0..<rounds {
                for index in packets.indices {
                    let time = Int64(round) * 1_000_000
                    unsafe packets[index].withUnsafeMutableBytes {
                        _ = unsafe filter.decide(
                            $0,
                            from: PacketOrigin(
                                interface: 0, interfaceIndex: UInt32(index), interfaceName: "eth0", direction: .in,
                                time: time, clock: time))
                    }
                }
                filter.collectStates(now: Int64(round) * 1_000_000)
            }
        }
        run(1)
        let luaBefore = filter.luaAllocations
        let before = allocation_count()
        run(100_000 / packets.count + 1)
        let all = allocation_count() - before
        let lua = filter.luaAllocations - luaBefore
        #expect(all == lua, "\(all) allocations, of which Lua's \(lua)")
        #expect(filter.stateCount > 0)
        #expect(table.count > 1000, "the script did not add")
    }
}
