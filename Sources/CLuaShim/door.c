/* The doors between host mode and script mode, and the life of a state. */
#include "state.h"

#include <lauxlib.h>
#include <stdlib.h>

ls_state *ls_open(const ls_limits *limits)
{
	ls_state *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	ls_open_pool(&s->pool);
	s->limits = *limits;
	s->host = 1;
	s->epoch = 1;
	s->metatable = s->plain_metatable = LUA_NOREF;
	s->L = lua_newstate(ls_allocate, s);
	*(ls_state **)lua_getextraspace(s->L) = s;
	lua_pushcfunction(s->L, ls_build_sandbox);
	if (lua_pcall(s->L, 0, 0, 0) != LUA_OK)
		abort();	/* no memory can be wanting in host mode, so this is a mistake of ours */
	ls_collect(s);
	if (s->used > s->limits.memory) {
		ls_close(s);
		return NULL;
	}
	return s;
}

static _Atomic size_t leaked_bytes, leaked_blocks;

void ls_close(ls_state *s)
{
	lua_close(s->L);
	leaked_bytes += s->used;
	leaked_blocks += s->held;
	ls_close_pool(&s->pool);
	free(s);
}

ls_leak ls_leaked(void)
{
	return (ls_leak){ leaked_bytes, leaked_blocks };
}

lua_State *ls_lua(ls_state *s)
{
	return s->L;
}

void ls_set_limits(ls_state *s, const ls_limits *limits)
{
	s->limits = *limits;
}

static enum ls_status status_of(ls_state *s, int result)
{
	if (s->expired != LS_OK)
		return s->expired;
	switch (result) {
	case LUA_OK:
		return LS_OK;
	case LUA_ERRMEM:
		return LS_MEMORY;
	default:
		return LS_ERROR;
	}
}

enum ls_status ls_run(ls_state *s, int handler, int arguments, int results)
{
	lua_State *L = s->L;
	bool nested = s->running;
	unsigned host = s->host;
	enum ls_status status;
	int result;

	if (!nested)
		ls_begin(s);
	s->host = 0;
	result = lua_pcall(L, arguments, results, handler);
	s->host = host;
	status = status_of(s, result);
	if (status != LS_OK) {
		if (s->message_length == 0 && result != LUA_OK)
			ls_set_message(s, "%s", lua_tostring(L, -1));
		lua_settop(L, handler);
	}
	if (!nested) {
		s->running = false;
		ls_tidy(s);
	}
	return status;
}

enum ls_status ls_call(ls_state *s, int arguments, int results)
{
	int handler = lua_gettop(s->L) - arguments;
	enum ls_status status;

	lua_pushcfunction(s->L, ls_note_error);
	lua_insert(s->L, handler);
	status = ls_run(s, handler, arguments, results);
	lua_remove(s->L, handler);
	return status;
}

enum ls_status ls_load(ls_state *s, const char *source, size_t length, const char *chunk_name)
{
	enum ls_status status;
	int result;

	ls_begin(s);
	result = ls_compile(s->L, source, length, chunk_name);
	s->running = false;
	if (result == LUA_OK) {
		status = ls_call(s, 0, 0);
	} else {
		status = result == LUA_ERRSYNTAX && s->expired == LS_OK ? LS_SYNTAX : status_of(s, result);
		if (s->expired == LS_OK)
			ls_set_message(s, "%s", lua_tostring(s->L, -1));
		else
			ls_set_message(s, "%s: while compiling: %s", chunk_name + 1, lua_tostring(s->L, -1));
		lua_pop(s->L, 1);
		ls_tidy(s);
	}
	return status;
}

/* Upvalues: the callback, its context. */
static int guarded_callback(lua_State *L)
{
	ls_state *s = ls_of(L);
	ls_callback callback = (ls_callback)lua_touserdata(L, lua_upvalueindex(1));
	int results;

	s->host++;
	results = callback(L, lua_touserdata(L, lua_upvalueindex(2)));
	s->host--;
	if (s->debt)
		ls_settle(L);
	if (results < 0)
		return lua_error(L);
	return results;
}

void ls_push_callback(lua_State *L, ls_callback callback, void *context)
{
	lua_pushlightuserdata(L, (void *)callback);
	lua_pushlightuserdata(L, context);
	lua_pushcclosure(L, guarded_callback, 2);
}

int ls_function(ls_state *s, const char *name, int *parameters, bool *variadic)
{
	lua_State *L = s->L;
	lua_Debug function;

	lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_pushstring(L, name);
	if (lua_rawget(L, -2) != LUA_TFUNCTION) {
		lua_pop(L, 2);
		return LUA_NOREF;
	}
	lua_remove(L, -2);
	lua_pushvalue(L, -1);
	lua_getinfo(L, ">u", &function);
	*parameters = function.nparams;
	*variadic = function.isvararg;
	return luaL_ref(L, LUA_REGISTRYINDEX);
}

void ls_release(ls_state *s, int function)
{
	luaL_unref(s->L, LUA_REGISTRYINDEX, function);
}
