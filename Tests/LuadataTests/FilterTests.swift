import LuaRuntime
import Luadata
import Testing

@Suite struct FilterTests {
    @Test func answersAreRead() throws {
        let cases: [(body: String, answer: FilterAnswer)] = [
            ("return true", .keep), ("return", .keep), ("return nil", .keep), ("return nil, false", .keep),
            ("return false", .block), ("return false, true", .block), ("return 'return'", .blockReturn),
            ("return 'pass-flow'", .passFlow), ("return 'block-flow'", .blockFlow), ("return 'pass'", .failedAnswer),
            ("return 'return\\0'", .failedAnswer), ("return 0", .failedAnswer), ("return 1.5", .failedAnswer),
            ("return {}", .failedAnswer), ("return print", .failedAnswer), ("return ...", .keep),
            ("error('x')", .failedError),
            ("error(nil)", .failedError), ("return data.nothing.x", .failedError),
            ("while true do end", .failedInstructions),
            ("local t = {} while true do t = {t} end", .failedMemory),
            ("local s = 'x' while true do s = s .. s end", .failedMemory),
        ]
        for (body, answer) in cases {
            var filter = try Filter(
                "function filter(d, ...) \(body) end", limits: .unhurried(instructions: 1_000_000, memory: 1 << 20))
            for _ in 1...2 { #expect(filter([1, 2]).answer == answer, "\(body): \(filter.state.lastMessage)") }
            #expect(filter.call("filter") == answer)
        }
    }

    @Test func timeIsAnAnswer() throws {
        var filter = try Filter("function filter() while true do end end")
        filter.state.limits = Limits(instructions: .max / 2, nanoseconds: 1_000_000)
        #expect(filter().answer == .failedTime)
        #expect(filter.state.lastMessage.hasPrefix("filter.lua:2: time limit reached (set lua.time)\n"))
        filter.state.limits = .unhurried(instructions: 10_000)
        #expect(filter().answer == .failedInstructions)
        #expect(filter.state.lastMessage.hasPrefix("filter.lua:2: instruction limit reached (set lua.instructions)\n"))
    }

    @Test func wrongAnswersAreTold() throws {
        for (body, told) in [
            ("return 5", "5"), ("return 'drop'", "\"drop\""), ("return {}", "a table"), ("return 0.5", "a number"),
            ("return ('x'):rep(1000)", "\"\(String(repeating: "x", count: 40))\""),
        ] {
            var filter = try Filter("\nfunction filter()\n\(body) end")
            #expect(filter().answer == .failedAnswer)
            #expect(
                filter.state.lastMessage
                    == "filter.lua:3: the function returned \(told), not true, false, nothing, \"return\", "
                    + "\"pass-flow\" or \"block-flow\"")
        }
    }

    @Test func changesAreTold() throws {
        let cases: [(body: String, changed: Bool, first: UInt8)] = [
            ("", false, 1), ("d.a = 7", true, 7), ("d:segment(0, 1):layout(l).a = 7", true, 7),
            ("d.s = 'x'", true, 0x78),
            ("d.a = d.a", true, 1), ("d.far = 7", false, 1), ("d.none = 7", false, 1), ("d.s = ''", false, 1),
            ("data.new(1):layout(l).a = 7", false, 1), ("d.a = 7 error('x')", true, 7), ("local x = d.a", false, 1),
        ]
        for (body, changed, first) in cases {
            var filter = try Filter(
                """
                local l = data.layout{a = {0, 8}, s = {0, 1, 's'}, far = {16, 8}}
                function filter(d) d:layout(l) \(body) end
                """)
            var bytes: [UInt8] = [1, 2]
            #expect(filter(&bytes).changed == changed, "\(body)")
            #expect(bytes == [first, 2], "\(body)")
            bytes = [1, 2]
            #expect(filter(&bytes, isWritable: false).changed == false, "\(body)")
            #expect(bytes == [1, 2], "\(body)")
        }
    }

