/* Patterns on data objects: what `string` does, straight on their memory. */
#include "data.h"
#include "patterns.h"

#include <lauxlib.h>

static const ls_data *check_self(lua_State *L)
{
	const ls_data *data = ls_userdata(L, 1, &ls_data_kind);

	luaL_argexpected(L, data != NULL, 1, "data");
	return data;
}

/* d:match(pattern [, start]) */
static int data_match(lua_State *L)
{
	const ls_data *data = check_self(L);

	return ls_match(L, data->bytes, (size_t)ls_length(ls_of(L), data));
}

/* d:find(pattern [, start [, plain]]) */
static int data_find(lua_State *L)
{
	const ls_data *data = check_self(L);

	return ls_find(L, data->bytes, (size_t)ls_length(ls_of(L), data));
}

/* The view may have become empty since: then the iteration is over, for good. */
static int next_match(lua_State *L)
{
	const ls_data *data = lua_touserdata(L, lua_upvalueindex(LS_SUBJECT));

	if (data->epoch != 0 && !ls_iterates_now(L))
		return 0;
	return ls_gmatch_next(L, data->bytes, (size_t)ls_length(ls_of(L), data));
}

/* d:gmatch(pattern [, start]) */
static int data_gmatch(lua_State *L)
{
	const ls_data *data = check_self(L);

	return ls_gmatch(L, (size_t)ls_length(ls_of(L), data), next_match);
}

void ls_add_match_methods(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "find", data_find },
		{ "gmatch", data_gmatch },
		{ "match", data_match },
		{ NULL, NULL },
	};

	luaL_setfuncs(L, methods, 0);
}
