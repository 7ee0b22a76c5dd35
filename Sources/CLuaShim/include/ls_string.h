/*
 * The sandbox's string library: Lua 5.4's, metered, with the pattern matcher
 * of the layer above.
 *
 * C takes the arguments and pushes the results; compiler and matcher see plain
 * bytes and no Lua state, and no frame of them is live while the Lua API runs.
 */
#ifndef LS_STRING_H
#define LS_STRING_H

#include <stdbool.h>
#include <stddef.h>

#define LS_MAX_CAPTURES 32
/* Room for a compiler of patterns. */
#define LS_COMPILER_SIZE 512
/* Room for a matcher and its open choices, enough for any pattern. */
#define LS_MATCHER_SIZE 5120

enum {
	LS_CAPTURE_UNFINISHED = -1,
	LS_CAPTURE_POSITION = -2,
};

/* Offsets count bytes from the subject's first; the length may be one of the constants above. */
struct ls_capture {
	ptrdiff_t start;
	ptrdiff_t length;
};

/* How a pattern's text is taken. */
enum ls_pattern_mode {
	LS_PATTERN,
	LS_UNANCHORED,		/* a leading '^' is no anchor */
	LS_FIND,		/* without specials, the text to look for */
	LS_PLAIN,		/* the text to look for */
};

/* What to look for, and what was found. */
struct ls_search {
	const unsigned char *subject;
	size_t subject_length;
	const void *program;
	ptrdiff_t from;		/* the first start to try */
	ptrdiff_t excluded_end;	/* a match that ends here is passed over; -1: none */

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
	LS_EXHAUSTED,		/* the steps are used up: the next call goes on */
	LS_MALFORMED,
};

/*
 * Compiler and matcher. `compiler` is LS_COMPILER_SIZE bytes and `matcher`
 * LS_MATCHER_SIZE, both aligned to 16 and left alone between the calls.
 * All run for at most about *steps steps and subtract those they took.
 */
struct ls_pattern_operations {
	/* The text stays where it is as long as the program that is made of it. */
	void (*begin)(void *compiler, const unsigned char *text, size_t length, enum ls_pattern_mode mode);
	/* How many bytes the program takes; 0 when the steps are used up: the next call goes on. */
	size_t (*measure)(void *compiler, ptrdiff_t *steps);
	/* Writes the program, aligned to 8; false when the steps are used up: the next call goes on. */
	bool (*compile)(void *compiler, void *program, ptrdiff_t *steps);
	enum ls_outcome (*match)(struct ls_search *search, void *matcher, bool begins, ptrdiff_t *steps);
};

/* Says who compiles and matches; once, before the first state is made. */
void ls_set_pattern_operations(struct ls_pattern_operations operations);

#endif
