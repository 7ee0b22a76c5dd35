/* The sandbox's string library. */
#define _GNU_SOURCE		/* memmem */
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "ls_state.h"
#include "ls_string.h"

/* What is matched between two looks at the clock: some tens of microseconds. */
#define STEPS_PER_SLICE 10000
/* What the C library copies or searches in the time of one step. */
#define BYTES_PER_STEP 16
/* What it costs to print a number. */
#define STEPS_PER_ARGUMENT 16

/* More than any budget holds, and far from overflowing one. */
#define UNPAYABLE (INT64_C(1) << 50)

static struct ls_string_operations operations;

void ls_set_string_operations(struct ls_string_operations ops)
{
	operations = ops;
}

static void charge_bytes(lua_State *L, size_t bytes)
{
	ls_charge(L, 1 + (int64_t)(bytes / BYTES_PER_STEP));
}

/*
 * search: runs a search to its end, in slices.
 *
 * => Not inlined, so that the matcher's storage is off the stack again while
 *    gsub calls a script's function.
 */
static __attribute__((noinline)) bool search(lua_State *L, struct ls_search *s)
{
	_Alignas(16) unsigned char matcher[LS_MATCHER_SIZE];
	enum ls_outcome outcome;

	/* The matcher first looks for the pattern's literal prefix. */
	charge_bytes(L, s->pattern_length);
	operations.begin(s, matcher);
	do {
		int64_t budget = *ls_budget(L);
		ptrdiff_t slice = STEPS_PER_SLICE, steps;

		/* One more than is left, so that the limit is reached when it is not enough. */
		if (budget >= 0 && budget < slice)
			slice = (ptrdiff_t)budget + 1;
		steps = slice;
		outcome = operations.resume(s, matcher, &steps);
		ls_charge(L, slice - steps);
	} while (outcome == LS_EXHAUSTED);

	if (outcome == LS_MALFORMED) {
		if (s->message_number < 0)
			luaL_error(L, "%s", s->message);
		luaL_error(L, "%s%d", s->message, s->message_number);
	}
	return outcome == LS_MATCHED;
}

static struct ls_search new_search(lua_State *L, int subject, int pattern)
{
	struct ls_search s;

	s.subject = (const unsigned char *)lua_tolstring(L, subject, &s.subject_length);
	s.pattern = (const unsigned char *)lua_tolstring(L, pattern, &s.pattern_length);
	s.from = 0;
	s.excluded_end = -1;
	s.anchors = true;
	return s;
}

/* What a capture holds: bytes of the subject, or a position. */
struct capture_value {
	const char *bytes;	/* NULL: a position */
	size_t length;
	lua_Integer position;
};

/* capture_value: looks a capture up; capture 0 of a pattern without captures is the whole match. */
static struct capture_value capture_value(lua_State *L, const struct ls_search *s, int index)
{
	struct ls_capture capture = { s->start, s->end - s->start };

	if (index < s->capture_count)
		capture = s->captures[index];
	else if (index != 0)
		luaL_error(L, "invalid capture index %%%d", index + 1);

	if (capture.length == LS_CAPTURE_UNFINISHED)
		luaL_error(L, "unfinished capture");
	if (capture.length == LS_CAPTURE_POSITION)
		return (struct capture_value){ .position = capture.start + 1 };
	charge_bytes(L, (size_t)capture.length);
	return (struct capture_value){ .bytes = (const char *)s->subject + capture.start,
				       .length = (size_t)capture.length };
}

static void push_capture(lua_State *L, const struct ls_search *s, int index)
{
	struct capture_value value = capture_value(L, s, index);

	if (value.bytes == NULL)
		lua_pushinteger(L, value.position);
	else
		lua_pushlstring(L, value.bytes, value.length);
}

static int push_captures(lua_State *L, const struct ls_search *s)
{
	luaL_checkstack(L, s->capture_count, "too many captures");
	for (int i = 0; i < s->capture_count; i++)
		push_capture(L, s, i);
	return s->capture_count;
}

static int push_captures_or_match(lua_State *L, const struct ls_search *s)
{
	if (s->capture_count > 0)
		return push_captures(L, s);
	push_capture(L, s, 0);
	return 1;
}

/* start_argument: the offset meant by an optional position, which may count from the end. */
static size_t start_argument(lua_State *L, int arg, size_t length)
{
	lua_Integer position = luaL_optinteger(L, arg, 1);

	if (position > 0)
		return (size_t)position - 1;
	if (position == 0 || position < -(lua_Integer)length)
		return 0;
	return length + (size_t)position;
}

static bool has_specials(const struct ls_search *s)
{
	static const bool special[256] = {
		['^'] = true, ['$'] = true, ['*'] = true, ['+'] = true, ['?'] = true, ['.'] = true,
		['('] = true, ['['] = true, ['%'] = true, ['-'] = true,
	};

	for (size_t i = 0; i < s->pattern_length; i++)
		if (special[s->pattern[i]])
			return true;
	return false;
}

