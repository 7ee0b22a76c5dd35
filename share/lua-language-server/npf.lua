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

return npf
