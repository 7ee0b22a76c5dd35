#ifndef CALLOCATIONCOUNTER_H
#define CALLOCATIONCOUNTER_H

/*
 * How many blocks of memory the calling thread has asked for: every malloc,
 * calloc, realloc and aligned allocation of the test program, its libraries'
 * included.
 */
unsigned long allocation_count(void);

#endif
