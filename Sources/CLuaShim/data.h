/*
 * Luadata's userdata.
 *
 * Every userdata that a script can reach begins with a pointer that tells its kind, so that one load checks it.
 */
#ifndef DATA_H
#define DATA_H

#include "state.h"

typedef struct ls_layout {
	const void *kind;	/* ls_layout_kind */
	int count;
	ls_field fields[];
} ls_layout;

/* Bytes of its own after the struct (epoch 0), or a view of memory that is valid during one call. */
typedef struct ls_data {
	const void *kind;	/* ls_data_kind */
	uint8_t *bytes;
	int64_t length;
	uint64_t epoch;
	const ls_layout *layout;
	bool writable;
	bool is_view;		/* of a region itself: its segments end where it ends */
} ls_data;

/* User values of a data object. */
enum { LS_ROOT = 1, LS_LAYOUT = 2, LS_DATA_USER_VALUES = 2 };
/* User value of a layout: the table from its names to its fields' places, which keeps the names alive. */
enum { LS_NAMES = 1, LS_LAYOUT_USER_VALUES = 1 };

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

/* Pushes the layout that a table stands for; it is compiled once and kept in the table. */
const ls_layout *ls_compile_layout(lua_State *L, int table, int methods);

/* Pushes an empty data object. */
ls_data *ls_push_data(ls_state *s, size_t own_bytes);

#endif
