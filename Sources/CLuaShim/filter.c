/* The call that shows memory to a script and reads its answer. This is on the packet path. */
#include "data.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static void push_view(ls_state *s, const ls_region *region)
{
	ls_data *view = ls_push_data(s, 0, region->layout, LS_LAYOUT);

	if (region->data != NULL)
		view->bytes = region->data;
	view->length = (int64_t)region->length;
	view->epoch = s->epoch;
	view->writable = region->writable;
	view->is_view = true;
	memcpy(view->marks, region->marks, sizeof(view->marks));
}

static void set_string(lua_State *L, const char *name, const char *value)
{
	lua_pushstring(L, value);
	lua_setfield(L, -2, name);
}

static void push_context(lua_State *L, const ls_context *context)
{
	lua_createtable(L, 0, 6);
	set_string(L, "interface", context->interface);
	set_string(L, "direction", context->direction);
	set_string(L, "rule", context->rule);
	lua_pushnumber(L, (lua_Number)context->time_ns / 1e9);
	lua_setfield(L, -2, "time");
	lua_pushinteger(L, context->mark);
	lua_setfield(L, -2, "mark");
	lua_pushinteger(L, context->length);
	lua_setfield(L, -2, "length");
}

static void note_wrong_answer(ls_state *s, int function)
{
	lua_State *L = s->L;
	lua_Debug source;
	char answer[64];

	if (lua_type(L, -1) == LUA_TSTRING)
		snprintf(answer, sizeof(answer), "\"%.40s\"", lua_tostring(L, -1));
	else if (lua_isinteger(L, -1))
		snprintf(answer, sizeof(answer), LUA_INTEGER_FMT, lua_tointeger(L, -1));
	else
		snprintf(answer, sizeof(answer), "a %s", luaL_typename(L, -1));
	lua_rawgeti(L, LUA_REGISTRYINDEX, function);
	lua_getinfo(L, ">S", &source);
	ls_set_message(s, "%s:%d: the function returned %s, not true, false, nothing, \"return\", \"pass-flow\" or "
		       "\"block-flow\"", source.short_src, source.linedefined, answer);
}

/* The answer on top of the stack. */
static ls_answer read_answer(ls_state *s, int function)
{
	static const struct {
		const char *text;
		ls_answer answer;
	} words[] = { { "return", LS_RETURN }, { "pass-flow", LS_PASS_FLOW }, { "block-flow", LS_BLOCK_FLOW } };
	const char *text;
	size_t i, length;

	switch (lua_type(s->L, -1)) {
	case LUA_TNIL:
		return LS_KEEP;
	case LUA_TBOOLEAN:
		return lua_toboolean(s->L, -1) ? LS_KEEP : LS_BLOCK;
	case LUA_TSTRING:
		text = lua_tolstring(s->L, -1, &length);
		for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
			if (length == strlen(words[i].text) && memcmp(text, words[i].text, length) == 0)
				return words[i].answer;
		}
	}
	note_wrong_answer(s, function);
	return LS_FAILED_ANSWER;
}

ls_answer ls_filter(ls_state *s, int function, const ls_region *regions, int count, const ls_context *context,
		    bool *changed)
{
	lua_State *L = s->L;
	int i, handler = lua_gettop(L) + 1;
	enum ls_status status;
	ls_answer answer;

	lua_pushcfunction(L, ls_note_error);
	lua_rawgeti(L, LUA_REGISTRYINDEX, function);
	for (i = 0; i < count; i++)
		push_view(s, &regions[i]);
	if (context != NULL)
		push_context(L, context);

	s->written = false;
	s->filtering = true;
	status = ls_run(s, handler, count + (context != NULL), 1);
	s->filtering = false;
	s->epoch++;
	*changed = s->written;

	switch (status) {
	case LS_OK:
		s->affirmed = lua_isboolean(L, -1) && lua_toboolean(L, -1);
		answer = read_answer(s, function);
		break;
	case LS_INSTRUCTIONS:
		answer = LS_FAILED_INSTRUCTIONS;
		break;
	case LS_MEMORY:
		answer = LS_FAILED_MEMORY;
		break;
	case LS_TIME:
		answer = LS_FAILED_TIME;
		break;
	default:
		answer = LS_FAILED_ERROR;
	}
	lua_settop(L, handler - 1);
	return answer;
}

bool ls_affirmed(const ls_state *s)
{
	return s->affirmed;
}
