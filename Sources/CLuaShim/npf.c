/* The module `npf`: the time, and the log; its tables are in npf_table.c. */
#include "state.h"
#include "ls_npf.h"

#include <lauxlib.h>
#include <string.h>
#include <time.h>

/* What a message costs, and bytes that are copied in the time of one step. */
#define MESSAGE_STEPS 16
#define BYTES_PER_STEP 64

void ls_set_log(ls_state *s, ls_log log, void *context)
{
	s->log = log;
	s->log_context = context;
}

void ls_set_time(ls_state *s, int64_t nanoseconds)
{
	s->now = nanoseconds;
}

/* npf.time(): a packet's time, or while no packet is decided the clock's. */
static int get_time(lua_State *L)
{
	const ls_state *s = ls_of(L);
	int64_t now = s->now;
	struct timespec t;

	ls_charge(L, 1);
	if (!s->filtering) {
		clock_gettime(CLOCK_REALTIME, &t);
		now = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
	}
	lua_pushnumber(L, (lua_Number)now / 1e9);
	return 1;
}

static uint8_t check_level(lua_State *L)
{
	static const char *const names[] = { "debug", "info", "notice", "warning", "error" };
	size_t level;

	if (lua_type(L, 1) == LUA_TSTRING) {
		for (level = 0; level < sizeof(names) / sizeof(*names); level++) {
			if (strlen(names[level]) == lua_rawlen(L, 1) && strcmp(lua_tostring(L, 1), names[level]) == 0)
				return (uint8_t)level;
		}
	}
	luaL_argerror(L, 1, "a level is 'debug', 'info', 'notice', 'warning' or 'error'");
	return LS_LEVEL_DEBUG;
}

/* npf.log(level, ...) */
static int log_message(lua_State *L)
{
	const ls_state *s = ls_of(L);
	uint8_t level = check_level(L);
	char text[LS_LONGEST_MESSAGE];
	size_t length = ls_join(L, 2, text, sizeof(text));

	ls_charge(L, MESSAGE_STEPS + (int64_t)(length / BYTES_PER_STEP));
	if (s->log != NULL)
		s->log(s->log_context, level, text, length);
	return 0;
}

void ls_open_npf(ls_state *s)
{
	static const luaL_Reg functions[] = { { "log", log_message }, { "time", get_time }, { NULL, NULL } };
	lua_State *L = s->L;

	ls_push_modules(L);
	luaL_newlib(L, functions);
	ls_add_tables(L);
	lua_setfield(L, -2, "npf");
	lua_pop(L, 1);
}
