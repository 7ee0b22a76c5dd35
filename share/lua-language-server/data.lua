---@meta data

---Luadata: memory as a script sees it.
local data = {}

---A field of a layout: offset and length, in bits for a number and in bytes for a string, then its type, `'number'`
---(unless said otherwise) or `'string'`, and its byte order, `'big'` or `'net'` (unless said otherwise), `'little'` or
---`'host'`; by place or by name.
---@alias npflua.Field {[1]: integer?, [2]: integer?, [3]: string?, [4]: string?, offset: integer?, length: integer?, type: string?, endian: string?}

---Names for parts of memory.
---@alias npflua.Layout table<any, npflua.Field>

---Memory: a packet's, or some of its own. The fields are those of its layout. A packet's is empty once the packet is
---decided.
---@class npflua.Data
---@field [any] any
---@operator len: integer
local object = {}

---Gives names to parts of the memory, in place of the names that it had; returns the object.
---@param layout npflua.Layout
---@return npflua.Data
function object:layout(layout) end

---The same memory from an offset on, so many bytes or all that is left; it has no layout yet. Nil if that is not all
---inside; but of the packet itself what there is, if it is less.
---@param offset? integer
---@param length? integer
---@return npflua.Data?
function object:segment(offset, length) end

---As `string.find`, straight on the memory.
---@param pattern string
---@param init? integer
---@param plain? boolean
---@return integer? start
---@return integer? stop
---@return any ... captured
function object:find(pattern, init, plain) end

---As `string.gmatch`, straight on the memory; it ends when the packet is decided.
---@param pattern string
---@param init? integer
---@return fun(): string|integer, ...
function object:gmatch(pattern, init) end

---As `string.match`, straight on the memory.
---@param pattern string
---@param init? integer
---@return any ... captured
function object:match(pattern, init) end

---Memory of its own: of a list's bytes, of a string's, or of so many zeros. Nil without a byte.
---@param contents integer[]|string|integer
---@return npflua.Data?
function data.new(contents) end

---Prepares a layout that is used often; returns the same table.
---@param layout npflua.Layout
---@return npflua.Layout
function data.layout(layout) end

return data
