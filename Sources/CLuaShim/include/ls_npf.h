/* ls_npf: the module `npf`, what a script asks of the filter that runs it. */
#ifndef LS_NPF_H
#define LS_NPF_H

#include "ls_state.h"

/* What a message says about itself, the least first. */
enum ls_level {
	LS_LEVEL_DEBUG,
	LS_LEVEL_INFO,
	LS_LEVEL_NOTICE,
	LS_LEVEL_WARNING,
	LS_LEVEL_ERROR,
};

/* Bytes that a message has at most; longer ones are cut. */
#define LS_LONGEST_MESSAGE 1000

/* Gets a message of an ls_level, which is valid during the call. */
typedef void (*ls_log)(void *context, uint8_t level, const char *text, size_t length);

/* Makes `require 'npf'` find the module. */
void ls_open_npf(ls_state *s);
/* The function that gets what scripts log; without one it is dropped. */
void ls_set_log(ls_state *s, ls_log log, void *context);
/* The time that the next call of ls_filter is at, in nanoseconds since 1970. */
void ls_set_time(ls_state *s, int64_t nanoseconds);

#endif
