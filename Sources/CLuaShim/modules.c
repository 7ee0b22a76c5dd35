/* `print` and `require`: the two globals that reach the host. */
#include "state.h"

#include <lauxlib.h>
#include <string.h>

#define LONGEST_PRINT 4096
#define LONGEST_NAME 200

/* Addresses that stand for places in the registry. */
static const char print_key, loader_key, modules_key, pending_key;

static void set_callback(ls_state *s, const void *key, ls_callback callback, void *context)
{
	ls_push_callback(s->L, callback, context);
	lua_rawsetp(s->L, LUA_REGISTRYINDEX, key);
}

void ls_set_print(ls_state *s, ls_callback callback, void *context)
{
	set_callback(s, &print_key, callback, context);
}

void ls_set_loader(ls_state *s, ls_callback callback, void *context)
{
	set_callback(s, &loader_key, callback, context);
}

size_t ls_join(lua_State *L, int first, char *text, size_t room)
{
	size_t length = 0;
	int count = lua_gettop(L);
	int i;

	for (i = first; i <= count && length < room; i++) {
		size_t size;
		const char *bytes = luaL_tolstring(L, i, &size);

		ls_charge(L, 1);
		if (i > first)
			text[length++] = '\t';
		if (size > room - length)
			size = room - length;
		memcpy(text + length, bytes, size);
		length += size;
		lua_pop(L, 1);
	}
	return length;
}

/* What is longer than a line of text should be is cut. */
int ls_print(lua_State *L)
{
	char text[LONGEST_PRINT];
	size_t length;

	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &print_key) == LUA_TNIL)
		return 0;
	lua_insert(L, 1);
	length = ls_join(L, 2, text, sizeof(text));
	lua_settop(L, 1);
	lua_pushlstring(L, text, length);
	lua_call(L, 1, 0);
	return 0;
}

/* Pushes a table of the registry, made when first asked for. */
static void push_table(lua_State *L, const void *key)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TNIL)
		return;
	lua_pop(L, 1);
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void ls_push_modules(lua_State *L)
{
	push_table(L, &modules_key);
}

/* A module's chunk runs once; pending holds the call in which it began, so that a loop is seen. */
int ls_require(lua_State *L)
{
	ls_state *s = ls_of(L);
	size_t length;
	const char *name = luaL_checklstring(L, 1, &length);

	luaL_argcheck(L, length <= LONGEST_NAME, 1, "the name is too long");
	lua_settop(L, 1);
	ls_push_modules(L);
	lua_pushvalue(L, 1);
	if (lua_rawget(L, 2) != LUA_TNIL)
		return 1;
	if (s->filtering)
		return luaL_error(L, "module '%s' must be required when the script is loaded", name);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &loader_key) == LUA_TNIL)
		return luaL_error(L, "module '%s' not found", name);
	push_table(L, &pending_key);
	lua_pushvalue(L, 1);
	lua_rawget(L, 5);
	if (lua_tointeger(L, -1) == s->calls)
		return luaL_error(L, "loop or previous error loading module '%s'", name);
	lua_pushvalue(L, 1);
	lua_pushinteger(L, s->calls);
	lua_rawset(L, 5);

	lua_pushvalue(L, 4);
	lua_pushvalue(L, 1);
	lua_call(L, 1, 1);
	lua_pushvalue(L, 1);
	lua_call(L, 1, 1);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_pushboolean(L, true);
	}
	lua_pushvalue(L, 1);
	lua_pushvalue(L, -2);
	lua_rawset(L, 2);
	return 1;
}
