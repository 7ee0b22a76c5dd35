---@meta
-- The globals of a script of npflua: Lua 5.4's but for what reaches outside the script or gets around its limits.
-- The language server's own builtins are switched off for it, see docs/lua-api.md, "Editors".

---The table of the globals.
_G = {}

---"Lua 5.4".
_VERSION = ''

---Raises an error if `v` is false or nil; returns all its arguments.
---@generic T
---@param v? T
---@param message? any
---@param ... any
---@return T
---@return any ...
function assert(v, message, ...) end

---Raises an error. Level 1 names the place of this call, 2 that of the function's caller, 0 none.
---@param message any
---@param level? integer
function error(message, level) end

---The metatable of an object; what its field `__metatable` says, if it has that.
---@param object any
---@return table|any metatable
function getmetatable(object) end

---Iterates over `t[1]`, `t[2]`, … up to the first nil.
---@generic T
---@param t T[]
---@return fun(t: T[], index?: integer): integer, T
---@return T[]
---@return integer
function ipairs(t) end

---The next key of a table and its value; nil after the last.
---@generic K, V
---@param table table<K, V>
---@param index? K
---@return K?
---@return V?
function next(table, index) end

---Iterates over all keys and values of a table.
---@generic K, V
---@param t table<K, V>
---@return fun(t: table<K, V>, index?: K): K, V
---@return table<K, V>
function pairs(t) end

---Calls `f`; returns true and its results, or false and the error. No limit can be caught so.
---@param f function
---@param ... any
---@return boolean success
---@return any ...
function pcall(f, ...) end

---Prints its arguments with `npfctl lua` and `npfctl replay`; in the daemon what is printed is dropped. See `npf.log`.
---@param ... any
function print(...) end

---Whether two values are the same, without `__eq`.
---@param v1 any
---@param v2 any
---@return boolean
function rawequal(v1, v2) end

---The value of a key, without `__index`.
---@param table table
---@param index any
---@return any
function rawget(table, index) end

---The length of a table or string, without `__len`.
---@param v table|string
---@return integer
function rawlen(v) end

---Sets the value of a key, without `__newindex`.
---@param table table
---@param index any
---@param value any
---@return table
function rawset(table, index, value) end

---A built-in module (`data`, `layouts`, `net`, `npf`), or what a file below the script directory returns: `lists.ssh` is
---`lists/ssh.lua` there. Files are read while the script is loaded, never while it decides a packet.
---@param modname string
---@return any
function require(modname) end

---The arguments from the one of that number on; negative numbers count from the end, `'#'` asks how many there are.
---@param index integer|'#'
---@param ... any
---@return any ...
function select(index, ...) end

---Sets the metatable of a table and returns the table. `__gc`, `__close` and `__mode` are refused.
---@generic T: table
---@param table T
---@param metatable? table
---@return T
function setmetatable(table, metatable) end

---The number that a numeral says, in a base from 2 to 36 if one is given; nil if it is none.
---@param e any
---@param base? integer
---@return number?
function tonumber(e, base) end

---The text of a value.
---@param v any
---@return string
function tostring(v) end

---The name of a value's type.
---@param v any
---@return 'nil'|'number'|'string'|'boolean'|'table'|'function'|'userdata'
function type(v) end

---As `pcall`, with a function that turns an error into what is returned of it. After a limit it is not called.
---@param f function
---@param msgh function
---@param ... any
---@return boolean success
---@return any ...
function xpcall(f, msgh, ...) end

---@class stringlib
string = {}

---The bytes of a string from `i` to `j`, as numbers.
---@param s string|number
---@param i? integer
---@param j? integer
---@return integer ...
function string.byte(s, i, j) end

---A string of these bytes.
---@param ... integer
---@return string
function string.char(...) end

---Where a pattern is found: its first byte, its last, and the captures; nil if it is not.
---@param s string|number
---@param pattern string|number
---@param init? integer
---@param plain? boolean
---@return integer? start
---@return integer? finish
---@return any ... captures
function string.find(s, pattern, init, plain) end

---Text with values in the places that a format has for them.
---@param s string|number
---@param ... any
---@return string
function string.format(s, ...) end

---Iterates over all matches of a pattern: their captures, or else the match.
---@param s string|number
---@param pattern string|number
---@param init? integer
---@return fun(): string|integer, ...
function string.gmatch(s, pattern, init) end

---The string with the matches of a pattern replaced, and how many there were.
---@param s string|number
---@param pattern string|number
---@param repl string|number|table|function
---@param n? integer
---@return string
---@return integer count
function string.gsub(s, pattern, repl, n) end

---The number of bytes.
---@param s string|number
---@return integer
function string.len(s) end

---The string with A to Z as a to z.
---@param s string|number
---@return string
function string.lower(s) end

---The captures of a pattern's first match, or else the match; nil if there is none.
---@param s string|number
---@param pattern string|number
---@param init? integer
---@return string|integer|nil
---@return any ... captures
function string.match(s, pattern, init) end

---The bytes of values, as a format says.
---@param fmt string
---@param v1? string|number
---@param ... string|number
---@return string
function string.pack(fmt, v1, ...) end

---How many bytes `string.pack` makes with a format.
---@param fmt string
---@return integer
function string.packsize(fmt) end

---The string `n` times, with a separator between.
---@param s string|number
---@param n integer
---@param sep? string|number
---@return string
function string.rep(s, n, sep) end

---The string's bytes in reverse.
---@param s string|number
---@return string
function string.reverse(s) end

---The bytes from `i` to `j`; negative places count from the end.
---@param s string|number
---@param i integer
---@param j? integer
---@return string
function string.sub(s, i, j) end

---The values that bytes hold, as a format says, and the place behind them.
---@param fmt string
---@param s string
---@param pos? integer
---@return any ...
function string.unpack(fmt, s, pos) end

