/* Patterns: the programs they are compiled to, searches, and what those find. */
#include "patterns.h"

#include <lauxlib.h>

/* What is done between two looks at the clock: some tens of microseconds. */
#define STEPS_PER_SLICE 10000

/*
 * The programs of a state, found by the address of their pattern. A slot keeps
 * the pattern as well, so that no other string can get its address. What is
 * compiled anew takes the place of the one that has been there for longest.
 */
#define SETS 16
#define WAYS 4
/* Bytes of a pattern and its program. Larger ones are compiled for each use, so that what is kept is bounded. */
#define LARGEST_KEPT 4096

struct slot {
	const char *text;
	enum ls_pattern_mode mode;
	const void *program;
};

struct ls_programs {
	struct slot slots[SETS * WAYS];
	unsigned char oldest[SETS];
};

/* The user value of a program: its pattern. */
enum { PATTERN = 1, PROGRAM_USER_VALUES = 1 };

/* The place of the programs in the registry. */
static const char programs_key;

static struct ls_pattern_operations operations;

void ls_set_pattern_operations(struct ls_pattern_operations ops)
{
	operations = ops;
}

void ls_charge_bytes(lua_State *L, size_t bytes)
{
	ls_charge(L, 1 + (int64_t)(bytes / BYTES_PER_STEP));
}

void ls_open_patterns(lua_State *L)
{
	struct ls_programs *programs;

	if (operations.match == NULL)
		luaL_error(L, "ls_set_pattern_operations has not been called");
	if (ls_of(L)->programs != NULL)
		return;
	programs = lua_newuserdatauv(L, sizeof(*programs), SETS * WAYS);
	*programs = (struct ls_programs){ 0 };
	lua_rawsetp(L, LUA_REGISTRYINDEX, &programs_key);
	ls_of(L)->programs = programs;
}

/* The steps of the next slice: one more than the budget has left, so that the limit is reached if it is too little. */
static ptrdiff_t next_slice(lua_State *L)
{
	int64_t budget = ls_of(L)->budget;

	return budget >= 0 && budget < STEPS_PER_SLICE ? (ptrdiff_t)budget + 1 : STEPS_PER_SLICE;
}

/* Pushes a new program, whose user value is the pattern; *size counts both. */
static void *compile(lua_State *L, int pattern, enum ls_pattern_mode mode, size_t *size)
{
	_Alignas(16) unsigned char compiler[LS_COMPILER_SIZE];
	size_t length, program_size;
	const char *text = lua_tolstring(L, pattern, &length);
	ptrdiff_t slice, steps;
	void *program;
	bool done;

	operations.begin(compiler, (const unsigned char *)text, length, mode);
	do {
		steps = slice = next_slice(L);
		program_size = operations.measure(compiler, &steps);
		ls_charge(L, slice - steps);
	} while (program_size == 0);
	program = lua_newuserdatauv(L, program_size, PROGRAM_USER_VALUES);
	lua_pushvalue(L, pattern);
	lua_setiuservalue(L, -2, PATTERN);
	do {
		steps = slice = next_slice(L);
		done = operations.compile(compiler, program, &steps);
		ls_charge(L, slice - steps);
	} while (!done);
	*size = length + program_size;
	return program;
}

/* The first slot of the set that a pattern's text belongs to; strings are aligned to 8. */
static unsigned first_slot(const char *text)
{
	return (unsigned)(((uintptr_t)text >> 3) * UINT64_C(0x9E3779B97F4A7C15) >> 60) * WAYS;
}

/* Compiles a pattern, and keeps the program if it is small. */
static __attribute__((noinline)) const void *add_program(lua_State *L, int pattern, const char *text,
							 enum ls_pattern_mode mode)
{
	struct ls_programs *programs = ls_of(L)->programs;
	size_t size;
	const void *program = compile(L, pattern, mode, &size);
	unsigned set = first_slot(text), slot;

	if (size > LARGEST_KEPT)
		return program;
	slot = set + programs->oldest[set / WAYS]++ % WAYS;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &programs_key);
	lua_pushvalue(L, -2);
	lua_setiuservalue(L, -2, (int)slot + 1);
	lua_pop(L, 1);
	programs->slots[slot] = (struct slot){ text, mode, program };
	return program;
}

const void *ls_program(lua_State *L, int pattern, const char *text, enum ls_pattern_mode mode, bool push)
{
	const struct slot *slots = ls_of(L)->programs->slots;
	unsigned set = first_slot(text), slot;

	for (slot = set; slot < set + WAYS; slot++) {
		if (slots[slot].text != text || slots[slot].mode != mode)
			continue;
		if (push) {
			lua_rawgetp(L, LUA_REGISTRYINDEX, &programs_key);
			lua_getiuservalue(L, -1, (int)slot + 1);
			lua_remove(L, -2);
		}
		return slots[slot].program;
	}
	return add_program(L, pattern, text, mode);
}

/* => Not inlined, so that the matcher's storage is off the stack again while gsub calls a script's function. */
__attribute__((noinline)) bool ls_run_search(lua_State *L, struct ls_search *s)
{
	_Alignas(16) unsigned char matcher[LS_MATCHER_SIZE];
	ptrdiff_t slice = next_slice(L), steps = slice;
	enum ls_outcome outcome = operations.match(s, matcher, true, &steps);

	ls_charge(L, slice - steps);
	while (outcome == LS_EXHAUSTED) {
		steps = slice = next_slice(L);
		outcome = operations.match(s, matcher, false, &steps);
		ls_charge(L, slice - steps);
	}
	if (outcome == LS_MALFORMED) {
		if (s->message_number < 0)
			luaL_error(L, "%s", s->message);
		luaL_error(L, "%s%d", s->message, s->message_number);
	}
	return outcome == LS_MATCHED;
}