static int push_plain_find(lua_State *L, const struct ls_search *s)
{
	const unsigned char *from = s->subject + s->from;
	const unsigned char *found = memmem(from, s->subject_length - (size_t)s->from, s->pattern, s->pattern_length);

	if (found == NULL) {
		luaL_pushfail(L);
		return 1;
	}
	lua_pushinteger(L, found - s->subject + 1);
	lua_pushinteger(L, found - s->subject + (lua_Integer)s->pattern_length);
	return 2;
}

static int find_or_match(lua_State *L, bool is_find)
{
	size_t subject_length, from;
	struct ls_search s;

	luaL_checklstring(L, 1, &subject_length);
	luaL_checkstring(L, 2);
	from = start_argument(L, 3, subject_length);
	if (from > subject_length) {
		luaL_pushfail(L);
		return 1;
	}
	s = new_search(L, 1, 2);
	s.from = (ptrdiff_t)from;
	if (is_find) {
		charge_bytes(L, s.pattern_length);
		if (lua_toboolean(L, 4) || !has_specials(&s)) {
			charge_bytes(L, subject_length - from);
			return push_plain_find(L, &s);
		}
	}
	if (!search(L, &s)) {
		luaL_pushfail(L);
		return 1;
	}
	if (!is_find)
		return push_captures_or_match(L, &s);
	lua_pushinteger(L, s.start + 1);
	lua_pushinteger(L, s.end);
	return push_captures(L, &s) + 2;
}

static int string_find(lua_State *L)
{
	return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* The iterator of gmatch; upvalues: subject, pattern, where to go on, the last match's end. */
static int gmatch_next(lua_State *L)
{
	struct ls_search s = new_search(L, lua_upvalueindex(1), lua_upvalueindex(2));

	s.from = lua_tointeger(L, lua_upvalueindex(3));
	s.excluded_end = lua_tointeger(L, lua_upvalueindex(4));
	s.anchors = false;
	if (!search(L, &s))
		return 0;
	lua_pushinteger(L, s.end);
	lua_copy(L, -1, lua_upvalueindex(3));
	lua_replace(L, lua_upvalueindex(4));
	return push_captures_or_match(L, &s);
}

static int string_gmatch(lua_State *L)
{
	size_t subject_length, from;

	luaL_checklstring(L, 1, &subject_length);
	luaL_checkstring(L, 2);
	from = start_argument(L, 3, subject_length);
	lua_settop(L, 2);
	/* A start past the end finds nothing, the empty match at the end included. */
	lua_pushinteger(L, (lua_Integer)(from > subject_length ? subject_length + 1 : from));
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, gmatch_next, 4);
	return 1;
}

static void add_bytes(lua_State *L, luaL_Buffer *b, const char *bytes, size_t length)
{
	charge_bytes(L, length);
	luaL_addlstring(b, bytes, length);
}

static void add_capture(lua_State *L, luaL_Buffer *b, const struct ls_search *s, int index)
{
	struct capture_value value = capture_value(L, s, index);

	if (value.bytes != NULL) {
		luaL_addlstring(b, value.bytes, value.length);
	} else {
		lua_pushinteger(L, value.position);
		luaL_addvalue(b);
	}
}

/* add_replacement: adds the replacement string with its captures filled in. */
static void add_replacement(lua_State *L, luaL_Buffer *b, const struct ls_search *s)
{
	size_t length;
	const char *text = lua_tolstring(L, 3, &length);
	const char *end = text + length;
	const char *escape;

	while ((escape = memchr(text, '%', (size_t)(end - text))) != NULL) {
		char digit = escape[1];

		add_bytes(L, b, text, (size_t)(escape - text));
		text = escape + 2;
		if (digit == '%') {
			luaL_addchar(b, '%');
		} else if (digit == '0') {
			add_bytes(L, b, (const char *)s->subject + s->start, (size_t)(s->end - s->start));
		} else if (digit >= '1' && digit <= '9') {
			add_capture(L, b, s, digit - '1');
		} else {
			luaL_error(L, "invalid use of '%%' in replacement string");
		}
	}
	add_bytes(L, b, text, (size_t)(end - text));
}

/* add_value: adds what replaces the match; false when the match stays as it is. */
static bool add_value(lua_State *L, luaL_Buffer *b, const struct ls_search *s, int type)
{
	size_t length;

	switch (type) {
	case LUA_TFUNCTION:
		lua_pushvalue(L, 3);
		lua_call(L, push_captures_or_match(L, s), 1);
		break;
	case LUA_TTABLE:
		push_capture(L, s, 0);
		lua_gettable(L, 3);
		break;
	default:
		add_replacement(L, b, s);
		return true;
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		add_bytes(L, b, (const char *)s->subject + s->start, (size_t)(s->end - s->start));
		return false;
	}
	if (!lua_isstring(L, -1))
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	lua_tolstring(L, -1, &length);
	charge_bytes(L, length);
	luaL_addvalue(b);
	return true;
}

