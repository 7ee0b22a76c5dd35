/* The sandbox's string library. */
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "patterns.h"

/* What it costs to print a number. */
#define STEPS_PER_ARGUMENT 16

/* More than any budget holds, and far from overflowing one. */
#define UNPAYABLE (INT64_C(1) << 50)

static int string_find(lua_State *L)
{
	size_t length;
	const char *subject = luaL_checklstring(L, 1, &length);

	return ls_find(L, subject, length);
}

static int string_match(lua_State *L)
{
	size_t length;
	const char *subject = luaL_checklstring(L, 1, &length);

	return ls_match(L, subject, length);
}

static int next_match(lua_State *L)
{
	size_t length;
	const char *subject = lua_tolstring(L, lua_upvalueindex(LS_SUBJECT), &length);

	return ls_gmatch_next(L, subject, length);
}

static int string_gmatch(lua_State *L)
{
	size_t length;

	luaL_checklstring(L, 1, &length);
	return ls_gmatch(L, length, next_match);
}

static void add_bytes(lua_State *L, luaL_Buffer *b, const char *bytes, size_t length)
{
	ls_charge_bytes(L, length);
	luaL_addlstring(b, bytes, length);
}

static void add_capture(lua_State *L, luaL_Buffer *b, const struct ls_search *s, int index)
{
	struct ls_capture_value value = ls_capture_value(L, s, index);

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
		lua_call(L, ls_push_captures_or_match(L, s), 1);
		break;
	case LUA_TTABLE:
		ls_push_capture(L, s, 0);
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
	ls_charge_bytes(L, length);
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
	ls_charge_bytes(L, subject_length);
	s.subject = (const unsigned char *)subject;
	s.subject_length = subject_length;
	/* What a function or a metamethod matches may take the program's place. */
	s.program = ls_program(L, 2, pattern, LS_PATTERN, true);
	s.from = 0;
	s.excluded_end = -1;
	luaL_buffinit(L, &b);
	while (count < limit && ls_run_search(L, &s)) {
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
			ls_charge_bytes(L, lua_rawlen(L, i));
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
	ls_open_patterns(L);
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
