import Glibc
import LuaRuntime
import Luadata
import Testing

@Suite struct ViewLifetimeTests {
    /// Everywhere that a view can be kept; `check` then looks at all of them.
    private static let keeper = """
        local l = data.layout{number = {0, 8}, text = {0, 2, 's'}}
        kept = {}
        local closure, count, state, key = nil, 0, nil, nil
        function keep(d)
          kept[#kept + 1] = d:layout(l)
          kept[#kept + 1] = d:segment():layout(l)
          kept[#kept + 1] = d:segment(1):segment(1):layout(l)
          kept[#kept + 1] = d:segment():layout{number = {1, 7}, text = {1, 1, 's'}}
          closure = function() return d end
          keyed, proxy = {[d] = true}, setmetatable({}, {__index = d, __newindex = d})
          thrown = select(2, pcall(error, d:segment(0, 2):layout(l)))
          held = table.pack(next, {d}, nil)
          local function iterator(view, i) if i < 2 then return i + 1, view end end
          state, key = iterator, d:segment(0)
          for _, view in ipairs(kept) do assert(view.number and #view > 0) end
        end
        local function check(view)
          assert(#view == 0 and tostring(view) == '', 'length')
          assert(view.number == nil and view.text == nil, 'read')
          view.number, view.text = 1, 'xy'
          assert(view:segment() == nil and view:segment(0, 0) == nil and view:segment(0, 1) == nil, 'segment')
          assert(view:layout(l) == view and view.number == nil, 'layout')
          count = count + 1
        end
        function checkAll()
          for _, view in ipairs(kept) do check(view) end
          check(closure())
          check(next(keyed))
          check(select(2, held[1](held[2], held[3])))
          check(thrown:layout(l))
          for _, view in state, key, 0 do check(view:layout(l)) end
          assert(proxy.number == nil)
          proxy.number = 1
          assert(count > 8)
        end
        function filter(d)
          if #kept == 0 then keep(d) else
            assert(d:layout(l).number == 1)
            checkAll()
            assert(d.number == 1 and #d == 4)
          end
        end

        """

    @Test func viewsAreEmptyAfterTheCallAndForGood() throws {
        var filter = try Filter(Self.keeper)
        #expect(filter([1, 2, 3, 4]) == FilterResult(answer: .keep, changed: false))
        #expect(filter.call("checkAll") == .keep, "\(filter.state.lastMessage)")
        for _ in 1...3 {
            var bytes: [UInt8] = [1, 2, 3, 4]
            #expect(filter(&bytes) == FilterResult(answer: .keep, changed: false), "\(filter.state.lastMessage)")
            #expect(bytes == [1, 2, 3, 4])
        }
    }

    @Test func viewsAreEmptyAfterAFailureToo() throws {
        for failure in ["error('x')", "while true do end", "local t = {} while true do t = {t} end", "return 5"] {
            var filter = try Filter(
                "function filter(d) kept = d \(failure) end function check() return #kept == 0 end",
                limits: .unhurried(memory: 1 << 20))
            #expect(filter([1, 2]).answer.isFailure)
            #expect(filter.call("check") == .keep, "\(failure)")
        }
    }

    /// Not even where the next packet lies in the same place, or the view is written to before it is looked at.
    @Test func nextPacketDoesNotShowThrough() throws {
        var filter = try Filter(
            """
            local l = data.layout{number = {0, 8}, text = {0, 2, 's'}}
            function filter(d)
              d:layout(l)
              if kept then
                kept.number, kept.text = 9, 'no'
                assert(kept.number == nil and kept.text == nil and #kept == 0 and kept ~= d)
                assert(part:segment(0, 0) == nil and part.number == nil)
                part.number = 9
              end
              assert(d.number == 1)
              kept, part = d, d:segment(1, 2):layout(l)
            end
            """)
        var bytes: [UInt8] = [1, 2, 3, 4]
        for _ in 1...100 {
            #expect(filter(&bytes) == FilterResult(answer: .keep, changed: false), "\(filter.state.lastMessage)")
            #expect(bytes == [1, 2, 3, 4])
        }
    }

    /// The memory behind a view is really let go of: its page is gone when the script looks again.
    @Test func keptViewsNeverTouchTheMemory() throws {
        var filter = try Filter(Self.keeper)
        let size = Int(getpagesize())
        let page = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
        let region = unsafe Region(UnsafeMutableRawBufferPointer(start: page, count: size), isWritable: true)
        let function = filter.function
        #expect(unsafe filter.state.filter(function, region).answer == .keep)
        unsafe munmap(page, size)
        #expect(filter.call("checkAll") == .keep, "\(filter.state.lastMessage)")
    }

    @Test func ownMemoryStays() throws {
        var filter = try Filter(
            """
            local own = data.new{5}:layout{a = {0, 8}}
            function filter(d) own.a = own.a + 1 return own.a end
            """)
        for expected in 6...8 {
            #expect(filter([1]).answer == .failedAnswer)
            #expect(filter.state.lastMessage.contains("returned \(expected),"))
        }
    }

    @Test func statesShareNothing() throws {
        var first = try Filter("function filter(d) shared = d string.x = 1 return #d == 1 end")
        var second = try Filter("function filter(d) return shared == nil and string.x == nil end")
        #expect(first([1]).answer == .keep)
        #expect(second([1]).answer == .keep)
    }
}
