/*
 * The meter: instructions and time of one call.
 *
 * The count hook runs once a slice. A slice is paid in advance, so that what instructions and ls_charge take together
 * never exceeds the budget. Once a limit is reached the hook runs at every instruction and raises each time: `pcall`
 * can catch the error but not go on.
 */
#include "state.h"

#include <lauxlib.h>
#include <time.h>

#define OUT_OF_TIME "time limit reached (set lua.time)"
#define OUT_OF_INSTRUCTIONS "instruction limit reached (set lua.instructions)"

/* How much longer a call may compile than it may run: it happens when a script is loaded, not with each packet. */
#define COMPILE_TIMES 50
/* Bytes of a script between two looks at the clock: some compile in half a second for each kilobyte. */
#define BYTES_PER_PIECE 64
/* Compiling is not counted in instructions: a budget that no script can use up. */
#define UNCOUNTED (INT64_MAX / 2)

#define LONGEST_SLICE 1000
#define SHORTEST_SLICE 8
/* Bytes that the instructions of one slice may walk over, if each walks over every large block. */
#define BYTES_PER_SLICE ((size_t)64 << 20)

static void hook(lua_State *L, lua_Debug *ar);

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Pays for the next slice and has the hook run at its end. */
static void arm(ls_state *s, bool restart)
{
	int slice = LONGEST_SLICE;

	/* Few at a time near the end, as what is paid in advance cannot be charged for anything else. */
	if (slice > s->budget / 8)
		slice = (int)(s->budget / 8) + 1;
	if (s->large > BYTES_PER_SLICE / LONGEST_SLICE) {
		int shorter = BYTES_PER_SLICE / s->large < SHORTEST_SLICE ? SHORTEST_SLICE : (int)(BYTES_PER_SLICE / s->large);

		if (slice > shorter)
			slice = shorter;
	}
	s->budget -= slice;
	if (restart || slice != s->slice) {
		s->slice = slice;
		lua_sethook(s->L, hook, LUA_MASKCOUNT, slice);
	}
}

void ls_hasten(ls_state *s)
{
	if (s->running && s->slice != 1) {
		s->slice = 1;
		lua_sethook(s->L, hook, LUA_MASKCOUNT, 1);
	}
}

/* Starts the clock of this call, if nothing has yet, and tells whether its time is up. */
static bool is_late(ls_state *s)
{
	int64_t time = now();

	if (s->deadline != 0)
		return time > s->deadline;
	if (__builtin_add_overflow(time, s->limits.nanoseconds, &s->deadline))
		s->deadline = INT64_MAX;
	return false;
}

void ls_expire(ls_state *s, enum ls_status limit, const char *text)
{
	if (s->expired != LS_OK)
		return;
	s->expired = limit;
	ls_note(s, 0, text);
	ls_hasten(s);
}

bool ls_out_of_time(ls_state *s)
{
	if (!s->running || !is_late(s))
		return false;
	ls_expire(s, LS_TIME, OUT_OF_TIME);
	ls_hasten(s);
	return true;
}

void ls_begin(ls_state *s)
{
	s->running = true;
	s->expired = LS_OK;
	s->message_length = 0;
	s->budget = s->limits.instructions;
	s->unchecked = 0;
	s->deadline = 0;
	if (__builtin_mul_overflow(s->limits.nanoseconds, COMPILE_TIMES, &s->compile_time))
		s->compile_time = INT64_MAX;
	s->refused = false;
	s->entry = s->used;
	s->calls++;
	arm(s, true);
}

static void stop(lua_State *L, enum ls_status limit, const char *text)
{
	ls_expire(ls_of(L), limit, text);
	lua_pushstring(L, text);
	lua_error(L);
}

void ls_check(lua_State *L)
{
	ls_state *s = ls_of(L);

	if (!s->running)
		return;
	if (s->expired == LS_TIME)
		stop(L, LS_TIME, OUT_OF_TIME);
	if (s->expired == LS_MEMORY)
		stop(L, LS_MEMORY, LS_OUT_OF_MEMORY);
	if (s->expired != LS_OK || s->budget < 0)
		stop(L, LS_INSTRUCTIONS, OUT_OF_INSTRUCTIONS);
	s->unchecked = 0;
	if (is_late(s))
		stop(L, LS_TIME, OUT_OF_TIME);
}

static void hook(lua_State *L, lua_Debug *ar)
{
	ls_state *s = ls_of(L);

	(void)ar;
	ls_check(L);
	if (s->budget <= 0)
		stop(L, LS_INSTRUCTIONS, OUT_OF_INSTRUCTIONS);
	arm(s, false);
}

int64_t *ls_budget(lua_State *L)
{
	return &ls_of(L)->budget;
}

void ls_charge(lua_State *L, int64_t steps)
{
	ls_state *s = ls_of(L);

	s->budget -= steps;
	s->unchecked += steps;
	if (s->budget < 0 || s->unchecked >= LONGEST_SLICE)
		ls_check(L);
}

/* Text that is compiled. */
struct text {
	const char *bytes;
	size_t length;
};

/* A lua_Reader: gives the text in pieces, and what it raises ends the compilation. */
static const char *next_piece(lua_State *L, void *context, size_t *size)
{
	struct text *text = context;
	const char *piece = text->bytes;

	ls_check(L);
	*size = text->length < BYTES_PER_PIECE ? text->length : BYTES_PER_PIECE;
	text->bytes += *size;
	text->length -= *size;
	return piece;
}

int ls_compile(lua_State *L, const char *source, size_t length, const char *chunk_name)
{
	ls_state *s = ls_of(L);
	struct text text = { source, length };
	int64_t began = now(), budget = s->budget, deadline = s->deadline, elapsed;
	unsigned host = s->host;
	int result;

	s->host = 0;	/* compiling is protected: what it raises comes back as its result */
	if (__builtin_add_overflow(began, s->compile_time, &s->deadline))
		s->deadline = INT64_MAX;
	s->budget = UNCOUNTED;
	result = lua_load(L, next_piece, &text, chunk_name, "t");
	s->host = host;
	s->budget = budget;
	elapsed = now() - began;
	s->compile_time -= elapsed;
	if (__builtin_add_overflow(deadline, deadline == 0 ? 0 : elapsed, &s->deadline))
		s->deadline = INT64_MAX;
	return result;
}
