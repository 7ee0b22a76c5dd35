/*
 * ls_data: Luadata's objects, and the call that shows them to a script.
 *
 * C takes arguments off the Lua stack, calls Swift with plain values and pushes what it answers, so that no Swift
 * frame is ever live during a call of the Lua API.
 */
#ifndef LS_DATA_H
#define LS_DATA_H

#include "ls_state.h"

/*
 * Places in a region, in bytes from its start, that the fields of a prepared layout count from: an inner header, the
 * end of a part of variable length. The first is the start itself.
 */
#define LS_MARKS 4

/* One field of a layout. Numbers count in bits, strings in bytes; both from the first byte behind a mark. */
typedef struct ls_field {
	const void *name;	/* the host's: a C string; compiled: what lua_topointer gives for it */
	int64_t offset;
	int64_t length;
	uint8_t mark;		/* 0 in a script's own layouts */
	uint8_t end;		/* of a string: the mark that it reaches to, whatever its length; 0 for none */
	bool is_string;
	bool little_endian;
} ls_field;

/* A number that was read, or none. */
typedef struct ls_number {
	int64_t value;
	int64_t present;
} ls_number;

/* Where a string field or a segment lies in an object, in bytes; the length is negative if it does not fit. */
typedef struct ls_extent {
	int64_t offset;
	int64_t length;
} ls_extent;

/* Bounds and bits: Swift's part. Nothing here sees a lua_State; no pointer is NULL. */
typedef struct ls_data_operations {
	ls_number (*read)(const uint8_t *bytes, int64_t length, const ls_field *field);
	/* False, and nothing written, if the field is out of bounds. */
	bool (*write)(uint8_t *bytes, int64_t length, const ls_field *field, int64_t value);
	ls_extent (*extent)(int64_t length, int64_t offset, int64_t count);
} ls_data_operations;

/* Makes `require 'data'` find Luadata. */
void ls_open_data(ls_state *s, const ls_data_operations *operations);

/* A layout by its name; the names are C strings. */
typedef struct ls_named_layout {
	const char *name;
	const ls_field *fields;
	int count;
} ls_named_layout;

/* Makes `require` of a name find a table of layouts, which is filled as a script asks; they must outlive the state. */
void ls_open_layouts(ls_state *s, const char *module, const ls_named_layout *layouts, int count);

typedef struct ls_layout ls_layout;

/* Compiles a layout for the regions of this state. It lives as long as the state. */
const ls_layout *ls_prepare_layout(ls_state *s, const ls_field *fields, int count);

/* Foreign memory for a script to look at, and to change if it is writable. */
typedef struct ls_region {
	void *data;
	size_t length;
	bool writable;
	const ls_layout *layout;	/* prepared for this state, or NULL */
	int32_t marks[LS_MARKS];	/* inside the region */
} ls_region;

/* What a function of three parameters gets as its third, as a table. The strings end with NUL. */
typedef struct ls_context {
	const char *interface;
	const char *direction;
	const char *rule;
	int64_t time_ns;
	uint32_t mark;
	int64_t length;
} ls_context;

typedef enum ls_answer {
	LS_KEEP,		/* true or nothing */
	LS_BLOCK,		/* false */
	LS_RETURN,		/* "return" */
	LS_PASS_FLOW,		/* "pass-flow" */
	LS_BLOCK_FLOW,		/* "block-flow" */
	LS_FAILED_ERROR,
	LS_FAILED_INSTRUCTIONS,
	LS_FAILED_MEMORY,
	LS_FAILED_TIME,
	LS_FAILED_ANSWER,	/* anything else was returned */
} ls_answer;

/*
 * Calls a function with a fresh view of each region (one or two), and the context if there is one. When it returns
 * every view is empty for good, and *changed says whether one was written to. Allocates in Lua's memory only.
 */
ls_answer ls_filter(ls_state *s, int function, const ls_region *regions, int count, const ls_context *context,
		    bool *changed);

/* Whether the function that ls_filter called last, which answered LS_KEEP, returned true; false: nothing. */
bool ls_affirmed(const ls_state *s);

#endif
