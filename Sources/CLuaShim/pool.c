/* Where the pool's memory comes from; see pool.h. */
#include "pool.h"

#include <stdlib.h>
#include <sys/mman.h>

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
