/*
 * The allocator: Lua's memory, under a cap.
 *
 * What Lua does with memory takes time that the count hook does not see: copying a large string, or collecting
 * garbage over and over at the edge of the cap. So large blocks and refusals are charged to the budget of the call.
 */
#include "state.h"

#include <lauxlib.h>
#include <stdlib.h>

/* A block that a single instruction walks over in more time than a few hundred instructions take. */
#define LARGE_BLOCK ((size_t)4 << 10)
/* Bytes that are copied in the time of one instruction, and bytes that are collected in it. */
#define BYTES_COPIED_PER_STEP 64
#define BYTES_COLLECTED_PER_STEP 32

static size_t large(size_t size)
{
	return size >= LARGE_BLOCK ? size : 0;
}

static void account(ls_state *s, size_t old_size, size_t new_size)
{
	s->used += new_size - old_size;
	s->large += large(new_size) - large(old_size);
}

/*
 * Lua answers a refusal with a full collection, then asks again, then raises an error. The second refusal is the limit,
 * from which `pcall` does not go on.
 */
static void *refuse(ls_state *s)
{
	s->budget -= (int64_t)(s->used / BYTES_COLLECTED_PER_STEP);
	ls_hasten(s);
	if (s->expired == LS_OK)
		ls_note(s, 0, LS_OUT_OF_MEMORY);
	if (s->running && s->refused && s->expired == LS_OK)
		s->expired = LS_MEMORY;
	s->refused = true;
	return NULL;
}

void *ls_allocate(void *state, void *block, size_t old_size, size_t new_size)
{
	ls_state *s = state;
	void *grown;

	if (block == NULL)
		old_size = 0;	/* it then is the kind of the new object */
	if (new_size == 0) {
		free(block);
		account(s, old_size, 0);
		return NULL;
	}
	if (new_size > old_size) {
		size_t room = s->used < s->limits.memory ? s->limits.memory - s->used : 0;

		if (new_size - old_size > room) {
			if (s->host == 0)
				return refuse(s);
			s->debt = true;
		}
		if (large(new_size) && s->running && s->host == 0) {
			s->budget -= (int64_t)(new_size / BYTES_COPIED_PER_STEP);
			ls_hasten(s);
			/* One instruction can ask for more and more: it ends here or never. */
			if (s->host == 0 && ls_out_of_time(s))
				return NULL;
		}
	}
	s->allocations++;
	grown = realloc(block, new_size);
	if (grown == NULL) {
		if (new_size <= old_size)
			return block;
		if (s->host > 0)
			abort();	/* an error may not be raised here; a filter that stops fails as it is set to */
		return NULL;
	}
	if (new_size > old_size)
		s->refused = false;
	account(s, old_size, new_size);
	return grown;
}

void ls_settle(lua_State *L)
{
	ls_state *s = ls_of(L);

	s->debt = false;
	lua_gc(L, LUA_GCCOLLECT);
	if (s->used > s->limits.memory)
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