---The string with a to z as A to Z.
---@param s string|number
---@return string
function string.upper(s) end

---@class tablelib
table = {}

---The elements of a list as one string.
---@param list table
---@param sep? string
---@param i? integer
---@param j? integer
---@return string
function table.concat(list, sep, i, j) end

---Puts a value into a list: at its end, or at a position that is given before the value.
---@overload fun(list: table, value: any)
---@param list table
---@param pos integer
---@param value any
function table.insert(list, pos, value) end

---Copies elements to another place, or to another table.
---@param a1 table
---@param f integer
---@param e integer
---@param t integer
---@param a2? table
---@return table a2
function table.move(a1, f, e, t, a2) end

---A list of the arguments, with their number as `n`.
---@param ... any
---@return table
function table.pack(...) end

---Takes an element out of a list, the last unless told otherwise.
---@param list table
---@param pos? integer
---@return any
function table.remove(list, pos) end

---Sorts a list; `comp` says whether its first argument comes before its second.
---@generic T
---@param list T[]
---@param comp? fun(a: T, b: T): boolean
function table.sort(list, comp) end

---The elements of a list.
---@generic T
---@param list T[]
---@param i? integer
---@param j? integer
---@return T ...
function table.unpack(list, i, j) end

---@class utf8lib
utf8 = {}

---A pattern for one character.
utf8.charpattern = ''

---The string of these code points.
---@param code integer
---@param ... integer
---@return string
function utf8.char(code, ...) end

---The code points of the characters that begin from byte `i` to byte `j`.
---@param s string
---@param i? integer
---@param j? integer
---@param lax? boolean
---@return integer ...
function utf8.codepoint(s, i, j, lax) end

---Iterates over the characters: their places and code points.
---@param s string
---@param lax? boolean
---@return fun(s: string, place: integer): integer, integer
function utf8.codes(s, lax) end

---The number of characters; nil and the place of the first byte that is none's.
---@param s string
---@param i? integer
---@param j? integer
---@param lax? boolean
---@return integer?
---@return integer? place
function utf8.len(s, i, j, lax) end

---Where the `n`th character from byte `i` on begins.
---@param s string
---@param n integer
---@param i? integer
---@return integer?
function utf8.offset(s, n, i) end

---@class mathlib
math = {}

---Larger than any other number.
math.huge = 0.0
---The largest integer.
math.maxinteger = 0
---The smallest integer.
math.mininteger = 0
---π.
math.pi = 0.0

---The absolute value.
---@generic N: number
---@param x N
---@return N
function math.abs(x) end

---The arc cosine, in radians.
---@param x number
---@return number
function math.acos(x) end

---The arc sine, in radians.
---@param x number
---@return number
function math.asin(x) end

---The arc tangent of `y / x`, in radians.
---@param y number
---@param x? number
---@return number
function math.atan(y, x) end

---@deprecated as in Lua 5.4: `math.atan(y, x)`
---@param y number
---@param x number
---@return number
function math.atan2(y, x) end

---The smallest integer that is not less.
---@param x number
---@return number
function math.ceil(x) end

---The cosine.
---@param x number
---@return number
function math.cos(x) end

---@deprecated as in Lua 5.4
---@param x number
---@return number
function math.cosh(x) end

---Radians as degrees.
---@param x number
---@return number
function math.deg(x) end

---e to the power of `x`.
---@param x number
---@return number
function math.exp(x) end

---The largest integer that is not greater.
---@param x number
---@return number
function math.floor(x) end

---The remainder of a division that rounds to zero.
---@param x number
---@param y number
---@return number
function math.fmod(x, y) end

---@deprecated as in Lua 5.4
---@param x number
---@return number mantissa
---@return integer exponent
function math.frexp(x) end

---@deprecated as in Lua 5.4: `m * 2.0 ^ e`
---@param m number
---@param e integer
---@return number
function math.ldexp(m, e) end

---The logarithm; natural unless a base is given.
---@param x number
---@param base? number
---@return number
function math.log(x, base) end

---@deprecated as in Lua 5.4: `math.log(x, 10)`
---@param x number
---@return number
function math.log10(x) end

---The greatest of the numbers.
---@generic N: number
---@param x N
---@param ... N
---@return N
function math.max(x, ...) end

---The least of the numbers.
---@generic N: number
---@param x N
---@param ... N
---@return N
function math.min(x, ...) end

---The integral and the fractional part.
---@param x number
---@return number
---@return number
function math.modf(x) end

---@deprecated as in Lua 5.4: `x ^ y`
---@param x number
---@param y number
---@return number
function math.pow(x, y) end

---Degrees as radians.
---@param x number
---@return number
function math.rad(x) end

---A random number from 0 up to 1; or a random integer up to `m`, or from `m` to `n`.
---@param m? integer
---@param n? integer
---@return number
function math.random(m, n) end

---Starts the sequence of random numbers anew.
---@param x? number
---@param y? integer
function math.randomseed(x, y) end

---The sine.
---@param x number
---@return number
function math.sin(x) end

---@deprecated as in Lua 5.4
---@param x number
---@return number
function math.sinh(x) end

---The square root.
---@param x number
---@return number
function math.sqrt(x) end

---The tangent.
---@param x number
---@return number
function math.tan(x) end

---@deprecated as in Lua 5.4
---@param x number
---@return number
function math.tanh(x) end

---The integer of that value; nil if there is none.
---@param x any
---@return integer?
function math.tointeger(x) end

---Whether a number is an integer or a float; nil if it is no number.
---@param x any
---@return 'integer'|'float'|nil
function math.type(x) end

---Whether an integer is less than another, both unsigned.
---@param m integer
---@param n integer
---@return boolean
function math.ult(m, n) end
