/*
 * The pool: memory of a state's own for its small blocks.
 *
 * A call on a packet makes and drops a handful of them, and a state is made of a thousand. From here they cost a few
 * instructions and no lock, stand close together, and are the system's again when the state is closed, whatever stands
 * around them. A block has no header: Lua says how large it is.
 */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#define LS_POOL_IS_USED false	/* the sanitizer watches the heap's blocks */
#else
#define LS_POOL_IS_USED true
#endif

/* Blocks of up to 256 bytes, in steps of 16: what most of a state consists of. */
#define LS_POOL_GRAIN 16
#define LS_POOL_CLASSES 17
#define LS_POOL_SIZE ((size_t)256 << 10)

struct ls_pool {
	unsigned char *start;
	size_t taken;		/* bytes from the start on that have been a block */
	struct ls_free_block {
		struct ls_free_block *next;
	} *free[LS_POOL_CLASSES];
};

void ls_open_pool(struct ls_pool *pool);
void ls_close_pool(struct ls_pool *pool);

static inline bool ls_pool_owns(const struct ls_pool *pool, const void *block)
{
	return (uintptr_t)block - (uintptr_t)pool->start < LS_POOL_SIZE;
}

static inline size_t ls_pool_class(size_t size)
{
	return (size + LS_POOL_GRAIN - 1) / LS_POOL_GRAIN;
}

/* Whether a block of one size is one of the other size too. */
static inline bool ls_pool_fits(size_t old_size, size_t new_size)
{
	return ls_pool_class(old_size) == ls_pool_class(new_size);
}

/* A block that was given back; NULL if there is none. */
static inline void *ls_pool_retake(struct ls_pool *pool, size_t size)
{
	size_t class = ls_pool_class(size);
	struct ls_free_block *block = class < LS_POOL_CLASSES ? pool->free[class] : NULL;

	if (block != NULL)
		pool->free[class] = block->next;
	return block;
}

/* A block; NULL if it is too large, or the pool is used up. */
static inline void *ls_pool_take(struct ls_pool *pool, size_t size)
{
	size_t rounded = ls_pool_class(size) * LS_POOL_GRAIN;
	void *block = ls_pool_retake(pool, size);

	if (block != NULL)
		return block;
	if (!LS_POOL_IS_USED || rounded >= LS_POOL_CLASSES * LS_POOL_GRAIN || rounded > LS_POOL_SIZE - pool->taken)
		return NULL;
	pool->taken += rounded;
	return pool->start + pool->taken - rounded;
}

static inline void ls_pool_give(struct ls_pool *pool, void *block, size_t size)
{
	struct ls_free_block *freed = block;
	size_t class = ls_pool_class(size);

	freed->next = pool->free[class];
	pool->free[class] = freed;
}

#endif
