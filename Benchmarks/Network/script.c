/*
 * What a script costs at least: its function called by Lua's own interface, with views of the packet that have what the
 * measured script asks of them, and none of what the daemon adds: no limits, no rules, no states, no edits.
 */
#include "script.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#define VIEW "view"

struct view {
	const char *bytes;
	lua_Integer length;
};

static lua_State *L;
static int function;

static void push_view(lua_State *L, const char *bytes, lua_Integer length)
{
	struct view *view = lua_newuserdatauv(L, sizeof(*view), 0);

	view->bytes = bytes;
	view->length = length;
	luaL_setmetatable(L, VIEW);
}

static int segment(lua_State *L)
{
	const struct view *view = luaL_checkudata(L, 1, VIEW);
	lua_Integer offset = luaL_checkinteger(L, 2), length = luaL_checkinteger(L, 3);

	if (offset > view->length)
		offset = view->length;
	if (length > view->length - offset)
		length = view->length - offset;
	push_view(L, view->bytes + offset, length);
	return 1;
}

static int to_string(lua_State *L)
{
	const struct view *view = luaL_checkudata(L, 1, VIEW);

	lua_pushlstring(L, view->bytes, (size_t)view->length);
	return 1;
}

static void fail(void)
{
	fprintf(stderr, "accept_all: %s\n", lua_tostring(L, -1));
	exit(1);
}

void load_script(const char *path)
{
	L = luaL_newstate();
	luaL_openlibs(L);
	luaL_newmetatable(L, VIEW);
	lua_pushcfunction(L, to_string);
	lua_setfield(L, -2, "__tostring");
	lua_newtable(L);
	lua_pushcfunction(L, segment);
	lua_setfield(L, -2, "segment");
	lua_setfield(L, -2, "__index");
	if (luaL_dofile(L, path) != LUA_OK)
		fail();
	lua_getglobal(L, "filter");
	function = luaL_ref(L, LUA_REGISTRYINDEX);
}

int call_script(const char *packet, unsigned length)
{
	unsigned header = length > 0 ? (packet[0] & 15) * 4u : 0, transport;
	int passes;

	if (length < 40 || header > length - 20)
		return 1;
	transport = packet[9] == 6 ? ((unsigned char)packet[header + 12] >> 4) * 4u : 8;
	if (transport > length - header)
		return 1;
	lua_rawgeti(L, LUA_REGISTRYINDEX, function);
	push_view(L, packet, header);
	push_view(L, packet + header + transport, length - header - transport);
	if (lua_pcall(L, 2, 1, 0) != LUA_OK)
		fail();
	passes = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return passes;
}
