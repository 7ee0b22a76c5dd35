/* Patterns held against bytes, wherever those are: what `string` and Luadata share. */
#ifndef PATTERNS_H
#define PATTERNS_H

#include "ls_string.h"
#include "state.h"

/* What the C library copies or searches in the time of one step. */
#define BYTES_PER_STEP 16

/* Makes room for the state's programs; once. */
void ls_open_patterns(lua_State *L);

/* Charges for the work of the C library on so many bytes. */
void ls_charge_bytes(lua_State *L, size_t bytes);

/*
 * The program of the pattern at an index, which is a string, this text. It is there until
 * a script runs again, or as long as what `push` leaves on the stack; without
 * `push` there may be something on the stack too.
 */
const void *ls_program(lua_State *L, int pattern, const char *text, enum ls_pattern_mode mode, bool push);

/* Runs a search to its end, in slices; raises what is wrong with the pattern. */
bool ls_run_search(lua_State *L, struct ls_search *s);

/* What a capture holds: bytes of the subject, or a position. */
struct ls_capture_value {
	const char *bytes;	/* NULL: a position */
	size_t length;
	lua_Integer position;
};

/* Looks a capture up; capture 0 of a pattern without captures is the whole match. */
struct ls_capture_value ls_capture_value(lua_State *L, const struct ls_search *s, int index);
void ls_push_capture(lua_State *L, const struct ls_search *s, int index);
int ls_push_captures_or_match(lua_State *L, const struct ls_search *s);

/* `find` and `match` on bytes; pattern, start and (of find) plain are the arguments from 2 on. */
int ls_find(lua_State *L, const void *subject, size_t length);
int ls_match(lua_State *L, const void *subject, size_t length);

/* `gmatch`: pattern and start are the arguments 2 and 3; the iterator is `next`. */
int ls_gmatch(lua_State *L, size_t length, lua_CFunction next);
/* The upvalue of the iterator that is argument 1 of `gmatch`. */
enum { LS_SUBJECT = 1 };
/* In the iterator: whether it was made in this call, and its next step, on the subject's bytes as they are now. */
bool ls_iterates_now(lua_State *L);
int ls_gmatch_next(lua_State *L, const void *subject, size_t length);

#endif
