/*
 * The pool: memory of a state's own for its small blocks.
 *
 * A call on a packet makes and drops a handful of them, and a state is made of a thousand. From here they cost a few
 * instructions and no lock, stand close together, and are the system's again when the state is closed, whatever stands
 * around them. A block has no header: Lua says how large it is.
 */
#include "state.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#define IS_USED false	/* the sanitizer watches the heap's blocks */
#else
#define IS_USED true
#endif

static size_t class_of(size_t size)
{
	return (size + LS_POOL_GRAIN - 1) / LS_POOL_GRAIN;
}

void ls_open_pool(struct ls_pool *pool)
{
	void *start = mmap(NULL, LS_POOL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		abort();
	pool->start = start;
}

void ls_close_pool(struct ls_pool *pool)
{
	munmap(pool->start, LS_POOL_SIZE);
}

bool ls_pool_owns(const struct ls_pool *pool, const void *block)
{
	return (uintptr_t)block - (uintptr_t)pool->start < LS_POOL_SIZE;
}

bool ls_pool_fits(size_t old_size, size_t new_size)
{
	return class_of(old_size) == class_of(new_size);
}

void *ls_pool_take(struct ls_pool *pool, size_t size)
{
	size_t class = class_of(size);
	struct ls_free_block *block;
	size_t rounded = class * LS_POOL_GRAIN;

	if (!IS_USED || class >= LS_POOL_CLASSES)
		return NULL;
	block = pool->free[class];
	if (block != NULL) {
		pool->free[class] = block->next;
		return block;
	}
	if (rounded > LS_POOL_SIZE - pool->taken)
		return NULL;
	pool->taken += rounded;
	return pool->start + pool->taken - rounded;
}

void ls_pool_give(struct ls_pool *pool, void *block, size_t size)
{
	struct ls_free_block *freed = block;
	size_t class = class_of(size);

	freed->next = pool->free[class];
	pool->free[class] = freed;
}