struct ls_capture_value ls_capture_value(lua_State *L, const struct ls_search *s, int index)
{
	struct ls_capture capture = { s->start, s->end - s->start };

	if (index < s->capture_count)
		capture = s->captures[index];
	else if (index != 0)
		luaL_error(L, "invalid capture index %%%d", index + 1);

	if (capture.length == LS_CAPTURE_UNFINISHED)
		luaL_error(L, "unfinished capture");
	if (capture.length == LS_CAPTURE_POSITION)
		return (struct ls_capture_value){ .position = capture.start + 1 };
	/* A short one is paid for with the steps of the search. */
	if (capture.length >= BYTES_PER_STEP)
		ls_charge_bytes(L, (size_t)capture.length);
	return (struct ls_capture_value){ .bytes = (const char *)s->subject + capture.start,
					  .length = (size_t)capture.length };
}

void ls_push_capture(lua_State *L, const struct ls_search *s, int index)
{
	struct ls_capture_value value = ls_capture_value(L, s, index);

	if (value.bytes == NULL)
		lua_pushinteger(L, value.position);
	else
		lua_pushlstring(L, value.bytes, value.length);
}

static int push_captures(lua_State *L, const struct ls_search *s)
{
	luaL_checkstack(L, s->capture_count, "too many captures");
	for (int i = 0; i < s->capture_count; i++)
		ls_push_capture(L, s, i);
	return s->capture_count;
}

int ls_push_captures_or_match(lua_State *L, const struct ls_search *s)
{
	if (s->capture_count > 0)
		return push_captures(L, s);
	ls_push_capture(L, s, 0);
	return 1;
}

/* The offset meant by the optional position at index 3, which may count from the end. */
static size_t start_argument(lua_State *L, size_t length)
{
	lua_Integer position;

	if (lua_isnoneornil(L, 3))
		return 0;
	/* A numeral of any length is a number to Lua, and takes its time to become one. */
	if (lua_type(L, 3) == LUA_TSTRING)
		ls_charge(L, (int64_t)(lua_rawlen(L, 3) / 8));
	position = luaL_checkinteger(L, 3);
	if (position > 0)
		return (size_t)position - 1;
	if (position == 0 || position < -(lua_Integer)length)
		return 0;
	return length + (size_t)position;
}

/* Looks for the pattern at index 2; false if it is not found. */
static inline __attribute__((always_inline)) bool
search_arguments(lua_State *L, struct ls_search *s, const void *subject, size_t length, bool is_find)
{
	const char *pattern = luaL_checkstring(L, 2);
	size_t from = start_argument(L, length);

	if (from > length)
		return false;
	s->subject = subject;
	s->subject_length = length;
	s->program = ls_program(L, 2, pattern, !is_find ? LS_PATTERN : lua_toboolean(L, 4) ? LS_PLAIN : LS_FIND, false);
	s->from = (ptrdiff_t)from;
	s->excluded_end = -1;
	return ls_run_search(L, s);
}

int ls_find(lua_State *L, const void *subject, size_t length)
{
	struct ls_search s;

	if (!search_arguments(L, &s, subject, length, true)) {
		luaL_pushfail(L);
		return 1;
	}
	lua_pushinteger(L, s.start + 1);
	lua_pushinteger(L, s.end);
	return push_captures(L, &s) + 2;
}

int ls_match(lua_State *L, const void *subject, size_t length)
{
	struct ls_search s;

	if (!search_arguments(L, &s, subject, length, false)) {
		luaL_pushfail(L);
		return 1;
	}
	return ls_push_captures_or_match(L, &s);
}

/* Where an iteration stands. */
struct iteration {
	const void *program;
	ptrdiff_t from;
	ptrdiff_t excluded_end;
	uint64_t epoch;		/* of the call that it began in */
};

/* More upvalues of the iterator: the program, the iteration. */
enum { PROGRAM = LS_SUBJECT + 1, ITERATION, ITERATOR_UPVALUES = ITERATION };

int ls_gmatch(lua_State *L, size_t length, lua_CFunction next)
{
	struct iteration *iteration;
	const void *program;
	const char *pattern = luaL_checkstring(L, 2);
	size_t from;

	from = start_argument(L, length);
	lua_settop(L, 2);
	program = ls_program(L, 2, pattern, LS_UNANCHORED, true);
	lua_remove(L, 2);
	iteration = lua_newuserdatauv(L, sizeof(*iteration), 0);
	iteration->program = program;
	/* A start past the end finds nothing, the empty match at the end included. */
	iteration->from = (ptrdiff_t)(from > length ? length + 1 : from);
	iteration->excluded_end = -1;
	iteration->epoch = ls_of(L)->epoch;
	lua_pushcclosure(L, next, ITERATOR_UPVALUES);
	return 1;
}

static struct iteration *iteration_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(ITERATION));
}

bool ls_iterates_now(lua_State *L)
{
	return iteration_of(L)->epoch == ls_of(L)->epoch;
}

int ls_gmatch_next(lua_State *L, const void *subject, size_t length)
{
	struct iteration *iteration = iteration_of(L);
	struct ls_search s;

	s.subject = subject;
	s.subject_length = length;
	s.program = iteration->program;
	s.from = iteration->from;
	s.excluded_end = iteration->excluded_end;
	if (!ls_run_search(L, &s))
		return 0;
	iteration->from = iteration->excluded_end = s.end;
	return ls_push_captures_or_match(L, &s);
}
