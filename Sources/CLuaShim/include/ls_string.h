/*
 * The sandbox's string library: Lua 5.4's, metered, with the pattern matcher
 * of the layer above.
 *
 * C takes the arguments and pushes the results; the matcher sees plain bytes
 * and no Lua state, and no frame of it is live while the Lua API runs.
 */
#ifndef LS_STRING_H
#define LS_STRING_H

#include <stdbool.h>
#include <stddef.h>

#define LS_MAX_CAPTURES 32
/* Room for a matcher and its open choices, enough for any pattern. */
#define LS_MATCHER_SIZE 9216

enum {
	LS_CAPTURE_UNFINISHED = -1,
	LS_CAPTURE_POSITION = -2,
};

/* Offsets count bytes from the subject's first; the length may be one of the constants above. */
struct ls_capture {
	ptrdiff_t start;
	ptrdiff_t length;
};

/* What to look for, and what was found. */
struct ls_search {
	const unsigned char *subject;
	size_t subject_length;
	const unsigned char *pattern;
	size_t pattern_length;
	ptrdiff_t from;		/* the first start to try */
	ptrdiff_t excluded_end;	/* a match that ends here is passed over; -1: none */
	bool anchors;		/* a leading '^' is an anchor */

	/* After LS_MATCHED. */
	ptrdiff_t start;
	ptrdiff_t end;
	int capture_count;
	struct ls_capture captures[LS_MAX_CAPTURES];

	/* After LS_MALFORMED: Lua's message, and the number that ends it or -1. */
	const char *message;
	int message_number;
};

/* Swift sees the array as a tuple, which it can only copy whole. */
static inline struct ls_capture *ls_search_captures(struct ls_search *search)
{
	return search->captures;
}

enum ls_outcome {
	LS_MATCHED,
	LS_NO_MATCH,
	LS_EXHAUSTED,		/* the steps are used up: resume goes on */
	LS_MALFORMED,
};

/* The matcher; `matcher` is LS_MATCHER_SIZE bytes, aligned to 16, left alone between the calls. */
struct ls_string_operations {
	void (*begin)(const struct ls_search *search, void *matcher);
	/* Runs for at most about *steps steps and subtracts those it took. */
	enum ls_outcome (*resume)(struct ls_search *search, void *matcher, ptrdiff_t *steps);
};

/* ls_set_string_operations: says who matches; once, before the first state is made. */
void ls_set_string_operations(struct ls_string_operations operations);

#endif
