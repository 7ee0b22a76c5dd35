---@meta net

---Helpers for addresses.
local net = {}

---An IPv4 address as an integer from 0 to 4294967295, or an IPv6 address as a string of 16 bytes: what packets have.
---@alias npflua.Address integer|string

---A set of networks.
---@class npflua.Set
---@operator len: integer
local set = {}

---The value of the longest network that has the address, nil if none has.
---@param address npflua.Address
---@return any
function set:match(address) end

---The address that a text writes, or nil and a message.
---@param text string
---@return npflua.Address?
---@return string? message
function net.parse(text) end

---The text of an address. As a string it is a safe key for a table.
---@param address npflua.Address
---@return string
function net.format(address) end

---A set of networks: a list of texts, each its own value, or a table from texts to values, or both.
---@param networks table<integer|string, any>
---@return npflua.Set
function net.set(networks) end

---The Internet checksum of bytes (RFC 1071); `start` is a sum of 16-bit words to begin with.
---@param bytes string|npflua.Data
---@param start? integer
---@return integer
function net.checksum(bytes, start) end

---The port of a service's name, or the name of a port, as npf.conf has them; nil if it is not known.
---@param service string|integer
---@return integer|string|nil
function net.service(service) end

---The low 16 bits of a number from the host's byte order to the network's.
---@param value integer
---@return integer
function net.hton16(value) end

---The low 32 bits of a number from the host's byte order to the network's.
---@param value integer
---@return integer
function net.hton32(value) end

---A number from the host's byte order to the network's.
---@param value integer
---@return integer
function net.hton64(value) end

---The low 16 bits of a number from the network's byte order to the host's.
---@param value integer
---@return integer
function net.ntoh16(value) end

---The low 32 bits of a number from the network's byte order to the host's.
---@param value integer
---@return integer
function net.ntoh32(value) end

---A number from the network's byte order to the host's.
---@param value integer
---@return integer
function net.ntoh64(value) end

return net
