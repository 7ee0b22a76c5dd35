/*
 * Blocks: what the allocator gets from the system, and a look at a table's keys before Lua moves them.
 *
 * Lua hashes integers and floats without a seed, and moves all keys of a table to a larger array in one instruction, in
 * time quadratic in those that share a place there: 33,000 addresses that somebody has chosen take more than a second.
 * But it asks for the new array first, while the old one still stands. So large blocks are on a list, and before a
 * table gets a large array the keys of every array on the list are counted by the places that they would have in it.
 *
 * The layout of a node and the hash functions are those of Lua 5.4.3 and later (lobject.h, ltable.c). What is not as
 * expected is not counted.
 */
#include "state.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of a table's array of keys and values. */
#define NODE_SIZE 24
#define NODE_KEY_KIND 9
#define NODE_KEY 16
#define KIND_INTEGER 0x03
#define KIND_FLOAT 0x13

/* The keys of a smaller array are moved in a millisecond, whatever they are. */
#define SMALLEST_ON_LIST ((size_t)2048 * NODE_SIZE)
/* How many pairs of keys may share a place: moving them takes some 10 ms. */
#define MOST_PAIRS ((uint64_t)4 << 20)
/* Keys that are counted in the time of one instruction. */
#define KEYS_PER_STEP 4

#define LOG_PLACES 12
#define PLACES (UINT32_C(1) << LOG_PLACES)

#define COLLISION "too many keys of a table collide (a number from outside is safe as key when made a string: tostring(n))"

struct ls_block {
	struct ls_block *next, **link;	/* the link that points here */
	size_t nodes;			/* 0 if it is no array of nodes */
	size_t alignment;
};

static bool is_on_list(size_t size)
{
	return size >= SMALLEST_ON_LIST;
}

/* The nodes of a new array of that size; their number is a power of two. */
static size_t nodes_of(size_t size)
{
	size_t nodes = size / NODE_SIZE;

	return size % NODE_SIZE == 0 && (nodes & (nodes - 1)) == 0 ? nodes : 0;
}

static void enlist(ls_state *s, struct ls_block *block)
{
	block->next = s->blocks;
	block->link = &s->blocks;
	if (s->blocks != NULL)
		s->blocks->link = &block->next;
	s->blocks = block;
}

static void delist(struct ls_block *block)
{
	*block->link = block->next;
	if (block->next != NULL)
		block->next->link = block->link;
}

static void *resize_in_heap(ls_state *s, void *block, size_t old_size, size_t new_size, bool is_array)
{
	bool was_on_list = is_on_list(old_size), will_be = is_on_list(new_size);
	struct ls_block *base = was_on_list ? (struct ls_block *)block - 1 : block;
	struct ls_block *resized;

	if (was_on_list)
		delist(base);
	if (new_size == 0) {
		free(base);
		return NULL;
	}
	if (was_on_list && !will_be)
		memmove(base, block, new_size);
	s->allocations++;
	resized = realloc(base, new_size + (will_be ? sizeof(*resized) : 0));
	if (resized == NULL) {
		if (was_on_list && will_be)
			enlist(s, base);
		return was_on_list && !will_be ? base : NULL;
	}
	if (!will_be)
		return resized;
	if (!was_on_list)
		memmove(resized + 1, resized, old_size);
	/* Lua never resizes an array of nodes: what only looked like one may have become smaller than they are. */
	resized->nodes = is_array ? nodes_of(new_size) : 0;
	/* Between values Lua writes nothing, and what is left there from before could look like keys. */
	if (resized->nodes != 0)
		memset(resized + 1, 0, new_size);
	enlist(s, resized);
	return resized + 1;
}

void *ls_resize_block(ls_state *s, void *block, size_t old_size, size_t new_size, bool is_array)
{
	void *resized;

	if (block != NULL && !ls_pool_owns(&s->pool, block))
		return resize_in_heap(s, block, old_size, new_size, is_array);
	if (block != NULL && new_size > 0 && ls_pool_fits(old_size, new_size))
		return block;
	resized = new_size > 0 ? ls_pool_take(&s->pool, new_size) : NULL;
	if (new_size > 0 && resized == NULL)
		resized = resize_in_heap(s, NULL, 0, new_size, is_array);
	if (block == NULL || (new_size > 0 && resized == NULL))
		return resized;
	if (new_size > 0)
		memcpy(resized, block, old_size < new_size ? old_size : new_size);
	ls_pool_give(&s->pool, block, old_size);
	return resized;
}

static uint64_t place_of_float(lua_Number key, uint64_t modulus)
{
	int exponent;
	lua_Number mantissa = frexp(key, &exponent) * -(lua_Number)INT_MIN;
	unsigned int hash;

	if (!(mantissa >= (lua_Number)LLONG_MIN && mantissa < -(lua_Number)LLONG_MIN))
		return 0;
	hash = (unsigned int)exponent + (unsigned int)(long long)mantissa;
	return (hash <= INT_MAX ? hash : ~hash) % modulus;
}

/* Pairs of an array's keys that would share one of so many places, but for those that do so by chance. */
static uint64_t colliding_pairs(const struct ls_block *block, uint64_t modulus)
{
	const unsigned char *node = (const unsigned char *)(block + 1);
	const unsigned char *end = node + block->nodes * NODE_SIZE;
	uint32_t counts[PLACES] = { 0 };
	uint64_t key, last = 0, place, pairs = 0, keys = 0, by_chance;
	unsigned char kind, last_kind = 0;
	lua_Number number;

	for (; node < end; node += NODE_SIZE) {
		kind = node[NODE_KEY_KIND];
		if (kind != KIND_INTEGER && kind != KIND_FLOAT)
			continue;
		memcpy(&key, node + NODE_KEY, sizeof(key));
		memcpy(&number, &key, sizeof(number));
		place = kind == KIND_INTEGER ? key % modulus : place_of_float(number, modulus);
		/* A table has a key once: this is an array of values, which can have the size of one of nodes. */
		if (kind == last_kind && key == last)
			return 0;
		last_kind = kind;
		last = key;
		/* Fewer places than there are, mixed so that keys in steps of a power of two spread. */
		pairs += counts[(uint32_t)place * UINT32_C(2654435769) >> (32 - LOG_PLACES)]++;
		keys++;
	}
	by_chance = keys * keys / PLACES;
	return pairs > by_chance ? pairs - by_chance : 0;
}

bool ls_may_rehash(ls_state *s, size_t new_size)
{
	size_t nodes = nodes_of(new_size);
	const struct ls_block *block;

	if (nodes == 0 || !is_on_list(new_size))
		return true;
	for (block = s->blocks; block != NULL; block = block->next) {
		if (block->nodes == 0)
			continue;
		s->budget -= (int64_t)(block->nodes / KEYS_PER_STEP);
		if (colliding_pairs(block, (nodes - 1) | 1) > MOST_PAIRS) {
			ls_expire(s, LS_INSTRUCTIONS, COLLISION);
			return false;
		}
	}
	return true;
}
