/*
 * The sandbox: the globals that a script gets, by name.
 *
 * Left out are what reaches outside (io, os, package, dofile, loadfile), what escapes the meter (coroutines have hook
 * counters of their own; load compiles in one long step; collectgarbage) and debug. What a function does in C is
 * bounded, or charged to the budget.
 */
#include "state.h"

#include <lauxlib.h>
#include <lualib.h>
#include <sys/random.h>

/* Before a C function that takes time in proportion to its arguments: upvalue 1 is that function. */
static int metered(lua_State *L)
{
	int64_t steps = lua_gettop(L);
	int argument;

	for (argument = 1; argument <= lua_gettop(L); argument++) {
		if (lua_type(L, argument) == LUA_TSTRING)
			steps += (int64_t)(lua_rawlen(L, argument) / 8);
	}
	ls_charge(L, steps);
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Likewise for functions that have upvalues of their own, so that they must be called. */
static int called(lua_State *L)
{
	int argument;

	for (argument = 1; argument <= lua_gettop(L); argument++) {
		if (lua_type(L, argument) == LUA_TSTRING)
			ls_charge(L, (int64_t)(lua_rawlen(L, argument) / 8));
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

/* Likewise for functions that compare their arguments: the system compares strings of NULs a byte at a time. */
static int compared(lua_State *L)
{
	int64_t steps = lua_gettop(L);
	int argument;

	for (argument = 1; argument <= lua_gettop(L); argument++) {
		if (lua_type(L, argument) == LUA_TSTRING)
			steps += 2 * (int64_t)lua_rawlen(L, argument);
	}
	ls_charge(L, steps);
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Before a C function of which one argument is a number: upvalue 1 is that function, upvalue 2 the argument. */
static int converting(lua_State *L)
{
	int argument = (int)lua_tointeger(L, lua_upvalueindex(2));

	if (lua_type(L, argument) == LUA_TSTRING)
		ls_charge(L, (int64_t)(lua_rawlen(L, argument) / 8));
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* The iterator of utf8.codes passes over continuation bytes, however many; upvalue 1 is Lua's. */
static int next_code(lua_State *L)
{
	size_t length;
	const char *bytes = luaL_checklstring(L, 1, &length);
	size_t from, i;

	if (lua_type(L, 2) == LUA_TSTRING)
		ls_charge(L, (int64_t)(lua_rawlen(L, 2) / 8));
	from = i = (size_t)lua_tointeger(L, 2);
	while (i < length && (bytes[i] & 0xc0) == 0x80)
		i++;
	ls_charge(L, 1 + (int64_t)((i - from) / 4));
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* utf8.codes: upvalue 1 is Lua's. */
static int codes(lua_State *L)
{
	int results = lua_tocfunction(L, lua_upvalueindex(1))(L);

	lua_pushvalue(L, -results);
	lua_pushcclosure(L, next_code, 1);
	lua_replace(L, -results - 1);
	return results;
}

/*
 * The message handler of xpcall; upvalue 1 is the script's. After a limit that one is not called: Lua runs a handler
 * where the error is raised, which then is the hook, and no hook watches what runs in a hook.
 */
static int handle_error(lua_State *L)
{
	if (ls_of(L)->expired != LS_OK)
		return 1;
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 1, 1);
	return 1;
}

static int protected_call(lua_State *L)
{
	int arguments = lua_gettop(L) - 2;
	int status;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushvalue(L, 2);
	lua_pushcclosure(L, handle_error, 1);
	lua_replace(L, 2);
	lua_pushvalue(L, 1);
	lua_insert(L, 3);
	status = lua_pcall(L, arguments, LUA_MULTRET, 2);
	luaL_checkstack(L, LUA_MINSTACK, "too many results");
	lua_pushboolean(L, status == LUA_OK);
	lua_replace(L, 2);
	return lua_gettop(L) - 1;
}

/* Metamethods that Lua calls, or heeds, where no limit holds; see disarm. */
static const char *const refused_metamethods[] = { "__gc", "__close", "__mode", NULL };

static int set_metatable(lua_State *L)
{
	int type = lua_type(L, 2);
	const char *const *name;

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	for (name = refused_metamethods; type == LUA_TTABLE && *name != NULL; name++) {
		lua_pushstring(L, *name);
		if (lua_rawget(L, 2) != LUA_TNIL)
			return luaL_error(L, "metatables have no '%s' here", *name);
		lua_pop(L, 1);
	}
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

/*
 * Makes Lua blind to these metamethods, also when a script adds one to a metatable that is already set. Finalizers run
 * with hooks off, pending `__close` calls each run on after a limit, and weak keys can make one collection quadratic.
 * Lua finds a metamethod by the address of its interned name; a script's string of the same bytes gets another address
 * once the bytes there are changed. The buffers of lauxlib close themselves, so their metatable is made before.
 */
static void disarm(lua_State *L)
{
	const char *const *name;
	luaL_Buffer buffer;

	luaL_buffinitsize(L, &buffer, 2 * LUAL_BUFFERSIZE);
	luaL_pushresultsize(&buffer, 0);
	lua_pop(L, 1);
	for (name = refused_metamethods; *name != NULL; name++) {
		char *bytes = (char *)(uintptr_t)lua_pushstring(L, *name);

		/* Random, as a script that guesses the bytes might get the address. */
		if (getrandom(bytes, lua_rawlen(L, -1), 0) < 0)
			luaL_error(L, "getrandom");
		lua_pop(L, 1);
	}
}

/* Copies named functions from the table on top to the one below it, and takes the former off. */
static void admit(lua_State *L, const char *const *names)
{
	for (; *names != NULL; names++) {
		lua_getfield(L, -1, *names);
		lua_setfield(L, -3, *names);
	}
	lua_pop(L, 1);
}

/* Wraps named functions of the table on top in `metered` or its like: what has the function as its upvalue 1. */
static void meter(lua_State *L, lua_CFunction wrapper, const char *const *names)
{
	for (; *names != NULL; names++) {
		lua_getfield(L, -1, *names);
		lua_pushcclosure(L, wrapper, 1);
		lua_setfield(L, -2, *names);
	}
}

/* Wraps a function of the table on top that takes a number as one argument in `converting`. */
static void meter_conversion(lua_State *L, const char *name, int argument)
{
	lua_getfield(L, -1, name);
	lua_pushinteger(L, argument);
	lua_pushcclosure(L, converting, 2);
	lua_setfield(L, -2, name);
}

static void set_function(lua_State *L, const char *name, lua_CFunction function)
{
	lua_pushcfunction(L, function);
	lua_setfield(L, -2, name);
}

/* Room for what a script finds, so that the table is made once. */
#define GLOBALS 32

int ls_build_sandbox(lua_State *L)
{
	static const char *const base[] = {
		"_VERSION", "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget",
		"rawlen", "rawset", "select", "tonumber", "tostring", "type", NULL,
	};
	static const char *const long_running_base[] = { "tonumber", NULL };
	static const char *const spelling_base[] = { "tostring", NULL };
	static const char *const comparing_math[] = { "max", "min", NULL };
	static const char *const converting_math[] = {
		"abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor", "fmod", "log", "modf", "rad", "sin",
		"sqrt", "tan", "tointeger", "ult", NULL,
	};
	static const char *const random_math[] = { "random", "randomseed", NULL };
	static const char *const long_running_utf8[] = { "char", "codepoint", "len", "offset", NULL };
	static const char *const iterating_utf8[] = { "codes", NULL };

	lua_createtable(L, 0, GLOBALS);
	lua_pushcfunction(L, luaopen_base);
	lua_call(L, 0, 1);
	admit(L, base);
	meter(L, metered, long_running_base);
	meter_conversion(L, "select", 1);
	meter_conversion(L, "error", 2);
	meter(L, ls_to_string, spelling_base);
	set_function(L, "print", ls_print);
	set_function(L, "require", ls_require);
	set_function(L, "setmetatable", set_metatable);
	set_function(L, "xpcall", protected_call);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "_G");

	luaopen_math(L);
	meter(L, compared, comparing_math);
	meter(L, metered, converting_math);
	meter(L, called, random_math);
	lua_setfield(L, -2, "math");
	luaopen_utf8(L);
	meter(L, metered, long_running_utf8);
	meter(L, codes, iterating_utf8);
	lua_setfield(L, -2, "utf8");
	ls_open_table(L);
	lua_setfield(L, -2, "table");
	ls_register_string(L);
	lua_setfield(L, -2, "string");

	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	disarm(L);
	return 0;
}
