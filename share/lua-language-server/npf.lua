---@meta npf

---What a script asks of the filter.
local npf = {}

---The third argument of a filter function.
---@class npflua.Context
---@field interface string the interface's name
---@field direction 'in'|'out'
---@field rule string the rule as `npfctl show` prints it
---@field time number when the packet was taken from the queue, in a replay captured: seconds since 1970
---@field mark integer the packet's mark
---@field length integer bytes of the whole packet; the queue may show fewer

---What a filter function returns: true or nil leave the rule's decision, false blocks.
---@alias npflua.Answer boolean|'return'|'pass-flow'|'block-flow'|nil

---When the packet at hand was taken from the queue, in a replay captured; while the script is loaded, now. Seconds since
---1970, with a fraction.
---@return number
function npf.time() end

---Writes to the daemon's log, at a bounded rate: the arguments as `print` has them, at most 1000 bytes.
---@param level 'debug'|'info'|'notice'|'warning'|'error'
---@param ... any
function npf.log(level, ...) end

---A table of the configuration, shared by all rules and workers.
---@class npflua.Table
local Table = {}

---Puts an address in, effective on the next packet; one that is there stays for the longer of both times.
---@param address integer|string of IPv4 an integer, of IPv6 16 bytes
---@param seconds? number how long it stays; for good without
---@return true? added nil if the table refuses
---@return ('full'|'busy'|'immutable')? why
function Table:add(address, seconds) end

---Takes an address out; networks around it stay.
---@param address integer|string of IPv4 an integer, of IPv6 16 bytes
---@return boolean? removed false if it was not there, nil if the table refuses
---@return ('busy'|'immutable')? why
function Table:remove(address) end

---Whether an address is in the table, or in a network of it.
---@param address integer|string of IPv4 an integer, of IPv6 16 bytes
---@return boolean
function Table:test(address) end

---The table of that name; an error where the configuration has none.
---@param name string without angle brackets
---@return npflua.Table
function npf.table(name) end

return npf
