import LuaRuntime
import Luadata

/// Has a script make layouts, objects and segments, read and write them and keep them over calls, as the input says.
///
/// The input is a byte for the length of a packet, a byte for that of its program, the packet, the program, and so on.
/// A packet's memory is of exactly its length and goes when its call returns, so that the address sanitizer sees any
/// access that is not the view's to make.
@c(LLVMFuzzerTestOneInput)
func fuzzLuadata(_ input: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    // Time enough for the sanitizer on a busy machine; it is the instructions that end a call.
    let limits = Limits(instructions: 100_000, memory: 1 << 20, nanoseconds: 5_000_000_000)
    guard let input = unsafe input, var state = try? LuaState(limits: limits) else { return 0 }
    state.installLuadata()
    let layout = state.prepare(
        Layout(
            name: "prepared",
            fields: [
                .init("first", .number(offset: 4, width: 12)), .init("behind", mark: 1, .number(offset: 3, width: 33)),
                .init("text", mark: 1, .string(offset: 1, length: 3)), .init("middle", .rest(offset: 1, upTo: 2)),
                .init("rest", mark: 1, .rest(offset: 2, upTo: 3)),
            ]))
    guard (try? state.load(Array(interpreter.utf8), chunkName: "interpreter")) != nil,
        let function = state.function(named: "filter")
    else { fatalError(state.lastMessage) }

    var place = 0
    while place + 2 <= size {
        let length = unsafe min(Int(input[place]), size - place - 2)
        let programLength = unsafe min(Int(input[place + 1]), size - place - 2 - length)
        let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 1)
        unsafe packet.copyMemory(from: UnsafeRawBufferPointer(start: input + place + 2, count: length))
        let program = unsafe UnsafeMutableRawBufferPointer(
            mutating: UnsafeRawBufferPointer(start: input + place + 2 + length, count: programLength))
        let middle = Int32(length / 2)
        let region = unsafe Region(
            packet, isWritable: place % 5 != 0, layout: place % 3 == 0 ? nil : layout,
            marks: [0, middle, Int32(length - length / 4), Int32(length)])
        let result = unsafe state.filter(function, region, Region(program, isWritable: false))
        unsafe packet.deallocate()
        // Errors are caught, so what fails is a limit, or something that must hold does not.
        precondition(result.answer != .failedError, state.lastMessage)
        if programLength & 1 == 1 { state.collectGarbage() }
        place += 2 + length + programLength
    }
    return 0
}

/// Reads a program from bytes: operations on the packet and what was kept of earlier ones, with values of every kind.
private let interpreter = """
    local data = require 'data'
    local names = {'f', 'g', 1, true, 2.5, 'first', 'behind', 'text', 'middle', 'rest', 'segment', 'layout', '__index'}
    local words = {'number', 'string', 'n', 's', 'net', 'big', 'be', 'little', 'le', 'host', 'h', '', 'x', 7}
    local keys = {'offset', 'length', 'type', 'endian', 1, 2, 3, 4, 5, 'ofset'}
    local own, old, layouts, views = {}, {}, {}, {}

    function filter(packet, program)
      local text, at = tostring(program), 0
      local function byte()
        at = at + 1
        return text:byte(at) or 0
      end
      local function pick(list) return list[byte() % math.max(#list, 1) + 1] end
      local function value()
        local kind = byte()
        if kind < 160 then return kind end
        if kind < 170 then return byte() * 256 + byte() end
        if kind < 180 then return -byte() end
        if kind < 190 then return math.maxinteger - byte() end
        if kind < 200 then return math.mininteger + byte() end
        if kind < 210 then return math.maxinteger // 8 + byte() - 128 end
        if kind < 220 then return ('z'):rep(byte()) end
        if kind < 225 then return tostring(byte()) end
        if kind < 230 then return byte() + 0.5 end
        if kind < 235 then return {byte(), [3] = byte(), x = byte()} end
        if kind < 240 then return kind % 2 == 0 end
        return nil
      end
      local function entry()
        local shape = byte()
        if shape < 100 then return {byte(), byte() % 70, pick(words), pick(words)} end
        if shape < 200 then return {value(), value(), pick(words), pick(words)} end
        if shape < 220 then return {offset = value(), length = value(), type = pick(words), endian = pick(words)} end
        local made = {}
        for _ = 1, byte() % 5 do made[pick(keys)] = value() end
        return shape < 250 and made or value()
      end
      local function object()
        local kind = byte()
        if kind < 128 then return packet end
        if kind < 170 then return pick(views) or packet end
        return kind < 220 and pick(own) or pick(old) or packet
      end
      local operations = {
        function(d) own[#own + 1] = data.new(value()) end,
        function(d)
          local layout = {}
          for _ = 1, byte() % 6 do layout[pick(names)] = entry() end
          layouts[#layouts + 1] = data.layout(layout)
        end,
        function(d) d:layout(pick(layouts) or {}) end,
        function(d) d:layout{f = entry(), [pick(names)] = entry()} end,
        function(d) return d[pick(names)] end,
        function(d) d[pick(names)] = value() end,
        function(d)
          local name, wanted = pick(names), value()
          d[name] = wanted
          local once = d[name]
          d[name] = once
          assert(d[name] == once, 'what was read and written is read again')
        end,
        function(d)
          local part = d:segment(value(), value())
          if part then
            assert(#part <= #d and #tostring(part) == #part, 'a segment is inside')
            local list = d == packet and views or own
            for _, view in ipairs(views) do if d == view then list = views end end
            for _, view in ipairs(old) do if d == view then list = old end end
            list[#list + 1] = part
          end
        end,
        function(d) return tostring(d), #d end,
        function(d) d:segment(value()):layout{f = entry()}.f = value() end,
        function(d) data.layout(value()) d:layout(value()) end,
        function(d)
          layouts[#layouts] = nil
          table.remove(own, byte() % math.max(#own, 1) + 1)
        end,
      }
      while at < #text do
        local ok, message = pcall(pick(operations), object())
        message = not ok and tostring(message) or ''
        if message:find('is inside') or message:find('is read again') then error(message) end
      end
      for _, view in ipairs(old) do
        assert(#view == 0 and tostring(view) == '' and not view:segment(), 'what is over is empty')
      end
      table.move(views, 1, #views, #old + 1, old)
      old[#old + 1], views = packet, {}
    end
    """
