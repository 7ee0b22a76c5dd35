/*
 * The allocator: Lua's memory, under a cap.
 *
 * What Lua does with memory takes time that the count hook does not see: copying a large string, or collecting
 * garbage over and over at the edge of the cap. So large blocks and refusals are charged to the budget of the call, and
 * a state that a collection would hardly help has reached its limit.
 */
#include "state.h"

#include <lauxlib.h>
#include <stdlib.h>

/* A block that a single instruction walks over in more time than a few hundred instructions take. */
#define LARGE_BLOCK ((size_t)4 << 10)
/* Bytes that are copied in the time of one instruction, and bytes that are collected in it. */
#define BYTES_COPIED_PER_STEP 64
#define BYTES_COLLECTED_PER_STEP 32

/* Of so many calls one may fill the reserve. */
#define CALLS_PER_CHANCE 64
/* Logarithms of the collector's step sizes: some tens of microseconds, and Lua's own. */
#define SHORT_STEP 11
#define USUAL_STEP 13

static size_t large(size_t size)
{
	return size >= LARGE_BLOCK ? size : 0;
}

static void account(ls_state *s, size_t old_size, size_t new_size)
{
	s->used += new_size - old_size;
	s->large += large(new_size) - large(old_size);
}

/* The last part of the memory, in which a call that has reached the limit ends: what is not worth a collection. */
static size_t reserve(const ls_state *s)
{
	return s->limits.memory / 32;
}

/* What the call may fill: now and then all, so that a script whose state is full can let go of something. */
static size_t cap(const ls_state *s)
{
	return s->limits.memory - (s->calls % CALLS_PER_CHANCE == 0 ? 0 : reserve(s));
}

static bool fits(const ls_state *s, size_t growth, size_t most)
{
	return s->used <= most && growth <= most - s->used;
}

/*
 * Whether a script gets more. Lua answers a refusal with a full collection, asks again, and raises an error if it is
 * refused again, from which `pcall` does not go on. Where there is little to collect the call ends without all that: it
 * gets what it asks for, from the reserve, and no further instruction.
 */
static bool grant(ls_state *s, size_t growth)
{
	if (s->refused)
		s->floor = s->used;
	if (fits(s, growth, cap(s)))
		return true;
	if (s->refused) {
		ls_expire(s, LS_MEMORY, LS_OUT_OF_MEMORY);
		return false;
	}
	if (s->used - s->floor < reserve(s) && fits(s, growth, s->limits.memory)) {
		ls_expire(s, LS_MEMORY, LS_OUT_OF_MEMORY);
		return true;
	}
	s->budget -= (int64_t)(s->used / BYTES_COLLECTED_PER_STEP);
	ls_hasten(s);
	/* The buffers of lauxlib do not ask again. */
	if (s->expired == LS_OK)
		ls_note(s, 0, LS_OUT_OF_MEMORY);
	s->refused = true;
	return false;
}

/* Whether there is to be more, for a script that is under way. */
static bool may_grow(ls_state *s, size_t growth, size_t new_size, bool is_array)
{
	if (!grant(s, growth))
		return false;
	if (large(new_size)) {
		s->budget -= (int64_t)(new_size / BYTES_COPIED_PER_STEP);
		ls_hasten(s);
		/* One instruction can ask for more and more: it ends here or never. */
		if (ls_out_of_time(s))
			return false;
	}
	return !is_array || ls_may_rehash(s, new_size);
}

void ls_collect(ls_state *s)
{
	lua_gc(s->L, LUA_GCCOLLECT);
	s->floor = s->used;
	s->debt = false;
}

/* A step of the collector, short enough for each call. */
static void collect_some(ls_state *s)
{
	lua_gc(s->L, LUA_GCINC, 0, 0, SHORT_STEP);
	if (lua_gc(s->L, LUA_GCSTEP, 0))
		s->floor = s->used;
	lua_gc(s->L, LUA_GCINC, 0, 0, USUAL_STEP);
}

void ls_tidy(ls_state *s)
{
	size_t most = cap(s);

	/* What the call has added may be garbage now that it has ended. */
	if (s->floor > s->entry)
		s->floor = s->entry;
	if (s->expired == LS_MEMORY && s->used - s->floor >= reserve(s))
		ls_collect(s);
	else if (s->floor >= most || s->used > s->floor + (most - s->floor) / 2)
		collect_some(s);
	s->debt = false;
}

void ls_settle(lua_State *L)
{
	ls_state *s = ls_of(L);

	ls_collect(s);
	if (!fits(s, 0, cap(s)))
		lua_newuserdatauv(L, s->limits.memory, 0);	/* never fits, so Lua raises its own error */
}

uint64_t ls_allocations(const ls_state *s)
{
	return s->allocations;
}

size_t ls_memory_in_use(const ls_state *s)
{
	return s->used;
}

/* What a call makes and drops: a small block that was given back before, where nothing is to be asked or paid. */
static void *retake(ls_state *s, size_t size)
{
	void *block;

	if (s->refused || !fits(s, size, s->limits.memory - reserve(s)))
		return NULL;
	block = ls_pool_retake(&s->pool, size);
	if (block != NULL) {
		s->used += size;
		s->held++;
	}
	return block;
}

void *ls_allocate(void *state, void *block, size_t old_size, size_t new_size)
{
	ls_state *s = state;
	/* Without a block the old size is the kind of the new object. */
	bool is_array = block == NULL && old_size == 0;
	void *grown;

	if (block == NULL) {
		grown = retake(s, new_size);
		if (grown != NULL)
			return grown;
		old_size = 0;
	} else if (new_size == 0 && ls_pool_owns(&s->pool, block)) {
		ls_pool_give(&s->pool, block, old_size);
		s->held--;
		s->used -= old_size;
		return NULL;
	}
	if (new_size == 0) {
		ls_resize_block(s, block, old_size, 0, false);
		s->held -= block != NULL;
		account(s, old_size, 0);
		return NULL;
	}
	if (new_size > old_size) {
		if (s->host > 0)
			s->debt |= !fits(s, new_size - old_size, cap(s));
		else if (!may_grow(s, new_size - old_size, new_size, is_array))
			return NULL;
	}
	grown = ls_resize_block(s, block, old_size, new_size, is_array);
	if (grown == NULL) {
		if (new_size <= old_size)
			return block;
		if (s->host > 0)
			abort();	/* an error may not be raised here; a filter that stops fails as it is set to */
		return NULL;
	}
	if (new_size > old_size)
		s->refused = false;
	s->held += block == NULL;
	account(s, old_size, new_size);
	return grown;
}