static int string_gsub(lua_State *L)
{
	size_t subject_length;
	const char *subject = luaL_checklstring(L, 1, &subject_length);
	const char *pattern = luaL_checkstring(L, 2);
	int type = lua_type(L, 3);
	lua_Integer limit = luaL_optinteger(L, 4, (lua_Integer)subject_length + 1);
	lua_Integer count = 0;
	ptrdiff_t copied = 0;
	bool changed = false;
	struct ls_search s;
	luaL_Buffer b;

	luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TFUNCTION,
			 3, "string/function/table");
	charge_bytes(L, subject_length);
	s = new_search(L, 1, 2);
	luaL_buffinit(L, &b);
	while (count < limit && search(L, &s)) {
		count++;
		luaL_addlstring(&b, subject + copied, (size_t)(s.start - copied));
		changed |= add_value(L, &b, &s, type);
		copied = s.from = s.excluded_end = s.end;
		if (*pattern == '^')
			break;
	}
	if (changed) {
		luaL_addlstring(&b, subject + copied, subject_length - (size_t)copied);
		luaL_pushresult(&b);
	} else {
		lua_pushvalue(L, 1);
	}
	lua_pushinteger(L, count);
	return 2;
}

/* string_rep: Lua's own (the upvalue), paid for before it makes anything. */
static int string_rep(lua_State *L)
{
	size_t length, separator;
	lua_Integer count;
	int64_t steps;

	luaL_checklstring(L, 1, &length);
	count = luaL_checkinteger(L, 2);
	luaL_optlstring(L, 3, "", &separator);
	/* What would not fit an integer, Lua refuses. */
	if (count > 0 && length + separator <= (size_t)(LUA_MAXINTEGER / count)) {
		steps = count / 2 + (lua_Integer)(length + separator) * count / BYTES_PER_STEP;
		ls_charge(L, steps < UNPAYABLE ? steps : UNPAYABLE);
	}
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/*
 * metered: one of Lua's own functions (upvalue 1) whose work is in proportion
 * to its results and, if upvalue 2 says that the first argument is a format,
 * to that and to the number of arguments. Upvalue 3 is the first argument that is
 * not the text at hand, 0 for none.
 */
static int metered(lua_State *L)
{
	size_t bytes = 0;
	int results;

	/* Where a number is wanted, a numeral of any length is converted. */
	for (int i = (int)lua_tointeger(L, lua_upvalueindex(3)); i > 0 && i <= lua_gettop(L); i++)
		if (lua_type(L, i) == LUA_TSTRING)
			charge_bytes(L, lua_rawlen(L, i));
	if (lua_toboolean(L, lua_upvalueindex(2)))
		ls_charge(L, (int64_t)lua_rawlen(L, 1) + (int64_t)lua_gettop(L) * STEPS_PER_ARGUMENT);
	results = lua_tocfunction(L, lua_upvalueindex(1))(L);
	for (int i = 1; i <= results; i++)
		if (lua_type(L, -i) == LUA_TSTRING)
			bytes += lua_rawlen(L, -i);
	/* The results may have left no room for a message. */
	luaL_checkstack(L, LUA_MINSTACK, "too many results");
	ls_charge(L, results + (int64_t)(bytes / BYTES_PER_STEP));
	return results;
}

static const luaL_Reg pattern_functions[] = {
	{ "find", string_find },
	{ "gmatch", string_gmatch },
	{ "gsub", string_gsub },
	{ "match", string_match },
	{ NULL, NULL },
};

static const struct {
	const char *name;
	bool takes_format;
	int converted_from;
} metered_functions[] = {
	{ "byte", false, 2 }, { "char", false, 1 }, { "format", true, 2 }, { "lower", false, 0 }, { "pack", true, 2 },
	{ "packsize", true, 0 }, { "reverse", false, 0 }, { "sub", false, 2 }, { "unpack", true, 3 }, { "upper", false, 0 },
};

void ls_register_string(lua_State *L)
{
	if (operations.begin == NULL)
		luaL_error(L, "ls_set_string_operations has not been called");
	lua_pushcfunction(L, luaopen_string);
	lua_call(L, 0, 1);
	luaL_newlib(L, pattern_functions);
	for (size_t i = 0; i < sizeof(metered_functions) / sizeof(metered_functions[0]); i++) {
		lua_getfield(L, -2, metered_functions[i].name);
		lua_pushboolean(L, metered_functions[i].takes_format);
		lua_pushinteger(L, metered_functions[i].converted_from);
		lua_pushcclosure(L, metered, 3);
		lua_setfield(L, -2, metered_functions[i].name);
	}
	lua_getfield(L, -2, "rep");
	lua_pushcclosure(L, string_rep, 1);
	lua_setfield(L, -2, "rep");
	lua_getfield(L, -2, "len");
	lua_setfield(L, -2, "len");
	lua_remove(L, -2);

	/* luaopen_string has given strings a metatable, with Lua's arithmetic on numerals. */
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 2);
}