    @Test func writesToAReadOnlyViewAreErrors() throws {
        let cases: [(body: String, isError: Bool)] = [
            ("d.a = 7", true), ("d.s = 'x'", true), ("d:segment(0, 1):layout(l).a = 7", true), ("d.far = 7", true),
            ("d.s = ''", true), ("d.a = d.a", true), ("d.none = 7", false), ("d:layout{} d.a = 7", false),
            ("return d.a == 1 and d.s == '\\1' and #d:segment(1) == 1", false), ("data.new(1):layout(l).a = 7", false),
            ("if kept then kept.a = 7 end kept = d", false),
            (
                "local ok, text = pcall(function() d.a = 7 end) return not ok and text:find('read-only', 1, true) ~= nil",
                false
            ),
        ]
        for (body, isError) in cases {
            var filter = try Filter(
                """
                local l = data.layout{a = {0, 8}, s = {0, 1, 's'}, far = {16, 8}}
                function filter(d) d:layout(l) \(body) end
                """)
            for _ in 1...2 {
                var bytes: [UInt8] = [1, 2]
                let result = filter(&bytes, isWritable: false)
                #expect(result == FilterResult(answer: isError ? .failedError : .keep, changed: false), "\(body)")
                #expect(bytes == [1, 2], "\(body)")
                if isError {
                    #expect(
                        filter.state.lastMessage.hasPrefix(
                            "filter.lua:3: the packet is read-only here: its rule says \"edit off\"\n"),
                        "\(body): \(filter.state.lastMessage)")
                }
            }
        }
    }

    @Test func twoRegionsAndTheContextAreArguments() throws {
        var filter = try Filter(
            """
            function filter(header, payload, context)
              print(tostring(header), tostring(payload), type(context))
              if context then
                print(context.interface, context.direction, context.rule, context.time, context.mark,
                  context.length)
                context.mark = 0
              end
              pcall(function() header:layout{a = {0, 8}}.a = 0x41 end)
              payload:layout{a = {0, 8}}.a = 0x42
            end
            """)
        #expect(filter.function.parameterCount == 3)
        var packet = Array("headerpayload".utf8)
        let function = filter.function
        let result = unsafe packet.withUnsafeMutableBytes { packet in
            unsafe "eth0".withCString { interface in
                unsafe filter.state.filter(
                    function, Region(UnsafeMutableRawBufferPointer(rebasing: packet[..<6]), isWritable: false),
                    Region(UnsafeMutableRawBufferPointer(rebasing: packet[6...]), isWritable: true),
                    context: FilterContext(
                        interface: interface, direction: interface, rule: nil, nanoseconds: 1_500_000_000, mark: .max,
                        length: 70_000))
            }
        }
        #expect(result == FilterResult(answer: .keep, changed: true))
        #expect(packet == Array("headerBayload".utf8))
        #expect(filter() == FilterResult(answer: .failedError, changed: false))
        #expect(filter.lines == ["header\tpayload\ttable", "eth0\teth0\tnil\t1.5\t4294967295\t70000", "\tnil\tnil"])
    }

    @Test func modulesAreNotReadForAPacket() throws {
        var filter = try Filter("function filter() require 'util' end")
        #expect(filter().answer == .failedError)
        #expect(
            filter.state.lastMessage.hasPrefix(
                "filter.lua:2: module 'util' must be required when the script is loaded\n"))
    }

    @Test func aSuccessLeavesNothingBehind() throws {
        var filter = try Filter("function filter(d) return d:segment(0, 1) ~= nil end")
        for _ in 1...1000 { #expect(filter([1]).answer == .keep) }
        filter.state.collectGarbage()
        let before = filter.state.memoryInUse
        for _ in 1...10_000 { #expect(filter([1]).answer == .keep) }
        filter.state.collectGarbage()
        #expect(filter.state.memoryInUse == before)
    }
}
