/*
 * Luadata's userdata.
 *
 * Every userdata that a script can reach begins with a pointer that tells its kind, so that one load checks it.
 */
#ifndef DATA_H
#define DATA_H

#include "state.h"

/*
 * A hash table of fields, half of it empty at least: there the name is NULL. A key is told by its address, as Lua
 * interns short strings; only numbers and booleans have none, and are found by LS_NAMES.
 */
struct ls_layout {
	const void *kind;	/* ls_layout_kind */
	const void *table;	/* that it was compiled from; none if it is prepared */
	size_t last;		/* one less than the places, which are a power of 2 */
	ls_field fields[];
};

/* Bytes of its own after the struct (epoch 0), or a view of memory that is valid during one call. */
typedef struct ls_data {
	const void *kind;	/* ls_data_kind */
	uint8_t *bytes;		/* never NULL */
	int64_t length;
	uint64_t epoch;
	const ls_layout *layout;
	int32_t marks[LS_MARKS];
	bool writable;
	bool is_view;		/* of a region itself: its segments end where it ends */
} ls_data;

/* User values of a data object: the layout that a script gave it; of a segment, the object whose memory it shows. */
enum { LS_LAYOUT = 1, LS_ROOT = 2 };
/*
 * User values of a layout: the table from its names to its fields' places, which keeps the names alive, and the table
 * that it was compiled from, so that no other gets its address.
 */
enum { LS_NAMES = 1, LS_TABLE = 2, LS_LAYOUT_USER_VALUES = 2 };

extern const char ls_layout_kind, ls_data_kind;

/* The object's length, none if its memory is gone. */
static inline int64_t ls_length(const ls_state *s, const ls_data *data)
{
	return data->epoch == 0 || data->epoch == s->epoch ? data->length : 0;
}

/* The userdata of a kind at an index, or NULL. */
static inline void *ls_userdata(lua_State *L, int index, const void *kind)
{
	const void *const *object = lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;

	return object != NULL && *object == kind ? (void *)object : NULL;
}

/* The field of that name, or the empty place for it. */
static inline const ls_field *ls_find_field(const ls_layout *layout, const void *name)
{
	size_t place = ((uintptr_t)name >> 4 ^ (uintptr_t)name >> 12) & layout->last;	/* blocks are aligned to 16 */

	while (layout->fields[place].name != name && layout->fields[place].name != NULL)
		place = (place + 1) & layout->last;
	return &layout->fields[place];
}

/* Pushes the layout that a table stands for; it is compiled once and kept in the table. */
const ls_layout *ls_compile_layout(lua_State *L, int table, int methods);

/* data_match.c: adds `find`, `gmatch` and `match` to the methods on top. */
void ls_add_match_methods(lua_State *L);

/*
 * Pushes a data object: with bytes of its own, or with none yet, and a layout that is prepared, or none. Foreign memory
 * needs no user value for a root, as the epoch says whether it is there.
 */
ls_data *ls_push_data(ls_state *s, size_t own_bytes, const ls_layout *layout, int user_values);

#endif
